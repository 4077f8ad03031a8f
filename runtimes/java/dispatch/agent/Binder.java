package dispatch.agent;

import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;

/**
 * Makes of a payload what the handler declares: of parsed JSON a type of Java, or of the function's own. What does
 * not fit is an InputProblem that says where.
 */
final class Binder {
    /** Beyond such an exponent a number is not written out in digits. */
    private static final int SCALE_MAX = 4300;

    private Binder() {
    }

    /** Does the type take whatever JSON there is, as it is? */
    static boolean takesAnything(Type type) {
        Class<?> raw = raw(type);
        return raw == Object.class || (type == raw && (raw == Map.class || raw == List.class || raw == Collection.class)) ||
            isMapOfObjects(type);
    }

    private static boolean isMapOfObjects(Type type) {
        if (!(type instanceof ParameterizedType))
            return false;
        Type[] arguments = ((ParameterizedType) type).getActualTypeArguments();
        Class<?> raw = raw(type);
        boolean map = raw == Map.class && raw(arguments[0]) == String.class;
        boolean list = raw == List.class || raw == Collection.class;
        return (map || list) && raw(arguments[arguments.length - 1]) == Object.class;
    }

    static Class<?> raw(Type type) {
        if (type instanceof Class)
            return (Class<?>) type;
        if (type instanceof ParameterizedType)
            return (Class<?>) ((ParameterizedType) type).getRawType();
        if (type instanceof GenericArrayType)
            return Array.newInstance(raw(((GenericArrayType) type).getGenericComponentType()), 0).getClass();
        if (type instanceof WildcardType)
            return raw(((WildcardType) type).getUpperBounds()[0]);
        return raw(((TypeVariable<?>) type).getBounds()[0]);
    }

    private static Type argument(Type type, int index) {
        if (type instanceof ParameterizedType) {
            Type[] arguments = ((ParameterizedType) type).getActualTypeArguments();
            if (index < arguments.length)
                return arguments[index];
        }
        return Object.class;
    }

    private static String kindOf(Object value) {
        if (value == null)
            return "null";
        if (value instanceof Map)
            return "an object";
        if (value instanceof List)
            return "an array";
        if (value instanceof String)
            return "a string";
        if (value instanceof Boolean)
            return "a boolean";
        return value instanceof byte[] ? "bytes" : "a number";
    }

    private static InputProblem wrong(Object value, String where, String wanted) {
        return new InputProblem("Invalid Input: " + where + " is " + kindOf(value) + ", and the function takes " + wanted);
    }

    /** `where` names the value in a message: payload.items[0]. */
    static Object bind(Object value, Type type, String where) {
        Class<?> raw = raw(type);
        if (raw == Object.class)
            return natural(value);
        if (raw == Optional.class)
            return Optional.ofNullable(value == null ? null : bind(value, argument(type, 0), where));
        if (value == null) {
            if (raw.isPrimitive())
                throw wrong(null, where, "a " + raw.getName());
            return null;
        }
        if (raw.isPrimitive() || Number.class.isAssignableFrom(raw) || raw == Boolean.class || raw == Character.class)
            return scalar(value, raw, where);
        if (Map.class.isAssignableFrom(raw))
            return map(value, type, raw, where);
        if (Collection.class.isAssignableFrom(raw) || raw == Iterable.class)
            return collection(value, type, raw, where);
        if (raw.isArray())
            return array(value, type, raw, where);
        if (raw.isInstance(value)) // text, or what the payload is otherwise
            return value;
        if (value instanceof String)
            return text((String) value, raw, where);
        if (value instanceof Map && Beans.isOpen(raw))
            return raw.isRecord() ? record((Map<?, ?>) value, raw, where) : bean((Map<?, ?>) value, raw, where);
        throw wrong(value, where, nameOf(raw));
    }

    private static String nameOf(Class<?> raw) {
        return raw == String.class || raw.isEnum() ? "a string" : "a " + raw.getSimpleName();
    }

