// Shows what a handler sees: the context and the payload. An ES module, whose default export is the handler.
export default (context, payload) => ({ context, payload });
