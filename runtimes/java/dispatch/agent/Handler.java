package dispatch.agent;

import java.io.File;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;

/**
 * The function's handler: a class that is a BiFunction, or that has a method handle(context, payload); or
 * Class::method.
 */
final class Handler {
    private static final String METHOD = "handle";

    private final Object instance; // null: the method is static
    private final Method method;   // null: the instance is a BiFunction
    private final Type contextType, payloadType;

    private Handler(Object instance, Method method, Type contextType, Type payloadType) {
        this.instance = instance;
        this.method = method;
        this.contextType = contextType;
        this.payloadType = payloadType;
    }

    /** Throws anything through code that declares nothing. */
    @SuppressWarnings("unchecked")
    static <T extends Throwable> RuntimeException rethrown(Throwable error) throws T {
        throw (T) error;
    }

    // finding it

    static Handler find(String name, File folder, ClassLoader loader) throws Throwable {
        if (name.isEmpty())
            name = defaultName(folder);
        int colons = name.indexOf("::");
        String className = colons < 0 ? name : name.substring(0, colons);
        Class<?> type = findClass(className, folder, loader);
        if (colons >= 0)
            return ofMethod(type, name.substring(colons + 2), true);
        if (BiFunction.class.isAssignableFrom(type))
            return ofBiFunction(type);
        return ofMethod(type, METHOD, false);
    }

    /** The class that the only source at the top is named after. */
    private static String defaultName(File folder) {
        List<String> names = new ArrayList<>();
        String[] all = folder.list();
        for (String name : all != null ? all : new String[0]) {
            if (name.endsWith(".java") && !name.startsWith("."))
                names.add(name.substring(0, name.length() - ".java".length()));
        }
        if (names.size() == 1)
            return names.get(0);
        throw new LoadProblem("no handler is named, and /function has " +
                              (names.isEmpty() ? "no *.java file" : "more than one *.java file") +
                              " at its top: name one as package.Class");
    }

    private static Class<?> findClass(String name, File folder, ClassLoader loader) throws ClassNotFoundException {
        try {
            return Class.forName(name, true, loader);
        } catch (ClassNotFoundException error) {
            if (!name.equals(error.getMessage()))
                throw error; // another one, that it needs
        } catch (NoClassDefFoundError error) {
            if (!String.valueOf(error.getMessage()).contains("wrong name"))
                throw error;
        }
        List<String> found = new ArrayList<>();
        File classes = new File(folder, ClassPath.CLASSES);
        if (name.indexOf('.') < 0)
            search(classes, "", name + ".class", found);
        if (found.size() == 1)
            return Class.forName(found.get(0), true, loader);
        if (found.size() > 1)
            throw new LoadProblem("there is more than one class " + name + ": name it as " + String.join(" or ", found));
        throw new LoadProblem("no class '" + name + "' in the function" +
                              (classes.isDirectory() ? "" : ", and its source has nothing that was compiled"));
    }

    /** A class in a package, by its name alone. */
    private static void search(File folder, String prefix, String file, List<String> found) {
        String[] names = folder.list();
        if (names == null)
            return;
        java.util.Arrays.sort(names);
        for (String name : names) {
            if (name.equals(file))
                found.add(prefix + name.substring(0, name.length() - ".class".length()));
            else if (name.indexOf('.') < 0)
                search(new File(folder, name), prefix + name + '.', file, found);
        }
    }

    private static Object instanceOf(Class<?> type) throws Throwable {
        if (Modifier.isAbstract(type.getModifiers()))
            throw new LoadProblem("class " + type.getName() + " is abstract");
        Constructor<?> constructor;
        try {
            constructor = type.getDeclaredConstructor();
        } catch (NoSuchMethodException error) {
            throw new LoadProblem("class " + type.getName() + " has no constructor without parameters");
        }
        constructor.setAccessible(true);
        try {
            return constructor.newInstance();
        } catch (InvocationTargetException error) {
            throw error.getCause();
        }
    }

    private static Handler ofBiFunction(Class<?> type) throws Throwable {
        Type[] arguments = {Object.class, Object.class, Object.class};
        resolve(type, new TypeVariable<?>[0], new Type[0], arguments);
        return new Handler(instanceOf(type), null, arguments[0], arguments[1]);
    }

    /** What the parameters of BiFunction are for a class: up through its superclasses and interfaces. */
    private static boolean resolve(Type type, TypeVariable<?>[] names, Type[] values, Type[] into) {
        Class<?> raw = Binder.raw(type);
        Type[] arguments = type instanceof ParameterizedType ? ((ParameterizedType) type).getActualTypeArguments() : new Type[0];
        for (int i = 0; i < arguments.length; i++) {
            for (int k = 0; k < names.length && k < values.length; k++) {
                if (arguments[i].equals(names[k]))
                    arguments[i] = values[k];
            }
        }
        if (raw == BiFunction.class) {
            for (int i = 0; i < arguments.length; i++)
                into[i] = arguments[i];
            return true;
        }
        for (Type each : raw.getGenericInterfaces()) {
            if (resolve(each, raw.getTypeParameters(), arguments, into))
                return true;
        }
        Type above = raw.getGenericSuperclass();
        return above != null && resolve(above, raw.getTypeParameters(), arguments, into);
    }

    /** A method that is named may be a private matter of its class; one that is only there must be public. */
    private static Handler ofMethod(Class<?> type, String name, boolean named) throws Throwable {
        List<Method> found = new ArrayList<>();
        for (Class<?> at = type; at != null && at != Object.class && found.isEmpty(); at = at.getSuperclass()) {
            for (Method method : at.getDeclaredMethods()) {
                boolean open = Modifier.isPublic(method.getModifiers()) || named;
                if (method.getName().equals(name) && method.getParameterCount() == 2 && open && !method.isBridge())
                    found.add(method);
            }
        }
        if (found.isEmpty())
            throw new LoadProblem("class " + type.getName() + (named ? " has no" : " is no java.util.function.BiFunction and has no public") +
                                  " method " + name + "(context, payload)");
        if (found.size() > 1)
            throw new LoadProblem("class " + type.getName() + " has more than one method " + name + " of two parameters");
        Method method = found.get(0);
        method.setAccessible(true);
        Type[] parameters = method.getGenericParameterTypes();
        Object instance = Modifier.isStatic(method.getModifiers()) ? null : instanceOf(type);
        return new Handler(instance, method, parameters[0], parameters[1]);
    }

    // calling it

    private Object payload(Invocation invocation) {
        switch (invocation.kind) {
        case Invocation.NONE:
            return Binder.bind(null, payloadType, "payload");
        case Invocation.BYTES:
            return Binder.bind(invocation.payload, payloadType, "payload");
        case Invocation.TEXT:
            return payloadType == byte[].class ? invocation.payload
                : Binder.bind(new String(invocation.payload, StandardCharsets.UTF_8), payloadType, "payload");
        default:
            if (payloadType == byte[].class)
                return invocation.payload; // as it was sent
            boolean exact = !Binder.takesAnything(payloadType);
            return Binder.bind(JsonReader.read(invocation.payload, exact), payloadType, "payload");
        }
    }

    @SuppressWarnings("unchecked")
    Object call(Invocation invocation) throws Throwable {
        Object payload = payload(invocation);
        Object context = Binder.bind(JsonReader.read(invocation.context, false), contextType, "context");
        invocation.payload = invocation.context = null;
        if (method == null)
            return ((BiFunction<Object, Object, Object>) instance).apply(context, payload);
        try {
            return method.invoke(instance, context, payload);
        } catch (InvocationTargetException error) {
            throw error.getCause();
        }
    }
}
