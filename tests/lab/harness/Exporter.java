import com.sun.net.httpserver.HttpServer;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

/** Allocates, and shows its collectors' beans as client_java does. */
public class Exporter {
    static volatile Object sink;

    static String page() {
        StringBuilder text = new StringBuilder("# TYPE jvm_gc_collection_seconds summary\n");
        for (GarbageCollectorMXBean gc : ManagementFactory.getGarbageCollectorMXBeans()) {
            String labels = "{gc=\"" + gc.getName() + "\",} ";
            text.append("jvm_gc_collection_seconds_count" + labels + (double) gc.getCollectionCount() + "\n");
            text.append("jvm_gc_collection_seconds_sum" + labels + gc.getCollectionTime() / 1000.0 + "\n");
        }
        double started = ManagementFactory.getRuntimeMXBean().getStartTime() / 1000.0;
        return text + "process_start_time_seconds " + started + "\n";
    }

    public static void main(String[] arguments) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
        server.createContext("/metrics", exchange -> {
            byte[] body = page().getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "text/plain; version=0.0.4");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        Object[] kept = new Object[20_000];
        for (int number = 0; ; number++) {
            sink = kept[number % kept.length] = new byte[1024];
            if (number % 100 == 0) Thread.sleep(0, 500_000);
        }
    }
}
