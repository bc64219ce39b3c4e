package clients;

import static clients.World.address;
import static clients.World.create;
import static clients.World.issue;
import static clients.World.operation;
import static clients.World.policy;
import static clients.World.refused;
import static clients.World.testIssuer;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.core.exception.HttpResponseException;
import com.azure.core.exception.ResourceNotFoundException;
import com.azure.core.http.HttpHeaderName;
import com.azure.core.util.Context;
import com.azure.core.util.polling.LongRunningOperationStatus;
import com.azure.security.keyvault.certificates.CertificateClient;
import com.azure.security.keyvault.certificates.models.CertificateIssuer;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.ImportCertificateOptions;
import com.azure.security.keyvault.certificates.models.MergeCertificateOptions;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The documented scenarios, as far as this client can express them. */
class ScenariosTest {
    private static final String VAULT = "java-scenarios";

    private final CertificateClient client = World.certificates(VAULT);

    @BeforeEach
    void anIssuerThatHoldsWhatItIsAsked() {
        testIssuer(client, "holds", "hold");
    }

    @Test
    void aCertificateIsRequestedFromAnIssuerAndCompletes() throws Exception {
        client.createIssuer(new CertificateIssuer("local", "LocalCA").setOrganizationId("Java Root"));
        var poller = create(client, "issued", policy("local", "issued").setCertificateType("OV-SSL"));
        var completed = poller.waitForCompletion();
        assertEquals(LongRunningOperationStatus.SUCCESSFULLY_COMPLETED, completed.getStatus());
        var operation = completed.getValue();
        assertEquals("completed", operation.getStatus());
        assertEquals("local", operation.getIssuerName());
        assertEquals(address(VAULT) + "/certificates/issued/pending", operation.getId());
        assertTrue(operation.getRequestId().matches("[0-9a-f]{32}"));
        assertTrue(operation.getTarget().startsWith(address(VAULT) + "/certificates/issued?api-version="));

        // This SDK always says what it wants of the order, and reads it back.
        assertFalse(operation.isCertificateOrderPreserved());

        assertEquals("OV-SSL", poller.getFinalResult().getPolicy().getCertificateType());
        var leaf = World.parse(poller.getFinalResult().getCer());
        assertEquals("CN=issued.example", leaf.getSubjectX500Principal().getName());
        assertEquals("CN=Java Root", leaf.getIssuerX500Principal().getName());
        assertArrayEquals(Authority.publicKey(operation.getCsr()), leaf.getPublicKey().getEncoded());
    }

    @Test
    void anOperationOfAnIssuerIsInProgressUntilItEnds() {
        var poller = create(client, "held", policy("holds", "held"));
        assertEquals(LongRunningOperationStatus.IN_PROGRESS, poller.poll().getStatus());
        var operation = operation(client, "held");
        assertEquals("inProgress", operation.getStatus());
        assertFalse(operation.getCancellationRequested());
        assertNull(operation.getError());
        assertNull(operation.getTarget());
        // The issuer's own words follow once it was asked.
        assertTrue(operation
                .getStatusDetails()
                .startsWith("Pending certificate created. Certificate request is in progress. This may take some time "
                        + "based on the issuer provider. Please check again later"));
        var placeholder = client.getCertificate("held");
        assertFalse(placeholder.getProperties().isEnabled());
        assertNull(placeholder.getCer());
    }

    @Test
    void aFailedOperationSaysWhoseErrorItWas() {
        for (var end : Map.of("fail", "Certificate issuer error", "reject", "Request rejected").entrySet()) {
            testIssuer(client, end.getKey() + "-issuer", end.getKey());
            var poller = create(client, end.getKey(), policy(end.getKey() + "-issuer", end.getKey()));
            var failed = poller.waitForCompletion();
            assertEquals(LongRunningOperationStatus.FAILED, failed.getStatus());
            assertEquals("failed", failed.getValue().getStatus());
            assertEquals("", failed.getValue().getStatusDetails());
            assertEquals(end.getValue(), failed.getValue().getError().getCode());
            assertTrue(failed.getValue().getError().getMessage().startsWith("The test issuer"));
        }
    }

    @Test
    void aDeletedOperationIsNotFoundAndAnEndedOneIsOverwritten() {
        create(client, "deleted", policy("Unknown", "deleted"));
        client.deleteCertificateOperation("deleted");
        var error = refused(
                ResourceNotFoundException.class, 404, "PendingCertificateNotFound", () -> operation(client, "deleted"));
        assertTrue(error.getMessage().contains("Pending certificate not found: deleted"));

        issue(client, "overwritten");
        var first = operation(client, "overwritten");
        issue(client, "overwritten");
        assertNotEquals(first.getRequestId(), operation(client, "overwritten").getRequestId());
    }

    @Test
    void anOperationThatIsDeletedWhileItIsPolledIsNotFound() {
        var poller = create(client, "polled", policy("holds", "polled"));
        assertEquals(LongRunningOperationStatus.IN_PROGRESS, poller.poll().getStatus());
        var waiting = CompletableFuture.supplyAsync(poller::waitForCompletion);
        client.deleteCertificateOperation("polled");
        Throwable cause = assertThrows(ExecutionException.class, () -> waiting.get(20, TimeUnit.SECONDS));
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        assertInstanceOf(ResourceNotFoundException.class, cause);
        assertTrue(cause.getMessage().contains("PendingCertificateNotFound"));
    }

