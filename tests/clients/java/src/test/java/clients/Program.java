package clients;

import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A Java program in a process of its own, which is set by its environment and its arguments alone. */
record Program(int status, String output) {
    static final String PASSWORD = "changeit";
    /** The trust store that a user of the server makes with keytool. */
    static final Path ROOTS = roots();

    private static final Path HOSTS = file("hosts", "127.0.0.1 localhost default.localhost\n");

    static Program run(Map<String, String> environment, String mainClass, String... arguments) throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String classes = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        // Programs that end at once: the second compiler would cost more than it gains.
        List<String> command = new ArrayList<>(List.of(java, "-XX:TieredStopAtLevel=1", "-cp", classes, mainClass));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().keySet().removeIf(name -> name.matches("(AZURE|IDENTITY|MSI)_.*"));
        // Names below localhost do not resolve on every system.
        builder.environment().put("JAVA_TOOL_OPTIONS", "-Djavax.net.ssl.trustStore=" + ROOTS
                + " -Djavax.net.ssl.trustStorePassword=" + PASSWORD + " -Djdk.net.hosts.file=" + HOSTS);
        builder.environment().putAll(environment);
        Path output = file("output", "");
        Process process = builder.redirectOutput(output.toFile()).start();
        if (!process.waitFor(120, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError("the program did not end: " + Files.readString(output));
        }
        return new Program(process.exitValue(), Files.readString(output));
    }

    static Path file(String name, String content) {
        try {
            Path file = Files.createTempFile(name, "");
            file.toFile().deleteOnExit();
            return Files.writeString(file, content);
        } catch (java.io.IOException error) {
            throw new IllegalStateException(error);
        }
    }

    private static Path roots() {
        Path file = file("roots", "");
        try (InputStream pem = Files.newInputStream(Path.of(System.getenv("CERTMINT_CA")));
                OutputStream out = Files.newOutputStream(file)) {
            KeyStore roots = KeyStore.getInstance("PKCS12");
            roots.load(null, null);
            roots.setCertificateEntry("certmint", CertificateFactory.getInstance("X.509").generateCertificate(pem));
            roots.store(out, PASSWORD.toCharArray());
            return file;
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }
}
