import java.math.BigDecimal;
import java.util.Map;

/** A function with schemas: what does not fit them never reaches it, and what it returns is held to them too. */
public class Order {
    public record Input(int count, BigDecimal price) {
    }

    public record Invoice(BigDecimal total) {
    }

    public Invoice handle(Map<String, Object> context, Input order) {
        BigDecimal price = order.price() != null ? order.price() : BigDecimal.ONE;
        return new Invoice(price.multiply(BigDecimal.valueOf(order.count())).stripTrailingZeros());
    }
}
