package clients;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.security.keyvault.certificates.CertificateClient;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificateKeyUsage;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import net.jsign.Signable;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** jsign, the program, signs files of Windows with keys that stay in the vault: its Azure key store and a token. */
class JsignTest {
    private static final CertificateClient CLIENT = World.certificates("default");
    private static byte[] signer;

    @TempDir
    Path folder;

    @BeforeAll
    static void aCertificateThatSignsCode() {
        CertificatePolicy policy = new CertificatePolicy("Self", "CN=Code of the tests")
                .setKeyType(CertificateKeyType.RSA)
                .setKeySize(2048)
                .setExportable(false)
                .setKeyUsage(CertificateKeyUsage.DIGITAL_SIGNATURE)
                .setEnhancedKeyUsage(List.of("1.3.6.1.5.5.7.3.3"));
        signer = World.create(CLIENT, "java-code", policy).getFinalResult().getCer();
    }

    @Test
    void aProgramOfWindowsIsSigned() throws Exception {
        Path program = Files.write(folder.resolve("program.exe"), program());
        sign(program);
        assertSigned(program);
        verify(program);
    }

    /** The algorithm RSNULL of the service, since jsign makes the DigestInfo of old digests itself. */
    @Test
    void anOldDigestIsSigned() throws Exception {
        Path program = Files.write(folder.resolve("old.exe"), program());
        sign(program, "--alg", "SHA-1");
        assertSigned(program);
        verify(program);
    }

    @Test
    void aScriptIsSigned() throws Exception {
        Path script = Files.writeString(folder.resolve("script.ps1"), "Write-Output signed\r\n");
        sign(script);
        assertSigned(script);
    }

    private static void sign(Path file, String... more) throws Exception {
        List<String> command = new ArrayList<>(List.of("sign", "--storetype", "AZUREKEYVAULT", "--keystore",
                World.address("default"), "--storepass", "dev", "--alias", "java-code"));
        command.addAll(List.of(more));
        command.add(file.toString());
        Program jsign = Program.run(Map.of(), "net.jsign.JsignCLI", command.toArray(String[]::new));
        assertEquals(0, jsign.status(), jsign.output());
    }

    /** The file has one signature, by the key of the certificate. */
    private static void assertSigned(Path file) throws Exception {
        CMSSignedData signature;
        try (Signable signed = Signable.of(file.toFile())) {
            assertEquals(1, signed.getSignatures().size());
            signature = new CMSSignedData(signed.getSignatures().get(0).getEncoded("DER"));
        }
        X509CertificateHolder certificate =
                (X509CertificateHolder) signature.getCertificates().getMatches(null).iterator().next();
        assertArrayEquals(signer, certificate.getEncoded());
        SignerInformation information = signature.getSignerInfos().iterator().next();
        assertTrue(information.verify(new JcaSimpleSignerInfoVerifierBuilder().build(certificate)));
    }

    /** Another program agrees, and that the signature is of what the file contains. */
    private void verify(Path file) throws Exception {
        String pem = Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII)).encodeToString(signer);
        Path root = Files.writeString(
                folder.resolve("root.pem"), "-----BEGIN CERTIFICATE-----\n" + pem + "\n-----END CERTIFICATE-----\n");
        Process process = new ProcessBuilder("osslsigncode", "verify", "-CAfile", root.toString(), "-in", file.toString())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
    }

    /** The least that is a program for Windows: headers and one empty section. */
    private static byte[] program() {
        ByteBuffer file = ByteBuffer.allocate(1024).order(ByteOrder.LITTLE_ENDIAN);
        file.put(0, (byte) 'M').put(1, (byte) 'Z').putInt(60, 64);
        file.position(64);
        file.put("PE\0\0".getBytes(StandardCharsets.US_ASCII));
        // x86-64, one section, no symbols, an optional header of 240 bytes; executable.
        file.putShort((short) 0x8664).putShort((short) 1).putInt(0).putInt(0).putInt(0);
        file.putShort((short) 240).putShort((short) 0x22);
        int optional = file.position();
        file.putShort(optional, (short) 0x20b);
        file.putInt(optional + 32, 4096).putInt(optional + 36, 512);
        file.putInt(optional + 56, 8192).putInt(optional + 60, 512);
        file.putShort(optional + 68, (short) 3).putInt(optional + 108, 16);
        int section = optional + 240;
        file.putInt(section + 8, 512).putInt(section + 12, 4096).putInt(section + 16, 512).putInt(section + 20, 512);
        return file.array();
    }
}
