package dispatch.agent;

/** The payload cannot be what the handler takes; the message says all. */
final class InputProblem extends RuntimeException {
    private static final long serialVersionUID = 1L;

    InputProblem(String message) {
        super(message, null, false, false);
    }
}
