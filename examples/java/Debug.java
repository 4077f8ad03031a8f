import java.util.HashMap;
import java.util.Map;

/** Shows what a handler sees: the context and the payload. */
public class Debug {
    public Map<String, Object> handle(Map<String, Object> context, Object payload) {
        Map<String, Object> seen = new HashMap<>();
        seen.put("context", context);
        seen.put("payload", payload);
        return seen;
    }
}
