package clients;

import static clients.World.certificates;
import static clients.World.create;
import static clients.World.issue;
import static clients.World.keys;
import static clients.World.policy;
import static clients.World.refused;
import static clients.World.remote;
import static clients.World.secrets;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.core.exception.HttpResponseException;
import com.azure.core.exception.ResourceNotFoundException;
import com.azure.security.keyvault.certificates.models.CertificateContentType;
import com.azure.security.keyvault.certificates.models.CertificateKeyCurveName;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.ImportCertificateOptions;
import com.azure.security.keyvault.keys.cryptography.CryptographyClient;
import com.azure.security.keyvault.keys.cryptography.models.EncryptionAlgorithm;
import com.azure.security.keyvault.keys.cryptography.models.KeyWrapAlgorithm;
import com.azure.security.keyvault.keys.cryptography.models.SignatureAlgorithm;
import com.azure.security.keyvault.keys.models.CreateRsaKeyOptions;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.interfaces.ECPrivateKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.PSSParameterSpec;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.crypto.Cipher;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Import, secrets and keys, with the cryptography of the JDK. */
class FacesTest {
    private static final byte[] MESSAGE = "thirty-two bytes of a secret key".getBytes(StandardCharsets.UTF_8);

    /** A key with a certificate of its own. */
    static byte[] pfx(String name, KeyPair key, String password) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        Certificate[] chain = {Authority.selfSigned(name, key)};
        store.setKeyEntry(name, key.getPrivate(), password.toCharArray(), chain);
        var out = new ByteArrayOutputStream();
        store.store(out, password.toCharArray());
        return out.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(strings = {"rsa", "secp256r1", "secp384r1", "secp521r1"})
    void aPfxGoesInAndComesOutWithItsKey(String kind) throws Exception {
        KeyPair key = kind.equals("rsa") ? Authority.rsaKey() : Authority.ecKey(kind);
        var options = new ImportCertificateOptions(kind, pfx(kind, key, "secret"))
                .setPassword("secret")
                .setTags(Map.of("kind", kind));
        var imported = certificates("java-faces").importCertificate(options);
        assertEquals(Map.of("kind", kind), imported.getProperties().getTags());
        assertEquals("CN=" + kind, imported.getPolicy().getSubject());
        assertEquals(key.getPublic(), World.parse(imported.getCer()).getPublicKey());
        assertArrayEquals(
                MessageDigest.getInstance("SHA-1").digest(imported.getCer()),
                imported.getProperties().getX509Thumbprint());

        var secret = secrets("java-faces").getSecret(kind, imported.getProperties().getVersion());
        assertEquals("application/x-pkcs12", secret.getProperties().getContentType());
        assertTrue(secret.getProperties().isManaged());
        opens(secret.getValue(), imported.getCer());
    }

