package dispatch.agent;

import dispatch.Response;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What a handler returned, as the reply: status, content type, header fields and body. */
final class Result {
    private static final String JSON = "application/json", TEXT = "text/plain; charset=utf-8",
                                BYTES = "application/octet-stream";

    private int status; // 0: the agent library's default
    private String type;
    private List<byte[]> fields;
    private byte[] body;
    private int len = Native.WHOLE;
    private final long max;

    private Result(long max) {
        this.max = max;
    }

    /** ResultProblem: it cannot be sent. */
    static Result of(Object value, long max) {
        Result result = new Result(max);
        try {
            if (value instanceof Response)
                result.respond((Response) value);
            else if (value instanceof byte[])
                result.bytes((byte[]) value, BYTES);
            else
                result.json(value);
        } catch (ResultProblem problem) {
            throw problem;
        } catch (RuntimeException error) { // of an object that is the function's own
            throw new ResultProblem("the result cannot be sent: " + error);
        }
        return result;
    }

    void send() {
        byte[][] pairs = fields != null ? fields.toArray(new byte[0][]) : null;
        Native.reply(status, type != null ? utf8(type) : null, pairs, body, len);
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private void bytes(byte[] bytes, String usual) {
        if (bytes.length > max)
            throw JsonWriter.tooLarge(max);
        body = bytes;
        if (type == null)
            type = usual;
    }

    private void json(Object value) {
        JsonWriter writer = new JsonWriter(max);
        writer.value(value);
        if (writer.length() > max)
            throw JsonWriter.tooLarge(max);
        body = writer.bytes();
        len = writer.length();
        if (type == null)
            type = JSON;
    }

    private void respond(Response response) {
        status = response.status();
        if (status < 200 || status > 599)
            throw new ResultProblem("the response cannot be sent: status " + status + " is not a number from 200 to 599");
        fields = new ArrayList<>();
        for (Map.Entry<String, Object> entry : response.headers().entrySet()) {
            if (entry.getValue() instanceof Iterable) {
                for (Object each : (Iterable<?>) entry.getValue())
                    field(entry.getKey(), each);
            } else {
                field(entry.getKey(), entry.getValue());
            }
        }
        Object value = response.body();
        if (value instanceof byte[])
            bytes((byte[]) value, BYTES);
        else if (value instanceof CharSequence)
            bytes(utf8(value.toString()), TEXT);
        else if (value != null)
            json(value);
    }

    private void field(String name, Object value) {
        String lower = String.valueOf(name).toLowerCase(Locale.ROOT), text = String.valueOf(value);
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == 0 || c == '\r' || c == '\n')
                throw new ResultProblem("the response cannot be sent: header field '" + lower + "' is not allowed");
        }
        if (lower.equals("content-type")) {
            type = text;
            return;
        }
        fields.add(utf8(lower));
        fields.add(utf8(text));
    }
}
