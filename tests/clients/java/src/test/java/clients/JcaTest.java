package clients;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.security.keyvault.certificates.CertificateClient;
import com.azure.security.keyvault.certificates.CertificateClientBuilder;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.jca.KeyVaultJcaProvider;
import com.azure.security.keyvault.jca.KeyVaultLoadStoreParameter;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.Signature;
import java.security.cert.Certificate;
import java.util.Collections;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Azure's key store for Java programs: it takes a token from the server itself and reads certificates as secrets. */
class JcaTest {
    private static final String URL = "https://127.0.0.1:" + System.getenv("CERTMINT_PORT");

    /** The provider trusts what is in the key store of the machine that runs it, which this property names. */
    @BeforeAll
    static void trust() {
        System.setProperty("javax.net.ssl.keyStore", Program.ROOTS.toString());
        System.setProperty("javax.net.ssl.keyStorePassword", Program.PASSWORD);
        Security.addProvider(new KeyVaultJcaProvider());
    }

    @Test
    void keysWithTheirChainsAreFoundAndSign() throws Exception {
        CertificateClient client = new CertificateClientBuilder()
                .vaultUrl(URL)
                .credential(World.TOKEN)
                .httpClient(World.TRANSPORT)
                .disableChallengeResourceVerification()
                .buildClient();
        for (CertificateKeyType type : new CertificateKeyType[] {CertificateKeyType.RSA, CertificateKeyType.EC}) {
            CertificatePolicy policy = new CertificatePolicy("Self", "CN=java.example").setKeyType(type);
            client.beginCreateCertificate("jca-" + type.toString().toLowerCase(), policy).waitForCompletion();
        }

        KeyStore store = KeyStore.getInstance("AzureKeyVault");
        KeyVaultLoadStoreParameter place = new KeyVaultLoadStoreParameter(URL, "adfs", "anybody", "any");
        place.disableChallengeResourceVerification();
        store.load(place);

        for (String name : new String[] {"jca-rsa", "jca-ec"}) {
            assertTrue(Collections.list(store.aliases()).contains(name), name);
            Certificate[] chain = store.getCertificateChain(name);
            assertEquals(1, chain.length, name);
            PrivateKey key = (PrivateKey) store.getKey(name, null);
            Signature signature = Signature.getInstance(name.endsWith("rsa") ? "SHA256withRSA" : "SHA256withECDSA");
            signature.initSign(key);
            signature.update(new byte[] {1, 2, 3});
            byte[] signed = signature.sign();
            signature.initVerify(chain[0]);
            signature.update(new byte[] {1, 2, 3});
            assertTrue(signature.verify(signed), name);
        }
        assertFalse(store.isKeyEntry("nothing"));
    }
}
