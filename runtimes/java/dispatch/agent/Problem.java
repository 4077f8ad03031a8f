package dispatch.agent;

import dispatch.InputError;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/** What was thrown, as type, message and trace of an error. Whatever a handler throws, nothing here does. */
final class Problem {
    private static final int CAUSES_MAX = 8, FRAMES_MAX = 400;
    private static final String OURS = "dispatch.agent.";

    final byte[] type;
    final byte[] message;
    final byte[][] lines;

    private Problem(String type, String message, List<String> lines) {
        this.type = utf8(type);
        this.message = utf8(message);
        this.lines = new byte[lines.size()][];
        for (int i = 0; i < this.lines.length; i++)
            this.lines[i] = utf8(lines.get(i));
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static Problem function(String message) {
        return new Problem("FunctionError", message, Collections.<String>emptyList());
    }

    static Problem function(String message, StackTraceElement[] frames) {
        List<String> lines = new ArrayList<>();
        putFrames(frames, lines);
        return new Problem("FunctionError", message, lines);
    }

    /** Of a run: the caller is to blame for what Java calls an illegal argument, and what a handler calls InputError. */
    static Problem of(Throwable error) {
        if (error instanceof InputProblem)
            return new Problem("InputError", messageOf(error), Collections.<String>emptyList());
        if (error instanceof ResultProblem)
            return function(messageOf(error));
        boolean input = error instanceof InputError || error instanceof IllegalArgumentException ||
            error instanceof ClassCastException || error.getClass().getSimpleName().equals("InputError");
        return new Problem(input ? "InputError" : "FunctionError", messageOf(error), traceOf(error));
    }

    /** Of the load: the message says what kind of error it was, for it may be all that is read. */
    static Problem ofLoad(Throwable error) {
        if (error instanceof LoadProblem)
            return function("cannot load the handler: " + messageOf(error));
        Throwable told = error instanceof ExceptionInInitializerError && error.getCause() != null ? error.getCause() : error;
        return new Problem("FunctionError", "cannot load the handler: " + told.getClass().getName() + ": " + messageOf(told),
                           traceOf(told));
    }

    /** Was it the heap, or what else is counted, that ran out? Threads and sizes of arrays are other limits. */
    static boolean isMemory(Throwable error) {
        for (int i = 0; error != null && i < CAUSES_MAX; i++, error = causeOf(error)) {
            if (!(error instanceof OutOfMemoryError))
                continue;
            String message = String.valueOf(error.getMessage());
            return !message.startsWith("unable to create native thread") && !message.startsWith("Requested array size");
        }
        return false;
    }

    private static Throwable causeOf(Throwable error) {
        try {
            return error.getCause();
        } catch (Throwable broken) {
            return null;
        }
    }

    private static String messageOf(Throwable error) {
        try {
            String message = error.getMessage();
            return message != null && !message.isEmpty() ? message : error.getClass().getName();
        } catch (Throwable broken) {
            return error.getClass().getName();
        }
    }

    private static String headOf(Throwable error) {
        try {
            return error.toString();
        } catch (Throwable broken) {
            return error.getClass().getName();
        }
    }

    private static List<String> traceOf(Throwable error) {
        List<String> lines = new ArrayList<>();
        Set<Throwable> seen = Collections.newSetFromMap(new IdentityHashMap<Throwable, Boolean>());
        for (Throwable at = error; at != null && seen.add(at) && seen.size() <= CAUSES_MAX; at = causeOf(at)) {
            for (String line : headOf(at).split("\r?\n"))
                lines.add(lines.isEmpty() || at == error ? line : "Caused by: " + line);
            putFrames(at.getStackTrace(), lines);
        }
        return lines;
    }

    private static boolean isCall(StackTraceElement frame) {
        String name = frame.getClassName();
        return name.startsWith("java.lang.reflect.") || name.startsWith("jdk.internal.reflect.") ||
            name.startsWith("java.lang.invoke.");
    }

    /** Down to the handler: what called it is ours. */
    private static void putFrames(StackTraceElement[] frames, List<String> lines) {
        int end = 0;
        while (end < frames.length && !frames[end].getClassName().startsWith(OURS))
            end++;
        if (end < frames.length) {
            while (end > 0 && isCall(frames[end - 1]))
                end--;
        }
        for (int i = 0; i < end && i < FRAMES_MAX; i++)
            lines.add("\tat " + plain(frames[i]));
    }

    /** Without the names of class loaders and versions of modules. */
    private static String plain(StackTraceElement frame) {
        String where = frame.getFileName() == null ? "Unknown Source"
                       : frame.isNativeMethod()    ? "Native Method"
                       : frame.getLineNumber() < 0 ? frame.getFileName()
                                                   : frame.getFileName() + ':' + frame.getLineNumber();
        return frame.getClassName() + '.' + frame.getMethodName() + '(' + where + ')';
    }
}
