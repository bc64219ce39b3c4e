package clients;

import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.identity.EnvironmentCredentialBuilder;
import com.azure.identity.ManagedIdentityCredentialBuilder;
import com.azure.identity.WorkloadIdentityCredentialBuilder;
import com.azure.security.keyvault.certificates.CertificateClient;
import com.azure.security.keyvault.certificates.CertificateClientBuilder;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.secrets.SecretClient;
import com.azure.security.keyvault.secrets.SecretClientBuilder;
import java.time.Duration;
import java.util.UUID;

/**
 * A program that knows its vault and the names of credential classes. With each it creates a certificate and reads its
 * secret, and prints the class and the token.
 */
final class IdentityProgram {
    private IdentityProgram() {}

    public static void main(String[] arguments) {
        String vault = arguments[0];
        String scope = arguments[1];
        for (int index = 2; index < arguments.length; index++) {
            TokenCredential credential = credential(arguments[index]);
            // First, since creating a certificate hides why a credential failed (NullPointerException in the SDK).
            String token = credential.getTokenSync(new TokenRequestContext().addScopes(scope)).getToken();
            CertificateClient certificates =
                    new CertificateClientBuilder().vaultUrl(vault).credential(credential).buildClient();
            SecretClient secrets = new SecretClientBuilder().vaultUrl(vault).credential(credential).buildClient();
            String name = "java-identity-" + UUID.randomUUID();
            CertificatePolicy policy =
                    new CertificatePolicy("Self", "CN=identity.example").setKeyType(CertificateKeyType.EC);
            var poller = certificates.beginCreateCertificate(name, policy).setPollInterval(Duration.ofMillis(20));
            poller.waitForCompletion();
            String version = poller.getFinalResult().getProperties().getVersion();
            if (!version.equals(secrets.getSecret(name).getProperties().getVersion())) {
                throw new IllegalStateException("another version");
            }
            System.out.println(arguments[index] + " " + token);
        }
        System.exit(0);
    }

    private static TokenCredential credential(String name) {
        return switch (name) {
            case "ManagedIdentityCredential" -> new ManagedIdentityCredentialBuilder().build();
            case "EnvironmentCredential" -> new EnvironmentCredentialBuilder().build();
            case "WorkloadIdentityCredential" -> new WorkloadIdentityCredentialBuilder().build();
            case "DefaultAzureCredential" -> new DefaultAzureCredentialBuilder().build();
            default -> throw new IllegalArgumentException(name);
        };
    }
}
