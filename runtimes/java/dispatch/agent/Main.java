package dispatch.agent;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.locks.LockSupport;

/**
 * The agent: loads the handler, calls it for each run, and sees to it that a run ends once, whatever its code does.
 * The handler runs on the thread of main, unless nobody but the agent ends a run that takes too long.
 */
public final class Main extends Thread {
    private static final int LOADING = 0, IDLE = 1, RUNNING = 2, OVER = 3;
    private static final int EXIT_AGENT = 70, EXIT_MEMORY = 71; // FRAME_EXIT_MEMORY

    private final Thread main = Thread.currentThread();
    private int state = LOADING;
    private Handler handler;
    private long replyBytesMax;

    private Main() {
        super("dispatch-exit");
    }

    public static void main(String[] args) {
        String path = System.getProperty("java.class.path");
        int end = path.indexOf(File.pathSeparatorChar);
        File jar = new File(end < 0 ? path : path.substring(0, end));
        System.load(new File(jar.getAbsoluteFile().getParentFile(), "libdispatch-java.so").getPath());
        System.clearProperty("java.class.path"); // it is the agent's, not the function's
        Log.install();
        Main agent = new Main();
        int status;
        try {
            status = agent.live(args.length > 0 ? args[0] : null);
        } catch (IllegalStateException error) { // the agent library failed, and has said why
            status = EXIT_AGENT;
        }
        agent.move(agent.state, OVER);
        System.exit(status);
    }

    private synchronized boolean move(int from, int to) {
        if (state != from)
            return false;
        state = to;
        return true;
    }

    private int live(String argument) {
        byte[][] special = Native.open(argument != null ? argument.getBytes(StandardCharsets.UTF_8) : null);
        if (special == null)
            return 0;
        Runtime.getRuntime().addShutdownHook(this);
        try {
            load(special);
        } catch (Throwable error) {
            if (move(LOADING, OVER)) {
                endForMemory(error);
                fail(Problem.ofLoad(error));
            }
            return 1;
        }
        if (!move(LOADING, IDLE))
            return 1;
        Warm.json();
        Native.loaded();
        serve();
        return Native.close();
    }

    private void load(byte[][] special) throws Throwable {
        if (special.length == 1)
            throw new LoadProblem(new String(special[0], StandardCharsets.UTF_8));
        replyBytesMax = Native.replyBytesMax();
        File folder = new File(new String(special[1], StandardCharsets.UTF_8)).getAbsoluteFile();
        ClassLoader loader = ClassPath.loader(folder);
        Thread.currentThread().setContextClassLoader(loader);
        handler = Handler.find(new String(special[0], StandardCharsets.UTF_8), folder, loader);
    }

    private static void fail(Problem problem) {
        Native.failed(problem.type, problem.message, problem.lines);
    }

    private static void endForMemory(Throwable error) {
        if (Problem.isMemory(error))
            Runtime.getRuntime().halt(EXIT_MEMORY);
    }

    private void serve() {
        Invocation invocation = new Invocation();
        while (next(invocation)) {
            if (!move(IDLE, RUNNING))
                return;
            Run run = new Run(invocation);
            if (invocation.timeoutMs > 0)
                waitFor(run, invocation.timeoutMs);
            else
                run.run();
            if (!move(RUNNING, IDLE))
                waitForEnd();
            finish(run);
        }
    }

    /** System.exit() on another thread has the run in hand: it replies and ends the process. */
    private static void waitForEnd() {
        while (true)
            LockSupport.park();
    }

    private static boolean next(Invocation invocation) {
        try {
            return Native.next(invocation);
        } catch (OutOfMemoryError error) { // the payload does not fit beside what the function holds
            Runtime.getRuntime().halt(EXIT_MEMORY);
            return false;
        }
    }

    private void finish(Run run) {
        if (!run.over) {
            Native.last(1);
            reply(Problem.function("Function execution exceeded the timeout"));
        } else if (run.error != null) {
            endForMemory(run.error);
            reply(Problem.of(run.error));
        } else {
            run.result.send();
        }
    }

    private static void reply(Problem problem) {
        Native.error(problem.type, problem.message, problem.lines);
    }

    private static void waitFor(Run run, long timeoutMs) {
        Thread thread = new Thread(null, run, "main-run");
        thread.setDaemon(true);
        thread.start();
        try {
            thread.join(timeoutMs);
        } catch (InterruptedException error) {
            // somebody interrupts the agent: the run has not ended, so it is told as one that took too long
        }
    }

    /** One call of the handler and what came of it. */
    private final class Run implements Runnable {
        private final Invocation invocation;
        private Result result;
        private Throwable error;
        private volatile boolean over;

        Run(Invocation invocation) {
            this.invocation = invocation;
        }

        @Override
        public void run() {
            try {
                result = Result.of(await(handler.call(invocation)), replyBytesMax);
            } catch (Throwable thrown) {
                error = thrown;
            }
            over = true;
        }
    }

    /** What a CompletableFuture will be is the result. */
    private static Object await(Object result) throws Throwable {
        if (!(result instanceof CompletionStage))
            return result;
        try {
            return ((CompletionStage<?>) result).toCompletableFuture().get();
        } catch (ExecutionException error) {
            throw error.getCause();
        }
    }

    /** System.exit() was called, by code that is not ours: the run in hand, or the load, is told so. */
    @Override
    public void run() {
        String text = "the handler called System.exit()";
        if (move(LOADING, OVER)) {
            fail(Problem.function("cannot load the handler: System.exit() was called while loading it", exitFrames()));
        } else if (move(RUNNING, OVER)) {
            Native.last(1);
            reply(Problem.function(text, exitFrames()));
        } else {
            return;
        }
        Runtime.getRuntime().halt(1);
    }

    /** From where the thread of main called it; nothing when it was another. */
    private StackTraceElement[] exitFrames() {
        StackTraceElement[] frames = main.getStackTrace();
        for (int i = 0; i < frames.length; i++) {
            if (frames[i].getClassName().equals("java.lang.System") && frames[i].getMethodName().equals("exit"))
                return java.util.Arrays.copyOfRange(frames, i, frames.length);
        }
        return new StackTraceElement[0];
    }
}
