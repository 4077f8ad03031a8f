import java.util.Map;

/** Gives back what it got. */
public class Echo {
    public Object handle(Map<String, Object> context, Object payload) {
        return payload;
    }
}
