package dispatch.agent;

import java.io.File;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Where a function's classes are: compiled from its source, in the source as they are, in its jars, and in those of
 * its image.
 */
final class ClassPath {
    /** Where the build puts what it compiled, below the source. */
    static final String CLASSES = ".dispatch/classes";
    private static final String RESOURCES = "src/main/resources", LIBRARIES = "lib";
    /** The image's dependencies. */
    private static final String[] IMAGE = {"/usr/local/share/dispatch/java"};

    /** What a function may see of the agent. */
    private static final class Api extends ClassLoader {
        private static final List<String> NAMES = Arrays.asList("dispatch.Response", "dispatch.InputError");

        Api() {
            super(ClassLoader.getPlatformClassLoader());
        }

        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            if (NAMES.contains(name))
                return Class.forName(name, true, Api.class.getClassLoader());
            throw new ClassNotFoundException(name);
        }
    }

    private ClassPath() {
    }

    /** For a function's classes: Java's own modules, what it may see of the agent, its own; nothing else. */
    static URLClassLoader loader(File folder) throws MalformedURLException {
        List<File> files = of(folder);
        URL[] urls = new URL[files.size()];
        for (int i = 0; i < urls.length; i++)
            urls[i] = files.get(i).toURI().toURL();
        return new URLClassLoader("function", urls, new Api());
    }

    static List<File> of(File folder) {
        List<File> files = new ArrayList<>();
        for (String each : new String[] {CLASSES, RESOURCES}) {
            File found = new File(folder, each);
            if (found.isDirectory())
                files.add(found);
        }
        files.add(folder);
        addJars(folder, files);
        addJars(new File(folder, LIBRARIES), files);
        for (String each : IMAGE)
            addJars(new File(each), files);
        return files;
    }

    /** By name, so that it is the same everywhere. */
    private static void addJars(File folder, List<File> files) {
        String[] names = folder.list();
        if (names == null)
            return;
        Arrays.sort(names);
        for (String name : names) {
            if (name.endsWith(".jar") && !name.startsWith("."))
                files.add(new File(folder, name));
        }
    }
}
