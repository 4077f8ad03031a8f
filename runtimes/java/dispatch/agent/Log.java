package dispatch.agent;

import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** What is behind System.out and System.err: the run's log. It stays open, whatever closes a stream around it. */
final class Log extends OutputStream {
    private final int stream;

    private Log(int stream) {
        this.stream = stream;
    }

    static void install() {
        System.setOut(new PrintStream(new Log(1), true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new Log(2), true, StandardCharsets.UTF_8));
    }

    @Override
    public void write(int b) {
        Native.log(stream, new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int len) {
        if (from < 0 || len < 0 || len > bytes.length - from)
            throw new IndexOutOfBoundsException();
        Native.log(stream, bytes, from, len);
    }
}
