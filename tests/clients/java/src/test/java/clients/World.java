package clients;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.azure.core.credential.AccessToken;
import com.azure.core.credential.TokenCredential;
import com.azure.core.exception.HttpResponseException;
import com.azure.core.http.HttpClient;
import com.azure.core.http.netty.NettyAsyncHttpClientBuilder;
import com.azure.core.util.polling.LongRunningOperationStatus;
import com.azure.core.util.polling.SyncPoller;
import com.azure.security.keyvault.certificates.CertificateClient;
import com.azure.security.keyvault.certificates.CertificateClientBuilder;
import com.azure.security.keyvault.certificates.models.CertificateIssuer;
import com.azure.security.keyvault.certificates.models.CertificateKeyCurveName;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificateOperation;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import com.azure.security.keyvault.keys.KeyClient;
import com.azure.security.keyvault.keys.KeyClientBuilder;
import com.azure.security.keyvault.keys.cryptography.CryptographyClient;
import com.azure.security.keyvault.keys.cryptography.CryptographyClientBuilder;
import com.azure.security.keyvault.secrets.SecretClient;
import com.azure.security.keyvault.secrets.SecretClientBuilder;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.resolver.AddressResolver;
import io.netty.resolver.AddressResolverGroup;
import io.netty.resolver.InetNameResolver;
import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.Promise;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.List;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.function.Executable;
import reactor.core.publisher.Mono;

/**
 * The server that tests/clients/server.py started, and clients of its vaults. They talk to vaults by name, and check
 * the authentication challenge as they do by default.
 */
final class World {
    static final HttpClient TRANSPORT = transport();

    /** Any token will do for a development server. */
    static final TokenCredential TOKEN =
            request -> Mono.just(new AccessToken("any", OffsetDateTime.now().plusHours(1)));

    private World() {}

    static String address(String vault) {
        return "https://" + vault + ".localhost:" + variable("CERTMINT_PORT");
    }

    static CertificateClientBuilder certificatesOf(String vault) {
        return new CertificateClientBuilder().vaultUrl(address(vault)).credential(TOKEN).httpClient(TRANSPORT);
    }

    static CertificateClient certificates(String vault) {
        return certificatesOf(vault).buildClient();
    }

    static SecretClient secrets(String vault) {
        return new SecretClientBuilder().vaultUrl(address(vault)).credential(TOKEN).httpClient(TRANSPORT).buildClient();
    }

    static KeyClient keys(String vault) {
        return new KeyClientBuilder().vaultUrl(address(vault)).credential(TOKEN).httpClient(TRANSPORT).buildClient();
    }

    /** A client that asks the server for everything; by default this SDK does with a public key what it can itself. */
    static CryptographyClient remote(String keyId) {
        return cryptography(keyId).disableKeyCaching().buildClient();
    }

    static CryptographyClientBuilder cryptography(String keyId) {
        return new CryptographyClientBuilder().keyIdentifier(keyId).credential(TOKEN).httpClient(TRANSPORT);
    }

    /** A P-256 key that may leave the vault. */
    static CertificatePolicy policy(String issuer, String name) {
        return new CertificatePolicy(issuer, "CN=" + name + ".example")
                .setKeyType(CertificateKeyType.EC)
                .setKeyCurveName(CertificateKeyCurveName.P_256)
                .setExportable(true);
    }

    static SyncPoller<CertificateOperation, KeyVaultCertificateWithPolicy> create(
            CertificateClient client, String name, CertificatePolicy policy) {
        return client.beginCreateCertificate(name, policy).setPollInterval(Duration.ofMillis(20));
    }

    static KeyVaultCertificateWithPolicy issue(CertificateClient client, String name) {
        var poller = create(client, name, policy("Self", name));
        assertEquals(LongRunningOperationStatus.SUCCESSFULLY_COMPLETED, poller.waitForCompletion().getStatus());
        return poller.getFinalResult();
    }

    /** The operation as it is now. */
    static CertificateOperation operation(CertificateClient client, String name) {
        return client.getCertificateOperation(name).poll().getValue();
    }

    /** An issuer object that does what its account says. */
    static void testIssuer(CertificateClient client, String name, String account) {
        client.createIssuer(new CertificateIssuer(name, "Test").setAccountId(account));
    }

    /** The call that the server must not do; answers its error. */
    static <E extends HttpResponseException> E refused(Class<E> type, int status, String code, Executable call) {
        E error = assertThrows(type, call);
        String said = error.getResponse().getStatusCode() + " " + error.getMessage();
        String body = "\"code\":\"" + code + "\"";
        assertEquals(true, said.startsWith(status + " ") && said.contains(body), said);
        return error;
    }

    static X509Certificate parse(byte[] der) {
        try {
            var factory = CertificateFactory.getInstance("X.509");
            return (X509Certificate) factory.generateCertificate(new ByteArrayInputStream(der));
        } catch (CertificateException error) {
            throw new AssertionError(error);
        }
    }

    private static String variable(String name) {
        String value = System.getenv(name);
        if (value == null) {
            throw new IllegalStateException("no server: run this as scripts/sdk-tests.sh java");
        }
        return value;
    }

    private static HttpClient transport() {
        try (InputStream file = Files.newInputStream(Path.of(variable("CERTMINT_CA")))) {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            store.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(file));
            var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(store);
            SslContext tls = SslContextBuilder.forClient().trustManager(trust).build();
            var client = reactor.netty.http.client.HttpClient.create()
                    .secure(spec -> spec.sslContext(tls))
                    .resolver(new Loopback());
            return new NettyAsyncHttpClientBuilder(client).build();
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    /** Names below localhost do not resolve on every system. */
    private static final class Loopback extends AddressResolverGroup<InetSocketAddress> {
        @Override
        protected AddressResolver<InetSocketAddress> newResolver(EventExecutor executor) {
            return new InetNameResolver(executor) {
                @Override
                protected void doResolve(String host, Promise<InetAddress> promise) throws Exception {
                    promise.setSuccess(InetAddress.getByName("127.0.0.1"));
                }

                @Override
                protected void doResolveAll(String host, Promise<List<InetAddress>> promise) throws Exception {
                    promise.setSuccess(List.of(InetAddress.getByName("127.0.0.1")));
                }
            }.asAddressResolver();
        }
    }
}
