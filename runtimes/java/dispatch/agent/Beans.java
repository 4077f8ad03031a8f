package dispatch.agent;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The properties of a function's own classes, by reflection: of a record its components; of any other class what it
 * has getters (setters) and public fields for, and where it has none of these its fields.
 */
final class Beans {
    /** A property that can be read, or one that can be set. */
    static final class Property {
        final Type type;
        private final Method method; // a getter, or a setter
        private final Field field;

        Property(Type type, Method method, Field field) {
            this.type = type;
            this.method = method;
            this.field = field;
        }

        Object get(Object of) throws InvocationTargetException, IllegalAccessException {
            return method != null ? method.invoke(of) : field.get(of);
        }

        void set(Object of, Object value) throws InvocationTargetException, IllegalAccessException {
            if (method != null)
                method.invoke(of, value);
            else
                field.set(of, value);
        }
    }

    private static final Map<Class<?>, Map<String, Property>> readable = new LinkedHashMap<>();
    private static final Map<Class<?>, Map<String, Property>> settable = new LinkedHashMap<>();

    private Beans() {
    }

    /** Is it a class of the function, whose insides may be looked at? Those of Java itself may not. */
    static boolean isOpen(Class<?> type) {
        return !type.getModule().isNamed() && !type.isArray() && !type.isPrimitive();
    }

    static Map<String, Property> readable(Class<?> type) {
        synchronized (readable) {
            Map<String, Property> found = readable.get(type);
            if (found == null) {
                found = type.isRecord() ? components(type) : getters(type);
                readable.put(type, found);
            }
            return found;
        }
    }

    static Map<String, Property> settable(Class<?> type) {
        synchronized (settable) {
            Map<String, Property> found = settable.get(type);
            if (found == null) {
                found = setters(type);
                settable.put(type, found);
            }
            return found;
        }
    }

    private static Map<String, Property> components(Class<?> type) {
        Map<String, Property> found = new LinkedHashMap<>();
        for (RecordComponent each : type.getRecordComponents()) {
            each.getAccessor().setAccessible(true);
            found.put(each.getName(), new Property(each.getGenericType(), each.getAccessor(), null));
        }
        return found;
    }

    /** The constructor of a record that takes all its components. */
    static Constructor<?> canonical(Class<?> type) {
        RecordComponent[] components = type.getRecordComponents();
        Class<?>[] types = new Class<?>[components.length];
        for (int i = 0; i < types.length; i++)
            types[i] = components[i].getType();
        try {
            Constructor<?> found = type.getDeclaredConstructor(types);
            found.setAccessible(true);
            return found;
        } catch (NoSuchMethodException error) {
            throw new IllegalStateException(error); // every record has it
        }
    }

    private static boolean isProperty(Method method, int parameters) {
        return method.getParameterCount() == parameters && !Modifier.isStatic(method.getModifiers()) &&
            !method.isBridge() && !method.isSynthetic() && method.getDeclaringClass() != Object.class &&
            Beans.isOpen(method.getDeclaringClass());
    }

    /** getName to "name"; null when the prefix is not there. */
    private static String nameBehind(String prefix, String name) {
        if (!name.startsWith(prefix) || name.length() == prefix.length() ||
            Character.isLowerCase(name.charAt(prefix.length())))
            return null;
        String rest = name.substring(prefix.length());
        if (rest.length() > 1 && Character.isUpperCase(rest.charAt(1)))
            return rest; // getURL
        return Character.toLowerCase(rest.charAt(0)) + rest.substring(1);
    }

    private static String getterName(Method method) {
        Class<?> type = method.getReturnType();
        if (!isProperty(method, 0) || type == void.class)
            return null;
        String name = nameBehind("get", method.getName());
        return name == null && (type == boolean.class || type == Boolean.class) ? nameBehind("is", method.getName()) : name;
    }

    private static Map<String, Property> getters(Class<?> type) {
        Map<String, Property> found = new LinkedHashMap<>();
        publicFields(type, found, false);
        Map<String, Property> methods = new java.util.TreeMap<>(); // reflection has no order of its own
        for (Method method : type.getMethods()) {
            String name = getterName(method);
            if (name == null)
                continue;
            method.setAccessible(true);
            methods.put(name, new Property(method.getGenericReturnType(), method, null));
        }
        order(type, methods, found);
        if (found.isEmpty())
            allFields(type, found, false);
        return found;
    }

    private static Map<String, Property> setters(Class<?> type) {
        Map<String, Property> found = new LinkedHashMap<>();
        allFields(type, found, true);
        for (Method method : type.getMethods()) {
            String name = isProperty(method, 1) ? nameBehind("set", method.getName()) : null;
            if (name == null)
                continue;
            method.setAccessible(true);
            found.put(name, new Property(method.getGenericParameterTypes()[0], method, null));
        }
        return found;
    }

    /** As the fields stand in the source, then the rest by name. */
    private static void order(Class<?> type, Map<String, Property> methods, Map<String, Property> into) {
        for (Class<?> at = type; at != null && isOpen(at); at = at.getSuperclass()) {
            for (Field field : at.getDeclaredFields()) {
                Property property = methods.remove(field.getName());
                if (property != null)
                    into.put(field.getName(), property);
            }
        }
        into.putAll(methods);
    }

    private static void put(Field field, Map<String, Property> into, boolean toSet) {
        int modifiers = field.getModifiers();
        boolean skipped = Modifier.isStatic(modifiers) || Modifier.isTransient(modifiers) || field.isSynthetic() ||
            (toSet && Modifier.isFinal(modifiers));
        if (skipped || into.containsKey(field.getName()))
            return;
        field.setAccessible(true);
        into.put(field.getName(), new Property(field.getGenericType(), null, field));
    }

    private static void publicFields(Class<?> type, Map<String, Property> into, boolean toSet) {
        for (Field field : type.getFields()) {
            if (isOpen(field.getDeclaringClass()))
                put(field, into, toSet);
        }
    }

    private static void allFields(Class<?> type, Map<String, Property> into, boolean toSet) {
        for (Class<?> at = type; at != null && isOpen(at); at = at.getSuperclass()) {
            for (Field field : at.getDeclaredFields())
                put(field, into, toSet);
        }
    }
}
