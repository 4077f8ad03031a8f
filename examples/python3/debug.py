"""Shows what a handler sees: the context and the payload."""


def handle(context, payload):
    return {"context": context, "payload": payload}
