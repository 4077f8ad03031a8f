package dispatch.agent;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * Compiles a function's source, which is the working directory, when the function is built (the manifest's
 * `compile`): src/main/java where it is laid out like that, else every .java file but those of src/test. A source
 * without any, of jars or classes, is as it should be. What is wrong is one line on standard output.
 */
public final class Compile {
    private static final String MAVEN_SOURCES = "src/main/java", TESTS = "src/test";

    private Compile() {
    }

    public static void main(String[] args) throws IOException {
        File folder = new File("").getAbsoluteFile();
        File maven = new File(folder, MAVEN_SOURCES);
        List<File> files = new ArrayList<>();
        collect(folder, maven.isDirectory() ? maven : folder, files);
        if (files.isEmpty())
            return;
        String problem = compile(folder, files, args);
        if (problem == null)
            return;
        System.out.println(problem);
        System.exit(1);
    }

    private static void collect(File top, File folder, List<File> into) {
        String[] names = folder.list();
        if (names == null)
            return;
        Arrays.sort(names);
        for (String name : names) {
            File file = new File(folder, name);
            if (name.startsWith(".") || file.equals(new File(top, TESTS)))
                continue;
            if (name.endsWith(".java") && file.isFile())
                into.add(file);
            else if (file.isDirectory())
                collect(top, file, into);
        }
    }

    /** NULL: all is well. */
    private static String compile(File folder, List<File> files, String[] api) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        if (compiler == null)
            return "this image has no Java compiler: its base needs a JDK (default-jdk-headless), not a JRE alone";
        File classes = new File(folder, ClassPath.CLASSES);
        if (classes.exists())
            return "the source has a folder " + ClassPath.CLASSES + ", where the build puts what it compiles: remove it";
        if (!classes.mkdirs())
            return "the folder " + ClassPath.CLASSES + " cannot be made";
        DiagnosticCollector<JavaFileObject> told = new DiagnosticCollector<>();
        try (StandardJavaFileManager manager = compiler.getStandardFileManager(told, Locale.ROOT, null)) {
            // Concatenation the old way: the new one builds its code at run time, which every first run would pay for.
            List<String> options = Arrays.asList("-d", classes.getPath(), "-g", "-parameters", "-nowarn", "-Xlint:none",
                                                 "-proc:none",
                                                 "-XDstringConcat=inline",
                                                 "-encoding", "UTF-8", "-implicit:none", "-Xmaxerrs", "100",
                                                 "-classpath", classPath(folder, api));
            Iterable<? extends JavaFileObject> units = manager.getJavaFileObjectsFromFiles(files);
            if (compiler.getTask(null, manager, told, options, null, units).call())
                return null;
        }
        return describe(folder, told.getDiagnostics());
    }

    private static String classPath(File folder, String[] api) {
        StringBuilder path = new StringBuilder();
        for (String each : api)
            path.append(each).append(File.pathSeparatorChar);
        for (File each : ClassPath.of(folder))
            path.append(each.getPath()).append(File.pathSeparatorChar);
        path.setLength(path.length() - 1);
        return path.toString();
    }

    /** Hello.java:3: ';' expected (and 2 more errors) */
    private static String describe(File folder, List<Diagnostic<? extends JavaFileObject>> told) {
        String first = null;
        int count = 0;
        for (Diagnostic<? extends JavaFileObject> each : told) {
            if (each.getKind() != Diagnostic.Kind.ERROR)
                continue;
            if (count++ == 0)
                first = one(folder, each);
        }
        if (first == null)
            return "the compiler failed without saying why";
        return count == 1 ? first : first + " (and " + (count - 1) + " more error" + (count == 2 ? ")" : "s)");
    }

    private static String one(File folder, Diagnostic<? extends JavaFileObject> diagnostic) {
        String message = diagnostic.getMessage(Locale.ENGLISH).replaceAll("\\s*\\R\\s*", "; ");
        JavaFileObject file = diagnostic.getSource();
        if (file == null)
            return message;
        String name = new File(file.getName()).getAbsolutePath(), top = folder.getPath() + File.separator;
        if (name.startsWith(top))
            name = name.substring(top.length());
        return name + ':' + diagnostic.getLineNumber() + ": " + message;
    }
}
