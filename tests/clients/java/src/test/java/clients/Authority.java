package clients;

import java.math.BigInteger;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;

/** A certificate authority for merges, made for one test; and certificates that were made elsewhere. */
final class Authority {
    private static final X500Name NAME = new X500Name("CN=Test Root");

    final X509Certificate root;
    private final KeyPair key = ecKey("secp256r1");

    Authority() {
        root = World.parse(sign(NAME, SubjectPublicKeyInfo.getInstance(key.getPublic().getEncoded()), NAME, key.getPrivate(), true));
    }

    /** The certificate for a request, and the root, in DER. */
    List<byte[]> chain(byte[] request) {
        try {
            var csr = new PKCS10CertificationRequest(request);
            var verifier = new JcaContentVerifierProviderBuilder()
                    .setProvider(new BouncyCastleProvider())
                    .build(csr.getSubjectPublicKeyInfo());
            if (!csr.isSignatureValid(verifier)) {
                throw new AssertionError("the request is not signed with its key");
            }
            byte[] leaf = sign(csr.getSubject(), csr.getSubjectPublicKeyInfo(), NAME, key.getPrivate(), false);
            return List.of(leaf, root.getEncoded());
        } catch (Exception error) {
            throw new AssertionError(error);
        }
    }

    /** A certificate for its own key. Without key usage that may do everything. */
    static X509Certificate selfSigned(String name, KeyPair key) {
        var subject = new X500Name("CN=" + name);
        var publicKey = SubjectPublicKeyInfo.getInstance(key.getPublic().getEncoded());
        return World.parse(sign(subject, publicKey, subject, key.getPrivate(), false));
    }

    static byte[] publicKey(byte[] request) {
        try {
            return new PKCS10CertificationRequest(request).getSubjectPublicKeyInfo().getEncoded();
        } catch (Exception error) {
            throw new AssertionError(error);
        }
    }

    static KeyPair ecKey(String curve) {
        try {
            var generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(new ECGenParameterSpec(curve));
            return generator.generateKeyPair();
        } catch (Exception error) {
            throw new AssertionError(error);
        }
    }

    static KeyPair rsaKey() {
        try {
            var generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(2048);
            return generator.generateKeyPair();
        } catch (Exception error) {
            throw new AssertionError(error);
        }
    }

    private static byte[] sign(
            X500Name subject, SubjectPublicKeyInfo publicKey, X500Name issuer, PrivateKey by, boolean ca) {
        try {
            Instant now = Instant.now();
            var builder = new X509v3CertificateBuilder(
                    issuer,
                    new BigInteger(120, new SecureRandom()).setBit(0),
                    Date.from(now.minus(Duration.ofMinutes(5))),
                    Date.from(now.plus(Duration.ofDays(30))),
                    subject,
                    publicKey);
            builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(ca));
            var algorithm = by.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
            return builder.build(new JcaContentSignerBuilder(algorithm).build(by)).getEncoded();
        } catch (Exception error) {
            throw new AssertionError(error);
        }
    }
}
