import java.util.Map;
import java.util.function.BiFunction;

/** The function of the quickstart: greets, and shows how a handler logs. */
public class Hello implements BiFunction<Map<String, Object>, Map<String, Object>, Object> {
    @Override
    public Object apply(Map<String, Object> context, Map<String, Object> payload) {
        Map<String, Object> given = payload != null ? payload : Map.of();
        System.out.println("messages to stdout show up in logs");
        return Map.of("myField", "Hello, " + given.getOrDefault("name", "Noone") + " from " + given.getOrDefault("place", "Nowhere"));
    }
}
