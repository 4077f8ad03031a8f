package dispatch.agent;

/** One invocation, filled in by Native.next. */
final class Invocation {
    /** enum agent_payload_kind */
    static final int JSON = 0, TEXT = 1, BYTES = 2, NONE = 3;

    int kind;
    byte[] payload;
    byte[] context;
    long timeoutMs;
}
