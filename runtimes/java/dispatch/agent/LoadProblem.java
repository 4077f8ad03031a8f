package dispatch.agent;

/** The handler is not there; the message says all, a trace would only show the agent. */
final class LoadProblem extends RuntimeException {
    private static final long serialVersionUID = 1L;

    LoadProblem(String message) {
        super(message, null, false, false);
    }
}
