import java.io.IOException;
import java.util.Map;

/** Logs in each way there is; `count` says how many lines. */
public class Logs {
    public record Input(int count) {
    }

    public void handle(Map<String, Object> context, Input input) throws IOException, InterruptedException {
        for (int number = 1; number <= input.count(); number++)
            System.out.println("line " + number);
        System.err.println("something is odd");
        new ProcessBuilder("echo", "child processes log too").inheritIO().start().waitFor();
    }
}
