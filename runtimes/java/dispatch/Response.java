package dispatch;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A reply with a status and header fields of its own.
 *
 * <pre>return new Response(Map.of("error", "gone")).status(410).header("Cache-Control", "no-store");</pre>
 *
 * The body is a byte[] (application/octet-stream), a String (text/plain; charset=utf-8), null (no body), or anything
 * that a handler may return. A header's value may be a Collection: the field is repeated then. A Content-Type among
 * the headers wins over the defaults above.
 */
public final class Response {
    private final Object body;
    private int status = 200;
    private final Map<String, Object> headers = new LinkedHashMap<>();

    public Response() {
        this(null);
    }

    public Response(Object body) {
        this.body = body;
    }

    public Response(Object body, int status, Map<String, ?> headers) {
        this(body);
        this.status = status;
        if (headers != null)
            this.headers.putAll(headers);
    }

    public Response status(int status) {
        this.status = status;
        return this;
    }

    /** Sets a field; what it had before is replaced. */
    public Response header(String name, Object value) {
        headers.put(name, value);
        return this;
    }

    public Object body() {
        return body;
    }

    public int status() {
        return status;
    }

    public Map<String, Object> headers() {
        return Collections.unmodifiableMap(headers);
    }
}
