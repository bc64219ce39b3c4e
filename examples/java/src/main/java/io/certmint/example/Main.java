package io.certmint.example;

import io.certmint.v1.BookmarkReason;
import io.certmint.v1.CertificatePolicy;
import io.certmint.v1.CertificateServiceGrpc;
import io.certmint.v1.CertificateServiceGrpc.CertificateServiceBlockingStub;
import io.certmint.v1.CreateCertificateRequest;
import io.certmint.v1.GetCertificateRequest;
import io.certmint.v1.IssuerParameters;
import io.certmint.v1.PendingOperation;
import io.certmint.v1.PendingStatus;
import io.certmint.v1.SubjectAlternativeNames;
import io.certmint.v1.WatchPendingRequest;
import io.certmint.v1.WatchSnapshot;
import io.certmint.v1.X509Properties;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/** A client of certmint. */
public final class Main {

  private static final String USAGE =
      """
      A client of certmint.

          create NAME [ISSUER]   creates a certificate and prints each transition until the end
                                 (issuer Self unless another is given; Unknown: somebody merges it by hand)
          show NAME              shows the newest version of a certificate
          watch [PREFIX]         prints each transition of certificates with this name prefix

      Environment: CERTMINT_SERVER (localhost:8443), CERTMINT_CA (a file with the root to trust; else those of Java),
      CERTMINT_TOKEN (dev).""";

  /** Seconds, for a call that is no stream. */
  private static final int DEADLINE = 30;

  public static void main(String[] arguments) throws Exception {
    String command = arguments.length == 0 ? "" : arguments[0];
    int names = arguments.length - 1;
    try {
      int code;
      if (command.equals("create") && (names == 1 || names == 2)) {
        code = create(arguments[1], names == 2 ? arguments[2] : "Self");
      } else if (command.equals("show") && names == 1) {
        code = show(arguments[1]);
      } else if (command.equals("watch") && names <= 1) {
        code = watch(names == 1 ? arguments[1] : "");
      } else {
        System.err.println(USAGE);
        code = 2;
      }
      System.exit(code);
    } catch (StatusRuntimeException error) {
      System.err.println(RichError.of(error));
      System.exit(1);
    }
  }

  /** A connection of its own: a stream that is not read holds up other calls on the same one. */
  private static ManagedChannel connect() throws IOException {
    String ca = System.getenv("CERTMINT_CA");
    var trust = TlsChannelCredentials.newBuilder();
    if (ca != null) {
      trust.trustManager(new File(ca));
    }
    var server = setting("CERTMINT_SERVER", "localhost:8443").replaceFirst("^https://", "");
    return Grpc.newChannelBuilder(server, trust.build())
        .keepAliveTime(1, TimeUnit.MINUTES) // notices a connection that died without a word
        .build();
  }

  private static CertificateServiceBlockingStub service(ManagedChannel channel) {
    var headers = new Metadata();
    var authorization = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    headers.put(authorization, "Bearer " + setting("CERTMINT_TOKEN", "dev"));
    return CertificateServiceGrpc.newBlockingStub(channel)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  private static int create(String name, String issuer) throws Exception {
    var x509 = X509Properties.newBuilder()
        .setSubject("CN=" + name + ".example")
        .setSubjectAlternativeNames(SubjectAlternativeNames.newBuilder().addDnsNames(name + ".example"));
    var policy = CertificatePolicy.newBuilder()
        .setX509Properties(x509)
        .setIssuer(IssuerParameters.newBuilder().setName(issuer));
    var request = CreateCertificateRequest.newBuilder()
        .setCertificateName(name)
        .setPolicy(policy)
        .setRequestId(UUID.randomUUID().toString()) // of our own, which makes the call safe to repeat
        .build();
    var created = service(connect()).withDeadlineAfter(DEADLINE, TimeUnit.SECONDS).createCertificate(request);
    var operation = new AtomicReference<>(created.getOperation());
    tell("CREATED", operation.get());
    // From the token of the answer on, nothing is missed.
    var wanted = WatchPendingRequest.newBuilder()
        .setRequestId(operation.get().getRequestId())
        .setResumeToken(created.getResumeToken())
        .setUntilTerminal(true)
        .build();
    var channel = connect();
    new PendingWatch(channel, service(channel), wanted).run(message -> {
      if (message.hasEvent()) {
        operation.set(message.getEvent().getOperation());
        tell(word(message.getEvent().getType()), operation.get());
      }
    });
    return operation.get().getStatus() == PendingStatus.PENDING_STATUS_COMPLETED ? 0 : 1;
  }

  private static int show(String name) throws IOException {
    var request = GetCertificateRequest.newBuilder().setCertificateName(name).build();
    var certificate = service(connect())
        .withDeadlineAfter(DEADLINE, TimeUnit.SECONDS)
        .getCertificate(request)
        .getCertificate();
    var end = Instant.ofEpochSecond(certificate.getAttributes().getExpires().getSeconds());
    var expires = certificate.getCer().isEmpty()
        ? "not issued yet"
        : "expires " + end.atOffset(ZoneOffset.UTC).toLocalDate();
    System.out.printf("%s %s %s%n", certificate.getCertificateName(), certificate.getCertificateVersion(), expires);
    return 0;
  }

  private static int watch(String prefix) throws Exception {
    var wanted = WatchPendingRequest.newBuilder()
        .setCertificateNamePrefix(prefix)
        .setSnapshot(WatchSnapshot.WATCH_SNAPSHOT_ALL)
        .build();
    var channel = connect();
    new PendingWatch(channel, service(channel), wanted).run(message -> {
      if (message.hasEvent()) {
        tell(word(message.getEvent().getType()), message.getEvent().getOperation());
      } else if (message.getBookmark().getReason() == BookmarkReason.BOOKMARK_REASON_CAUGHT_UP) {
        System.err.println("caught up: what follows is live");
      }
    });
    return 0;
  }

  private static void tell(String event, PendingOperation operation) {
    var words = operation.hasError() ? operation.getError().getMessage() : operation.getStatusDetails();
    var status = (word(operation.getStatus()) + " " + words).trim();
    System.out.printf("%s #%d %s %s%n", operation.getCertificateName(), operation.getRevision(), event, status);
  }

  /** The name without its prefix; UNRECOGNIZED where a newer server sends one that is not known here. */
  private static String word(Enum<?> value) {
    return value.name().replaceFirst("^PENDING_(STATUS|EVENT_TYPE)_", "");
  }

  private static String setting(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}
