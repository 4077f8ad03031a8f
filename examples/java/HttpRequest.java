import dispatch.Response;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An endpoint's function: looks at method, query and header fields, and answers with a status and fields of its own. */
public class HttpRequest {
    /** The part of the context that it looks at. */
    public record Context(Request request) {
    }

    public record Request(String method, Map<String, List<String>> header) {
    }

    public Response handle(Context context, Map<String, Object> payload) {
        Request request = context.request();
        if (request.method().equals("DELETE"))
            return new Response(Map.of("error", "this stays")).status(403);
        Object name = payload.getOrDefault("name", "stranger");
        if (request.header().getOrDefault("Accept", List.of("")).get(0).contains("text/html"))
            return new Response("<p>Hello, " + name + "</p>\n").header("Content-Type", "text/html; charset=utf-8");
        Map<String, Object> hello = new LinkedHashMap<>();
        hello.put("hello", name);
        hello.put("method", request.method());
        return new Response(hello).header("Cache-Control", "no-store");
    }
}
