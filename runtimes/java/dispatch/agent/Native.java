package dispatch.agent;

/**
 * The agent library (module.c). All but log is for one thread at a time. Texts are UTF-8.
 */
final class Native {
    /** What Native.reply takes as the length of a whole body. */
    static final int WHOLE = -1;

    private Native() {
    }

    /**
     * Waits for what the process becomes: handler and folder, or (one text) why it cannot become that; null when it is
     * not wanted any more.
     */
    static native byte[][] open(byte[] handler);

    static native long replyBytesMax();

    /** The handler is loaded. */
    static native void loaded();

    /** It is not: the type, message and trace of the error. */
    static native void failed(byte[] type, byte[] message, byte[][] lines);

    /** Waits for the next invocation; the one before was replied to. False: there will be none. */
    static native boolean next(Invocation into);

    /** fields: names and values in turn. Of the body the first bodyLen bytes are sent, or all: WHOLE. */
    static native void reply(int status, byte[] type, byte[][] fields, byte[] body, int bodyLen);

    static native void error(byte[] type, byte[] message, byte[][] lines);

    /** Before a reply: it is the last, and the process ends with that status. */
    static native void last(int status);

    /** Ends the agent; the status for the process. */
    static native int close();

    /** What was printed on stream 1 or 2. Any thread. */
    static native void log(int stream, byte[] bytes, int from, int len);
}