    @Test
    void pemGoesInAndComesOut() throws Exception {
        KeyPair key = Authority.ecKey("secp256r1");
        var own = Authority.selfSigned("pem", key);
        String text = pem("PRIVATE KEY", key.getPrivate().getEncoded()) + pem("CERTIFICATE", own.getEncoded());
        var policy = new CertificatePolicy("Unknown", "CN=pem").setContentType(CertificateContentType.PEM);
        var options = new ImportCertificateOptions("pem", text.getBytes(StandardCharsets.UTF_8)).setPolicy(policy);
        certificates("java-faces").importCertificate(options);
        var secret = secrets("java-faces").getSecret("pem");
        assertEquals("application/x-pem-file", secret.getProperties().getContentType());
        String[] parts = secret.getValue().split("-----(BEGIN|END) [A-Z ]+-----\n");
        var read = KeyFactory.getInstance("EC")
                .generatePrivate(new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(parts[1])));
        assertEquals(((ECPrivateKey) key.getPrivate()).getS(), ((ECPrivateKey) read).getS());
        assertTrue(secret.getValue().endsWith(pem("CERTIFICATE", own.getEncoded())));
    }

    @Test
    void aCreatedCertificateIsASecret() throws Exception {
        var created = issue(certificates("java-faces"), "created");
        opens(secrets("java-faces").getSecret("created").getValue(), created.getCer());
    }

    @Test
    void secretsAndKeysAreListedAsManaged() {
        var client = certificates("java-listed");
        issue(client, "one");
        issue(client, "one");
        issue(client, "two");
        var secrets = secrets("java-listed").listPropertiesOfSecrets().stream().toList();
        var keys = keys("java-listed").listPropertiesOfKeys().stream().toList();
        assertEquals(List.of("one", "two"), secrets.stream().map(secret -> secret.getName()).toList());
        assertEquals(List.of("one", "two"), keys.stream().map(key -> key.getName()).toList());
        assertTrue(secrets.stream().allMatch(secret -> secret.isManaged()));
        assertTrue(keys.stream().allMatch(key -> key.isManaged()));
        assertEquals(2, secrets("java-listed").listPropertiesOfSecretVersions("one").stream().count());
        assertEquals(2, keys("java-listed").listPropertiesOfKeyVersions("one").stream().count());
    }

    @Test
    void whatIsWrongIsRefused() throws Exception {
        var client = certificates("java-refused");
        var secrets = secrets("java-refused");
        var keys = keys("java-refused");
        var file = pfx("wrong", Authority.ecKey("secp256r1"), "secret");
        var options = new ImportCertificateOptions("wrong", file).setPassword("other");
        var wrong = refused(HttpResponseException.class, 400, "BadParameter", () -> client.importCertificate(options));
        assertTrue(wrong.getMessage().contains("The password is wrong"));
        refused(ResourceNotFoundException.class, 404, "SecretNotFound", () -> secrets.getSecret("none"));
        refused(ResourceNotFoundException.class, 404, "KeyNotFound", () -> keys.getKey("none"));

        var owned = issue(client, "owned");
        var set = refused(HttpResponseException.class, 403, "Forbidden", () -> secrets.setSecret("owned", "x"));
        assertTrue(set.getMessage().contains("SecretManagedByKeyVault"));
        refused(
                HttpResponseException.class,
                403,
                "Forbidden",
                () -> keys.createRsaKey(new CreateRsaKeyOptions("owned")));
        client.updateCertificateProperties(owned.getProperties().setEnabled(false));
        var disabled = refused(HttpResponseException.class, 403, "Forbidden", () -> secrets.getSecret("owned"));
        assertTrue(disabled.getMessage().contains("SecretDisabled"));
        refused(
                HttpResponseException.class,
                400,
                "BadParameter",
                () -> create(client, "not_a_name", policy("Self", "x")));
    }

    @Test
    void anRsaKeySignsAndVerifies() throws Exception {
        KeyPair key = imported("rsa");
        var read = keys("java-keys").getKey("rsa");
        assertEquals(((RSAPublicKey) key.getPublic()).getModulus(), new BigInteger(1, read.getKey().getN()));
        for (String bits : List.of("256", "384", "512")) {
            byte[] digest = MessageDigest.getInstance("SHA-" + bits).digest(MESSAGE);
            byte[] plain = signed(remote(read.getId()), SignatureAlgorithm.fromString("RS" + bits), digest);
            verifies("SHA" + bits + "withRSA", null, key.getPublic(), plain);
            byte[] salted = signed(remote(read.getId()), SignatureAlgorithm.fromString("PS" + bits), digest);
            var mask = new MGF1ParameterSpec("SHA-" + bits);
            var form = new PSSParameterSpec("SHA-" + bits, "MGF1", mask, Integer.parseInt(bits) / 8, 1);
            verifies("RSASSA-PSS", form, key.getPublic(), salted);
        }
    }

    /** The JDK has no P-256K: there the server alone verifies. */
    @ParameterizedTest
    @CsvSource({"P-256,ES256,256", "P-384,ES384,384", "P-521,ES512,512", "P-256K,ES256K,256"})
    void anEcKeySignsAndVerifies(String curve, String algorithm, String bits) throws Exception {
        var policy = policy("Self", "ec").setKeyCurveName(CertificateKeyCurveName.fromString(curve));
        var certificate = create(certificates("java-keys"), "ec-" + curve, policy).getFinalResult();
        var read = keys("java-keys").getKey("ec-" + curve);
        assertEquals(curve, read.getKey().getCurveName().toString());
        assertEquals(certificate.getKeyId(), read.getId());
        byte[] digest = MessageDigest.getInstance("SHA-" + bits).digest(MESSAGE);
        byte[] signature = signed(remote(read.getId()), SignatureAlgorithm.fromString(algorithm), digest);
        if (!curve.equals("P-256K")) {
            PublicKey key = World.parse(certificate.getCer()).getPublicKey();
            assertEquals(key, read.getKey().toEc().getPublic());
            verifies("SHA" + bits + "withECDSAinP1363Format", null, key, signature);
        }
    }

    @Test
    void anRsaKeyEncryptsAndWraps() throws Exception {
        KeyPair key = imported("wrap");
        var forms = new LinkedHashMap<String, OAEPParameterSpec>();
        forms.put("RSA-OAEP", oaep("SHA-1"));
        forms.put("RSA-OAEP-256", oaep("SHA-256"));
        forms.put("RSA1_5", null);
        var client = remote(keys("java-keys").getKey("wrap").getId());
        for (var form : forms.entrySet()) {
            var encryption = EncryptionAlgorithm.fromString(form.getKey());
            var wrapping = KeyWrapAlgorithm.fromString(form.getKey());
            byte[] sealed = cipher(form.getValue(), Cipher.ENCRYPT_MODE, key).doFinal(MESSAGE);
            assertArrayEquals(MESSAGE, client.decrypt(encryption, sealed).getPlainText());
            assertArrayEquals(MESSAGE, client.unwrapKey(wrapping, sealed).getKey());
            for (byte[] theirs : List.of(
                    client.encrypt(encryption, MESSAGE).getCipherText(),
                    client.wrapKey(wrapping, MESSAGE).getEncryptedKey())) {
                assertArrayEquals(MESSAGE, cipher(form.getValue(), Cipher.DECRYPT_MODE, key).doFinal(theirs));
            }
        }
    }

    @Test
    void theClientThatKeepsTheKeyAgreesWithTheServer() throws Exception {
        imported("kept");
        String id = keys("java-keys").getKey("kept").getId();
        var keeps = World.cryptography(id).buildClient();
        var signed = keeps.signData(SignatureAlgorithm.PS256, MESSAGE);
        assertTrue(keeps.verifyData(SignatureAlgorithm.PS256, MESSAGE, signed.getSignature()).isValid());
        assertTrue(remote(id).verifyData(SignatureAlgorithm.PS256, MESSAGE, signed.getSignature()).isValid());
        var sealed = keeps.encrypt(EncryptionAlgorithm.RSA_OAEP_256, MESSAGE);
        assertArrayEquals(MESSAGE, remote(id).decrypt(EncryptionAlgorithm.RSA_OAEP_256, sealed.getCipherText()).getPlainText());
    }

    /** An RSA key that was made here, as a certificate's there. */
    private static KeyPair imported(String name) throws Exception {
        KeyPair key = Authority.rsaKey();
        var options = new ImportCertificateOptions(name, pfx(name, key, "secret")).setPassword("secret");
        certificates("java-keys").importCertificate(options);
        return key;
    }

    /** Signs and lets the server verify, a damaged signature too. */
    private static byte[] signed(CryptographyClient client, SignatureAlgorithm algorithm, byte[] digest) {
        byte[] signature = client.sign(algorithm, digest).getSignature();
        byte[] damaged = signature.clone();
        damaged[damaged.length - 1] ^= 1;
        assertTrue(client.verify(algorithm, digest, signature).isValid());
        assertFalse(client.verify(algorithm, digest, damaged).isValid());
        return signature;
    }

    private static void verifies(String name, PSSParameterSpec form, PublicKey key, byte[] signature) throws Exception {
        Signature verifier = Signature.getInstance(name);
        if (form != null) {
            verifier.setParameter(form);
        }
        verifier.initVerify(key);
        verifier.update(MESSAGE);
        assertTrue(verifier.verify(signature), name);
    }

    private static OAEPParameterSpec oaep(String hash) {
        return new OAEPParameterSpec(hash, "MGF1", new MGF1ParameterSpec(hash), PSource.PSpecified.DEFAULT);
    }

    private static Cipher cipher(OAEPParameterSpec form, int mode, KeyPair pair) throws Exception {
        var key = mode == Cipher.ENCRYPT_MODE ? pair.getPublic() : pair.getPrivate();
        Cipher cipher = Cipher.getInstance(form == null ? "RSA/ECB/PKCS1Padding" : "RSA/ECB/OAEPPadding");
        cipher.init(mode, key, form);
        return cipher;
    }

    /** The secret is a PFX without a password; its key signs for its certificate. */
    private static void opens(String value, byte[] certificate) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new ByteArrayInputStream(Base64.getDecoder().decode(value)), new char[0]);
        String alias = store.aliases().nextElement();
        assertArrayEquals(certificate, store.getCertificate(alias).getEncoded());
        var key = (PrivateKey) store.getKey(alias, new char[0]);
        String algorithm = key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
        Signature signer = Signature.getInstance(algorithm);
        signer.initSign(key);
        signer.update(MESSAGE);
        verifies(algorithm, null, store.getCertificate(alias).getPublicKey(), signer.sign());
    }

    private static String pem(String label, byte[] der) {
        String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der);
        return "-----BEGIN " + label + "-----\n" + text + "\n-----END " + label + "-----\n";
    }
}