    /** Without the digits that were kept for whoever asks for them. */
    private static Object natural(Object value) {
        if (value instanceof BigDecimal)
            return ((BigDecimal) value).doubleValue();
        if (value instanceof Map) {
            for (Map.Entry<String, Object> entry : asMap(value).entrySet())
                entry.setValue(natural(entry.getValue()));
        } else if (value instanceof List) {
            asList(value).replaceAll(new java.util.function.UnaryOperator<Object>() {
                @Override
                public Object apply(Object each) {
                    return natural(each);
                }
            });
        }
        return value;
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> asMap(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static List<Object> asList(Object value) {
        return (List<Object>) value;
    }

    private static Object scalar(Object value, Class<?> raw, String where) {
        if (raw == boolean.class || raw == Boolean.class) {
            if (value instanceof Boolean)
                return value;
            throw wrong(value, where, "a boolean");
        }
        if (raw == char.class || raw == Character.class) {
            if (value instanceof String && ((String) value).length() == 1)
                return ((String) value).charAt(0);
            throw wrong(value, where, "a character");
        }
        if (!(value instanceof Number))
            throw wrong(value, where, "a number");
        return number((Number) value, raw, where);
    }

    private static Object number(Number value, Class<?> raw, String where) {
        if (raw == double.class || raw == Double.class)
            return value.doubleValue();
        if (raw == float.class || raw == Float.class)
            return value.floatValue();
        if (raw == Number.class)
            return natural(value);
        if (raw == BigDecimal.class)
            return value instanceof BigDecimal ? value : new BigDecimal(value.toString());
        BigInteger whole = whole(value, where);
        if (raw == BigInteger.class)
            return whole;
        try {
            if (raw == long.class || raw == Long.class)
                return whole.longValueExact();
            if (raw == int.class || raw == Integer.class)
                return whole.intValueExact();
            if (raw == short.class || raw == Short.class)
                return whole.shortValueExact();
            if (raw == byte.class || raw == Byte.class)
                return whole.byteValueExact();
        } catch (ArithmeticException error) {
            throw new InputProblem("Invalid Input: " + where + " is too large for a " + raw.getSimpleName());
        }
        throw wrong(value, where, "a " + raw.getSimpleName());
    }

    private static BigInteger whole(Number value, String where) {
        if (value instanceof BigInteger)
            return (BigInteger) value;
        if (!(value instanceof BigDecimal))
            return BigInteger.valueOf(value.longValue());
        BigDecimal exact = (BigDecimal) value;
        try {
            if (Math.abs((long) exact.scale()) <= SCALE_MAX)
                return exact.toBigIntegerExact();
        } catch (ArithmeticException error) {
            // it has a fraction
        }
        throw new InputProblem("Invalid Input: " + where + " is not an integer");
    }

    private static Object map(Object value, Type type, Class<?> raw, String where) {
        if (!(value instanceof Map))
            throw wrong(value, where, "an object");
        Type keys = argument(type, 0), values = argument(type, 1);
        if (raw.isAssignableFrom(LinkedHashMap.class) && raw(keys).isAssignableFrom(String.class) &&
            raw(values) == Object.class)
            return natural(value);
        Map<Object, Object> map = empty(raw, Map.class, raw.isInterface() && SortedMap.class.isAssignableFrom(raw)
                                                            ? TreeMap.class : LinkedHashMap.class, where);
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
            String key = (String) entry.getKey();
            map.put(keyOf(key, raw(keys), where), bind(entry.getValue(), values, where + '.' + key));
        }
        return map;
    }

    /** A member's name as what the Map has as its keys. */
    private static Object keyOf(String key, Class<?> raw, String where) {
        if (raw.isAssignableFrom(String.class))
            return key;
        if (Number.class.isAssignableFrom(raw)) {
            try {
                return number(new BigDecimal(key), raw, "a member's name of " + where);
            } catch (NumberFormatException error) {
                throw new InputProblem("Invalid Input: '" + key + "' of " + where + " is not a number");
            }
        }
        return text(key, raw, where);
    }

    private static Object collection(Object value, Type type, Class<?> raw, String where) {
        if (!(value instanceof List))
            throw wrong(value, where, "an array");
        Type elements = argument(type, 0);
        if (raw.isAssignableFrom(ArrayList.class) && raw(elements) == Object.class)
            return natural(value);
        Class<?> usual = ArrayList.class;
        if (SortedSet.class.isAssignableFrom(raw))
            usual = TreeSet.class;
        else if (java.util.Set.class.isAssignableFrom(raw))
            usual = LinkedHashSet.class;
        else if (java.util.Queue.class.isAssignableFrom(raw))
            usual = ArrayDeque.class;
        Collection<Object> collection = empty(raw, Collection.class, usual, where);
        int i = 0;
        for (Object each : (List<?>) value)
            collection.add(bind(each, elements, where + '[' + i++ + ']'));
        return collection;
    }

    /** An empty one of a class, or of `usual` where it is an interface or abstract. */
    @SuppressWarnings("unchecked")
    private static <T> T empty(Class<?> raw, Class<?> kind, Class<?> usual, String where) {
        Class<?> made = raw.isInterface() || Modifier.isAbstract(raw.getModifiers()) ? usual : raw;
        if (raw.isAssignableFrom(made) && kind.isAssignableFrom(made)) {
            try {
                return (T) made.getConstructor().newInstance();
            } catch (ReflectiveOperationException error) {
                // said below
            }
        }
        throw new ResultProblem("the function takes a " + raw.getName() + " as " + where + ", of which none can be made");
    }

    private static Object array(Object value, Type type, Class<?> raw, String where) {
        if (value instanceof byte[] && raw == byte[].class)
            return value;
        if (raw == byte[].class && value instanceof String) {
            try {
                return java.util.Base64.getDecoder().decode((String) value);
            } catch (IllegalArgumentException error) {
                throw new InputProblem("Invalid Input: " + where + " is not base64");
            }
        }
        if (!(value instanceof List))
            throw wrong(value, where, "an array");
        List<?> list = (List<?>) value;
        Type elements = type instanceof GenericArrayType ? ((GenericArrayType) type).getGenericComponentType()
                                                         : raw.getComponentType();
        Object array = Array.newInstance(raw.getComponentType(), list.size());
        for (int i = 0; i < list.size(); i++)
            Array.set(array, i, bind(list.get(i), elements, where + '[' + i + ']'));
        return array;
    }

    /** Types that are written as text: enums, java.time, UUID, URI. */
    private static Object text(String text, Class<?> raw, String where) {
        if (raw.isEnum()) {
            for (Object each : raw.getEnumConstants()) {
                if (((Enum<?>) each).name().equals(text))
                    return each;
            }
            throw new InputProblem("Invalid Input: " + where + " is none of the values of " + raw.getSimpleName());
        }
        try {
            if (raw == UUID.class)
                return UUID.fromString(text);
            if (raw == URI.class)
                return URI.create(text);
            if (raw.getName().startsWith("java.time.")) {
                Method parse = raw.getMethod("parse", CharSequence.class);
                return parse.invoke(null, text);
            }
        } catch (InvocationTargetException | IllegalArgumentException error) {
            throw new InputProblem("Invalid Input: " + where + " is not a " + raw.getSimpleName());
        } catch (ReflectiveOperationException error) {
            // such a type has no text
        }
        throw wrong(text, where, "a " + raw.getSimpleName());
    }

    private static Object record(Map<?, ?> members, Class<?> raw, String where) {
        RecordComponent[] components = raw.getRecordComponents();
        Object[] values = new Object[components.length];
        for (int i = 0; i < values.length; i++) {
            String name = components[i].getName();
            if (!members.containsKey(name) && components[i].getType().isPrimitive())
                throw new InputProblem("Invalid Input: " + where + '.' + name + " is missing");
            values[i] = bind(members.get(name), components[i].getGenericType(), where + '.' + name);
        }
        return make(Beans.canonical(raw), raw, where, values);
    }

    /** What the class throws blames the payload if it is an IllegalArgumentException, as with a handler. */
    private static Object make(Constructor<?> constructor, Class<?> raw, String where, Object... values) {
        try {
            return constructor.newInstance(values);
        } catch (InvocationTargetException error) {
            throw Handler.rethrown(error.getCause());
        } catch (ReflectiveOperationException error) {
            throw new ResultProblem("the function takes a " + raw.getName() + " as " + where + ": " + error);
        }
    }

    private static Object bean(Map<?, ?> members, Class<?> raw, String where) {
        Constructor<?> constructor;
        try {
            constructor = raw.getDeclaredConstructor();
            constructor.setAccessible(true);
        } catch (NoSuchMethodException error) {
            throw new ResultProblem("the function takes a " + raw.getName() + " as " + where +
                                    ", which has no constructor without parameters");
        }
        Object bean = make(constructor, raw, where);
        Map<String, Beans.Property> properties = Beans.settable(raw);
        for (Map.Entry<?, ?> member : members.entrySet()) {
            Beans.Property property = properties.get(member.getKey());
            if (property == null)
                continue; // a caller may send more than the function knows
            try {
                property.set(bean, bind(member.getValue(), property.type, where + '.' + member.getKey()));
            } catch (InvocationTargetException error) {
                throw Handler.rethrown(error.getCause());
            } catch (IllegalAccessException error) {
                throw new ResultProblem(error.getMessage());
            }
        }
        return bean;
    }
}
