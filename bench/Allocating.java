import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Allocates beside a set of old data, with collections on demand and thread dumps in between. Says when it is
 * quiet, before and after, and goes on with each line it is given.
 */
class Allocating {
    private static final int KEPT = 40;
    private static final List<byte[]> OLD = new ArrayList<>();
    static volatile Object sink;

    public static void main(String[] given) throws InterruptedException, IOException {
        long busyNs = Long.parseLong(given[0]) * 1_000_000L;
        long demandNs = Long.parseLong(given[1]) * 1_000_000L;
        Random random = new Random(1);
        for (int i = 0; i < KEPT; i++) {
            OLD.add(new byte[1 << 19]);
        }
        waitQuietly();
        long begin = System.nanoTime();
        long demand = begin + demandNs;
        long dump = begin;
        while (System.nanoTime() - begin < busyNs) {
            for (int i = 0; i < 200; i++) {
                sink = new byte[64 + random.nextInt(16384)];
            }
            OLD.set(random.nextInt(KEPT), new byte[1 << 19]);
            Thread.sleep(1);
            if (System.nanoTime() > dump) {
                sink = Thread.getAllStackTraces();
                dump += 130_000_000L;
            }
            if (System.nanoTime() > demand) {
                System.gc();
                demand += demandNs;
            }
        }
        waitQuietly();
    }

    private static void waitQuietly() throws InterruptedException, IOException {
        Thread.sleep(300);
        System.out.println("quiet");
        System.in.read();
    }
}
