package clients;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The credential classes of azure-identity, unmodified, in a program that is set by its environment alone. */
class IdentityTest {
    private static final String PORT = System.getenv("CERTMINT_PORT");
    private static final String VAULT = World.address("default");
    private static final String TOKEN = "5up3r-s3cret.Token_1";

    @Test
    void aManagedIdentityByTwoVariables() throws Exception {
        works(managedIdentity(TOKEN), "ManagedIdentityCredential", "DefaultAzureCredential");
    }

    @Test
    void aServicePrincipalOfTheTenantAdfs() throws Exception {
        works(principal("adfs", "AZURE_CLIENT_SECRET", TOKEN), "EnvironmentCredential", "DefaultAzureCredential");
    }

    @Test
    void aFederatedTokenFile() throws Exception {
        Path file = Program.file("token", TOKEN);
        works(
                principal("adfs", "AZURE_FEDERATED_TOKEN_FILE", file.toString()),
                "WorkloadIdentityCredential",
                "DefaultAzureCredential");
    }

    @Test
    void aRefusalIsShownWithItsReason() throws Exception {
        refused(principal("adfs", "AZURE_CLIENT_SECRET", "a b"), "EnvironmentCredential", "client_secret");
        refused(managedIdentity("a b"), "ManagedIdentityCredential", "X-IDENTITY-HEADER");
    }

    private static Map<String, String> managedIdentity(String token) {
        return Map.of("IDENTITY_ENDPOINT", VAULT + "/identity/token", "IDENTITY_HEADER", token);
    }

    private static Map<String, String> principal(String tenant, String name, String value) {
        return Map.of("AZURE_AUTHORITY_HOST", VAULT, "AZURE_TENANT_ID", tenant, "AZURE_CLIENT_ID", "any", name, value);
    }

    private static Program run(Map<String, String> environment, String... classes) throws Exception {
        String[] place = {VAULT, "https://localhost:" + PORT + "/.default"};
        String[] all = Stream.concat(Stream.of(place), Stream.of(classes)).toArray(String[]::new);
        return Program.run(new HashMap<>(environment), "clients.IdentityProgram", all);
    }

    private static void works(Map<String, String> environment, String... classes) throws Exception {
        Program program = run(environment, classes);
        assertEquals(0, program.status(), program.output());
        List<String> expected = Stream.of(classes).map(name -> name + " " + TOKEN).toList();
        assertEquals(expected, program.output().lines().filter(line -> line.endsWith(TOKEN)).toList());
        assertFalse(Files.readString(Path.of(System.getenv("CERTMINT_DATA"), "server.log")).contains(TOKEN));
    }

    private static void refused(Map<String, String> environment, String name, String reason) throws Exception {
        Program program = run(environment, name);
        assertTrue(program.status() != 0 && program.output().contains(reason), program.output());
    }
}
