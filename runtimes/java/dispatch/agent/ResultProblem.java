package dispatch.agent;

/** The result cannot be sent, which is the function's mistake; the message says what about it. */
final class ResultProblem extends RuntimeException {
    private static final long serialVersionUID = 1L;

    ResultProblem(String message) {
        super(message, null, false, false);
    }
}
