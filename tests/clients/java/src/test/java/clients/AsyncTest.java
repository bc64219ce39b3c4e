package clients;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.azure.core.exception.ResourceNotFoundException;
import com.azure.core.util.polling.AsyncPollResponse;
import com.azure.core.util.polling.LongRunningOperationStatus;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;

/** The asynchronous client: many certificates at once. */
class AsyncTest {
    @Test
    void manyCertificatesAreIssuedAtOnce() {
        var client = World.certificatesOf("java-async").buildAsyncClient();
        var issued = Flux.range(0, 8)
                .flatMap(number -> client.beginCreateCertificate("async-" + number, World.policy("Self", "async"))
                        .setPollInterval(Duration.ofMillis(20))
                        .last()
                        .doOnNext(end ->
                                assertEquals(LongRunningOperationStatus.SUCCESSFULLY_COMPLETED, end.getStatus()))
                        .flatMap(AsyncPollResponse::getFinalResult))
                .collectList()
                .block(Duration.ofSeconds(120));
        assertEquals(8, issued.size());
        for (var certificate : issued) {
            var read = client.getCertificate(certificate.getName()).block();
            assertArrayEquals(certificate.getCer(), read.getCer());
        }
        assertEquals(8, client.listPropertiesOfCertificates().count().block());
        assertThrows(ResourceNotFoundException.class, () -> client.getCertificate("none").block());
    }
}
