import java.util.Map;

/** Uses a secret: each key of the function's secrets is a member of the context's secrets. */
public class IHaveASecret {
    public Map<String, String> handle(Map<String, Object> context, Object payload) {
        Map<?, ?> secrets = (Map<?, ?>) context.get("secrets");
        if (!secrets.containsKey("password"))
            return Map.of("message", "I know nothing");
        return Map.of("message", "The password has " + ((String) secrets.get("password")).length() + " characters");
    }
}