    @Test
    void aSecondRequestWhileOneIsInProgressIsAConflict() throws Exception {
        create(client, "conflict", policy("Unknown", "conflict"));
        var file = FacesTest.pfx("conflict", Authority.ecKey("secp256r1"), "secret");
        var options = new ImportCertificateOptions("conflict", file).setPassword("secret");
        var created = refused(
                HttpResponseException.class, 409, "Forbidden", () -> create(client, "conflict", policy("Self", "x")));
        var imported = refused(HttpResponseException.class, 409, "Forbidden", () -> client.importCertificate(options));
        for (var error : new HttpResponseException[] {created, imported}) {
            assertTrue(error.getMessage()
                    .contains("A new key vault certificate can not be created or imported while a pending key vault "
                            + "certificate's status is inProgress."));
        }
        client.deleteCertificateOperation("conflict");
        issue(client, "conflict");
    }

    @Test
    void mergeIsForbiddenWhileAnIssuerWorksAndAllowedWhenItFailed() {
        var authority = new Authority();
        create(client, "merge-held", policy("holds", "merge-held"));
        var held = authority.chain(operation(client, "merge-held").getCsr());
        var error = refused(
                HttpResponseException.class,
                403,
                "Forbidden",
                () -> client.mergeCertificate(new MergeCertificateOptions("merge-held", held)));
        assertTrue(error.getMessage()
                .contains("Merge is forbidden on pending object created with issuer : holds while it is in progess."));

        testIssuer(client, "fails", "fail");
        var failed = create(client, "merge-failed", policy("fails", "merge-failed")).waitForCompletion();
        var chain = authority.chain(failed.getValue().getCsr());
        client.mergeCertificate(new MergeCertificateOptions("merge-failed", chain));
        assertEquals("completed", operation(client, "merge-failed").getStatus());
    }

    @Test
    void aCancellationIsAskedForAndGranted() {
        var poller = create(client, "cancelled", policy("holds", "cancelled"));
        var asked = client.cancelCertificateOperation("cancelled");
        assertTrue(asked.getCancellationRequested());
        assertEquals("inProgress", asked.getStatus());

        var cancelled = poller.waitForCompletion();
        assertTrue(isCancelled(cancelled.getStatus()));
        assertEquals("cancelled", cancelled.getValue().getStatus());
        assertEquals("", cancelled.getValue().getStatusDetails());
        assertNull(cancelled.getValue().getError());
        var error = refused(
                HttpResponseException.class,
                400,
                "BadParameter",
                () -> client.cancelCertificateOperation("cancelled"));
        assertTrue(error.getMessage().contains("Pending status must be in progress to allow update."));

        var chain = new Authority().chain(cancelled.getValue().getCsr());
        // Without this the SDK asks for a disabled certificate.
        var options = new MergeCertificateOptions("cancelled", chain).setEnabled(true);
        assertTrue(client.mergeCertificate(options).getProperties().isEnabled());
    }

    @Test
    void thePollerCancelsToo() {
        var poller = create(client, "by-poller", policy("holds", "by-poller"));
        poller.cancelOperation();
        assertTrue(isCancelled(poller.waitForCompletion().getStatus()));
    }

    /** The SDK ends with the service's word, not with its own USER_CANCELLED. */
    private static boolean isCancelled(LongRunningOperationStatus status) {
        return status.isComplete() && status.toString().equals("cancelled");
    }

    @Test
    void aDeletionAnswersTheOperationAsItStood() {
        create(client, "removed", policy("holds", "removed"));
        var stood = operation(client, "removed");
        var removed = client.deleteCertificateOperation("removed");
        assertEquals("inProgress", removed.getStatus());
        assertEquals(stood.getRequestId(), removed.getRequestId());
        refused(
                ResourceNotFoundException.class,
                404,
                "PendingCertificateNotFound",
                () -> client.deleteCertificateOperation("removed"));
    }

    @Test
    void aManualCertificateIsCreatedAndMerged() throws Exception {
        var authority = new Authority();
        var unnamed = new CertificatePolicy(null, "CN=without.example");
        for (var chosen : Map.of("unknown", policy("Unknown", "unknown"), "without", unnamed).entrySet()) {
            String name = chosen.getKey();
            var poller = create(client, name, chosen.getValue());
            assertEquals(LongRunningOperationStatus.IN_PROGRESS, poller.poll().getStatus());
            var operation = operation(client, name);
            assertEquals("Unknown", operation.getIssuerName());
            assertEquals(
                    "Pending certificate created. Please Perform Merge to complete the request.",
                    operation.getStatusDetails());

            create(client, name + "-other", policy("Unknown", "other"));
            var wrong = authority.chain(operation(client, name + "-other").getCsr());
            refused(
                    HttpResponseException.class,
                    400,
                    "BadParameter",
                    () -> client.mergeCertificate(new MergeCertificateOptions(name, wrong)));

            var chain = authority.chain(operation.getCsr());
            var options = new MergeCertificateOptions(name, chain).setTags(Map.of("merged", "yes"));
            var merged = client.mergeCertificateWithResponse(options, Context.NONE);
            assertEquals(201, merged.getStatusCode());
            assertTrue(merged.getHeaders().getValue(HttpHeaderName.LOCATION).startsWith(address(VAULT) + "/certificates/" + name + "?"));
            assertArrayEquals(chain.get(0), merged.getValue().getCer());
            assertEquals(Map.of("merged", "yes"), merged.getValue().getProperties().getTags());
            assertTrue(merged.getValue().getKeyId().endsWith(merged.getValue().getProperties().getVersion()));
            assertTrue(merged.getValue().getSecretId().endsWith(merged.getValue().getProperties().getVersion()));
            World.parse(merged.getValue().getCer()).verify(authority.root.getPublicKey());

            assertEquals(LongRunningOperationStatus.SUCCESSFULLY_COMPLETED, poller.waitForCompletion().getStatus());
            assertArrayEquals(chain.get(0), poller.getFinalResult().getCer());
        }
    }
}
