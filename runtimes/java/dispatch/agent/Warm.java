package dispatch.agent;

import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.BiFunction;

/** Loads the classes, and has the code compiled, that functions would wait for otherwise. A handler itself, to that end. */
public final class Warm implements BiFunction<Map<String, Object>, Object, Object> {
    private static final int ROUNDS = 300; // the first compiler takes a method that was called 200 times
    private static boolean done;

    @Override
    public Object apply(Map<String, Object> context, Object payload) {
        return payload;
    }

    public Object handle(Map<String, Object> context, Object payload) {
        return payload;
    }

    private static byte[] text() {
        return "{\"a\":[1,2.5,\"b\\n\",true,null],\"c\":{\"d\":\"e\"}}".getBytes(StandardCharsets.UTF_8);
    }

    /** What the first run needs. */
    static void json() {
        if (!done)
            Result.of(JsonReader.read(text(), false), Long.MAX_VALUE);
    }

    /** All that comes before the handler's own code; called by the library while nobody knows yet which that is. */
    static void all() throws Throwable {
        File jar = new File(Native.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        File folder = jar.getParentFile();
        try (URLClassLoader loader = ClassPath.loader(folder)) {
            Handler handler = Handler.find(Warm.class.getName() + "::handle", folder, loader);
            for (int i = 0; i < ROUNDS; i++)
                Result.of(handler.call(invocation()), Long.MAX_VALUE);
        }
        Handler.find(Warm.class.getName(), folder, Warm.class.getClassLoader()).call(invocation());
        Problem.of(new IllegalStateException("none"));
        done = true;
    }

    private static Invocation invocation() {
        Invocation invocation = new Invocation();
        invocation.payload = text();
        invocation.context = text();
        return invocation;
    }
}
