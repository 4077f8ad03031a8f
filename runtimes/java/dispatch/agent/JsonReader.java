package dispatch.agent;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON to objects: Map, List, String, Boolean, null; Integer, Long or BigInteger, the smallest that holds an integer;
 * Double, or BigDecimal where the digits are to be kept.
 *
 * The agent library has checked the text (RFC 8259, UTF-8, nested no deeper than 512): an error here is one of the
 * agent.
 */
final class JsonReader {
    /** Longer integers take time that grows with the square of it. */
    private static final int DIGITS_MAX = 4300;
    private static final BigInteger LONG_MIN = BigInteger.valueOf(Long.MIN_VALUE);
    private static final BigInteger LONG_MAX = BigInteger.valueOf(Long.MAX_VALUE);

    private final byte[] text;
    private final boolean exact;
    private int at;

    private JsonReader(byte[] text, boolean exact) {
        this.text = text;
        this.exact = exact;
    }

    static Object read(byte[] text, boolean exact) {
        JsonReader reader = new JsonReader(text, exact);
        Object value = reader.value();
        reader.blanks();
        if (reader.at != text.length)
            throw reader.broken();
        return value;
    }

    private IllegalStateException broken() {
        return new IllegalStateException("JSON that was checked is broken at byte " + at);
    }

    private byte peek() {
        if (at >= text.length)
            throw broken();
        return text[at];
    }

    private void blanks() {
        while (at < text.length && text[at] <= ' ')
            at++;
    }

    private Object value() {
        blanks();
        switch (peek()) {
        case '{':
            return object();
        case '[':
            return array();
        case '"':
            return string();
        case 't':
            at += 4;
            return Boolean.TRUE;
        case 'f':
            at += 5;
            return Boolean.FALSE;
        case 'n':
            at += 4;
            return null;
        default:
            return number();
        }
    }

    /** Behind a member or element: true when another follows. */
    private boolean another(byte end) {
        blanks();
        byte b = peek();
        at++;
        if (b != ',' && b != end)
            throw broken();
        return b == ',';
    }

    private boolean isEmpty(byte end) {
        at++;
        blanks();
        if (peek() != end)
            return false;
        at++;
        return true;
    }

    private Map<String, Object> object() {
        Map<String, Object> map = new LinkedHashMap<>();
        if (isEmpty((byte) '}'))
            return map;
        do {
            blanks();
            String key = string();
            blanks();
            if (peek() != ':')
                throw broken();
            at++;
            map.put(key, value());
        } while (another((byte) '}'));
        return map;
    }

    private List<Object> array() {
        List<Object> list = new ArrayList<>();
        if (isEmpty((byte) ']'))
            return list;
        do {
            list.add(value());
        } while (another((byte) ']'));
        return list;
    }

    private String string() {
        if (peek() != '"')
            throw broken();
        int from = ++at;
        while (peek() != '"' && text[at] != '\\')
            at++;
        if (text[at] == '"')
            return new String(text, from, at++ - from, StandardCharsets.UTF_8);
        return escapedString(from);
    }

    private String escapedString(int from) {
        StringBuilder out = new StringBuilder();
        while (peek() != '"') {
            if (text[at] != '\\') {
                at++;
                continue;
            }
            out.append(new String(text, from, at - from, StandardCharsets.UTF_8));
            escape(out);
            from = at;
        }
        out.append(new String(text, from, at++ - from, StandardCharsets.UTF_8));
        return out.toString();
    }

    private void escape(StringBuilder out) {
        at++;
        byte b = peek();
        at++;
        switch (b) {
        case 'b':
            out.append('\b');
            break;
        case 'f':
            out.append('\f');
            break;
        case 'n':
            out.append('\n');
            break;
        case 'r':
            out.append('\r');
            break;
        case 't':
            out.append('\t');
            break;
        case 'u':
            unicode(out);
            break;
        default:
            out.append((char) b);
        }
    }

    private char hex4() {
        int c = 0;
        for (int i = 0; i < 4; i++) {
            c = c << 4 | Character.digit(peek(), 16);
            at++;
        }
        return (char) c;
    }

    /** Half a pair of surrogates is no text. */
    private void unicode(StringBuilder out) {
        char c = hex4();
        if (!Character.isSurrogate(c)) {
            out.append(c);
            return;
        }
        if (Character.isHighSurrogate(c) && at + 6 <= text.length && text[at] == '\\' && text[at + 1] == 'u') {
            int before = at;
            at += 2;
            char low = hex4();
            if (Character.isLowSurrogate(low)) {
                out.append(c).append(low);
                return;
            }
            at = before;
        }
        out.append('\ufffd');
    }

    private Object number() {
        int from = at;
        boolean integer = true;
        while (at < text.length && isOfNumber(text[at])) {
            integer &= text[at] == '-' || (text[at] >= '0' && text[at] <= '9');
            at++;
        }
        if (at == from)
            throw broken();
        int len = at - from;
        if (integer && len <= 18)
            return small(from);
        String digits = new String(text, from, len, StandardCharsets.ISO_8859_1);
        if (!integer && !exact)
            return Double.valueOf(digits);
        if (len > DIGITS_MAX)
            throw new InputProblem("Invalid Input: a number of the payload has too many digits");
        if (integer)
            return narrow(new BigInteger(digits));
        try {
            return new BigDecimal(digits);
        } catch (NumberFormatException error) { // an exponent beyond what it can hold
            return Double.valueOf(digits);
        }
    }

    private static boolean isOfNumber(byte b) {
        return (b >= '0' && b <= '9') || b == '-' || b == '+' || b == '.' || b == 'e' || b == 'E';
    }

    private Object small(int from) {
        long value = 0;
        for (int i = text[from] == '-' ? from + 1 : from; i < at; i++)
            value = value * 10 + text[i] - '0';
        if (text[from] == '-')
            value = -value;
        if (value == (int) value)
            return (int) value;
        return value;
    }

    private static Object narrow(BigInteger value) {
        if (value.compareTo(LONG_MIN) < 0 || value.compareTo(LONG_MAX) > 0)
            return value;
        long small = value.longValue();
        if (small == (int) small)
            return (int) small;
        return small;
    }
}
