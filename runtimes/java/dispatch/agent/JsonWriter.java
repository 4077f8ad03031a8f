package dispatch.agent;

import java.io.File;
import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URI;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.temporal.TemporalAccessor;
import java.time.temporal.TemporalAmount;
import java.util.Arrays;
import java.util.Base64;
import java.util.Date;
import java.util.Iterator;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.BaseStream;

/**
 * Objects to JSON in UTF-8, bounded in depth and length: Map, Iterable, Stream and arrays, numbers, booleans, text,
 * byte[] as base64, enums by name, dates and the like as ISO 8601 text, Optional as what is in it, a function's own
 * classes by their properties (Beans).
 */
final class JsonWriter {
    private static final int DEPTH_MAX = 512; // JSON_SCAN_DEPTH_MAX
    private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);

    private static final int SLACK = 16; // room is made for more than is needed

    private final long max;
    private byte[] out = new byte[256];
    private int len;
    private int depth;

    JsonWriter(long max) {
        this.max = max;
    }

    byte[] bytes() {
        return out;
    }

    int length() {
        return len;
    }

    static ResultProblem tooLarge(long max) {
        return new ResultProblem("the result cannot be sent: it is larger than reply-bytes-max, " + max + " bytes");
    }

    private static ResultProblem unusable(String why) {
        return new ResultProblem("the result cannot be sent as JSON: " + why);
    }

    private void reserve(int extra) {
        if (extra <= out.length - len)
            return;
        long wanted = (long) len + extra;
        if (wanted > max + SLACK)
            throw tooLarge(max);
        out = Arrays.copyOf(out, (int) Math.max(wanted, Math.min(2L * out.length, max)));
    }

    private void put(char ascii) {
        reserve(1);
        out[len++] = (byte) ascii;
    }

    @SuppressWarnings("deprecation") // the cheapest there is for text that is known to be ASCII
    private void ascii(String text) {
        reserve(text.length());
        text.getBytes(0, text.length(), out, len);
        len += text.length();
    }

    void value(Object value) {
        if (value == null)
            ascii("null");
        else if (value instanceof CharSequence || value instanceof Character)
            string(value.toString());
        else if (value instanceof Number)
            number((Number) value);
        else if (value instanceof Boolean || value instanceof AtomicBoolean)
            ascii(value.toString());
        else if (value instanceof Enum)
            string(((Enum<?>) value).name());
        else
            nested(value);
    }

    private void nested(Object value) {
        if (++depth > DEPTH_MAX)
            throw unusable("it is nested deeper than " + DEPTH_MAX + " levels; is there a cycle in it?");
        if (value instanceof Map)
            map((Map<?, ?>) value);
        else if (!text(value) && !holder(value) && !sequence(value))
            bean(value);
        depth--;
    }

    private static boolean isText(Object value) {
        return value instanceof TemporalAccessor || value instanceof TemporalAmount || value instanceof UUID ||
            value instanceof URI || value instanceof URL || value instanceof Path || value instanceof File ||
            value instanceof Locale;
    }

    private boolean text(Object value) {
        if (isText(value))
            string(value.toString());
        else if (value instanceof Date)
            string(java.time.Instant.ofEpochMilli(((Date) value).getTime()).toString());
        else if (value instanceof byte[])
            string(Base64.getEncoder().encodeToString((byte[]) value));
        else
            return false;
        return true;
    }

    private boolean holder(Object value) {
        if (value instanceof Optional)
            value(((Optional<?>) value).orElse(null));
        else if (value instanceof OptionalInt)
            value(((OptionalInt) value).isPresent() ? ((OptionalInt) value).getAsInt() : null);
        else if (value instanceof OptionalLong)
            value(((OptionalLong) value).isPresent() ? ((OptionalLong) value).getAsLong() : null);
        else if (value instanceof OptionalDouble)
            value(((OptionalDouble) value).isPresent() ? ((OptionalDouble) value).getAsDouble() : null);
        else if (value instanceof AtomicReference)
            value(((AtomicReference<?>) value).get());
        else
            return false;
        return true;
    }

    private boolean sequence(Object value) {
        if (value instanceof Iterable)
            elements(((Iterable<?>) value).iterator());
        else if (value instanceof BaseStream)
            elements(((BaseStream<?, ?>) value).iterator());
        else if (value instanceof Iterator)
            elements((Iterator<?>) value);
        else if (value.getClass().isArray())
            array(value);
        else
            return false;
        return true;
    }

    private void elements(Iterator<?> each) {
        put('[');
        for (boolean first = true; each.hasNext(); first = false) {
            if (!first)
                put(',');
            value(each.next());
        }
        put(']');
    }

    private void array(Object array) {
        put('[');
        int size = Array.getLength(array);
        for (int i = 0; i < size; i++) {
            if (i > 0)
                put(',');
            value(Array.get(array, i));
        }
        put(']');
    }

    private static String key(Object key) {
        if (key == null)
            throw unusable("a Map has null as a key");
        return key instanceof Enum ? ((Enum<?>) key).name() : key.toString();
    }

    private void map(Map<?, ?> map) {
        put('{');
        boolean first = true;
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            if (!first)
                put(',');
            first = false;
            string(key(entry.getKey()));
            put(':');
            value(entry.getValue());
        }
        put('}');
    }

    private void bean(Object value) {
        Class<?> type = value.getClass();
        if (!Beans.isOpen(type))
            throw unusable("there is a " + type.getName() + " in it");
        Map<String, Beans.Property> properties = Beans.readable(type);
        if (properties.isEmpty())
            throw unusable("there is a " + type.getName() + " in it, which has no properties");
        put('{');
        boolean first = true;
        for (Map.Entry<String, Beans.Property> entry : properties.entrySet()) {
            if (!first)
                put(',');
            first = false;
            string(entry.getKey());
            put(':');
            value(property(type, entry.getKey(), entry.getValue(), value));
        }
        put('}');
    }

    private static Object property(Class<?> type, String name, Beans.Property property, Object of) {
        try {
            return property.get(of);
        } catch (InvocationTargetException error) {
            throw unusable("the getter of " + type.getName() + '.' + name + " threw " + error.getCause());
        } catch (IllegalAccessException error) {
            throw unusable(error.getMessage());
        }
    }

    private void number(Number value) {
        if (value instanceof Double || value instanceof Float) {
            if (Double.isNaN(value.doubleValue()) || Double.isInfinite(value.doubleValue()))
                throw unusable("JSON has no number " + value);
            ascii(value.toString());
        } else if (value.getClass().getModule() == Object.class.getModule()) {
            ascii(value.toString()); // an integer of some kind, or a BigDecimal
        } else if (value instanceof BigInteger || value instanceof BigDecimal) {
            ascii(new BigDecimal(value.toString()).toString());
        } else {
            number(value.doubleValue());
        }
    }

    private void string(String text) {
        put('"');
        int size = text.length();
        for (int i = 0; i < size; i++) {
            char c = text.charAt(i);
            if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\')
                put(c);
            else if (c < 0x80)
                escape(c);
            else
                i += wide(text, i);
        }
        put('"');
    }

    private void escape(char c) {
        int at = "\"\\\b\f\n\r\t".indexOf(c);
        put('\\');
        if (at >= 0) {
            put("\"\\bfnrt".charAt(at));
            return;
        }
        ascii("u00");
        put((char) HEX[c >> 4]);
        put((char) HEX[c & 15]);
    }

    /** A character beyond ASCII; returns how many chars it takes beside the one at i. Half a pair is no text. */
    private int wide(String text, int i) {
        int c = text.codePointAt(i);
        int taken = Character.charCount(c) - 1;
        if (c >= 0xd800 && c <= 0xdfff)
            c = 0xfffd;
        reserve(4);
        if (c < 0x800) {
            out[len++] = (byte) (0xc0 | c >> 6);
        } else if (c < 0x10000) {
            out[len++] = (byte) (0xe0 | c >> 12);
            out[len++] = (byte) (0x80 | (c >> 6 & 0x3f));
        } else {
            out[len++] = (byte) (0xf0 | c >> 18);
            out[len++] = (byte) (0x80 | (c >> 12 & 0x3f));
            out[len++] = (byte) (0x80 | (c >> 6 & 0x3f));
        }
        out[len++] = (byte) (0x80 | (c & 0x3f));
        return taken;
    }
}
