package io.certmint.example;

import io.certmint.v1.CertificateServiceGrpc;
import io.certmint.v1.PendingEvent;
import io.certmint.v1.WatchPendingRequest;
import io.certmint.v1.WatchPendingResponse;
import io.grpc.ManagedChannel;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;

/**
 * WatchPending that goes on over broken connections and restarts of the server, and tells nothing twice.
 *
 * <p>To go on after a restart of this program, store the resume_token of each message once it is processed, and begin
 * with the last one in the request. In a snapshot it is empty: half a snapshot cannot be resumed.
 */
final class PendingWatch {

  /** The server went away, or the connection was cut, for which libraries and proxies have several codes. */
  private static final Set<Code> INTERRUPTIONS =
      EnumSet.of(Code.UNAVAILABLE, Code.UNKNOWN, Code.INTERNAL, Code.CANCELLED);

  private final ManagedChannel channel;
  private final CertificateServiceGrpc.CertificateServiceBlockingStub service;
  private final WatchPendingRequest.Builder request;
  private final Map<String, Long> seen = new HashMap<>();
  private int failures;

  PendingWatch(
      ManagedChannel channel,
      CertificateServiceGrpc.CertificateServiceBlockingStub service,
      WatchPendingRequest request) {
    this.channel = channel;
    this.service = service;
    this.request = request.toBuilder();
  }

  /** Hands on events and bookmarks; returns only where the request has until_terminal. */
  void run(Consumer<WatchPendingResponse> handler) throws InterruptedException {
    var messages = service.watchPending(request.build()); // without a deadline: it lasts
    while (true) {
      WatchPendingResponse message;
      try {
        if (!messages.hasNext()) {
          return;
        }
        message = messages.next();
      } catch (StatusRuntimeException cause) {
        recover(cause);
        messages = service.watchPending(request.build());
        continue;
      }
      failures = 0;
      if (!(message.hasEvent() && isRepeat(message.getEvent()))) {
        handler.accept(message);
      }
      if (!message.getResumeToken().isEmpty()) {
        request.setResumeToken(message.getResumeToken());
      }
    }
  }

  /** Waits, or forgets the token, where the watch can go on after this; else throws it. */
  private void recover(StatusRuntimeException cause) throws InterruptedException {
    var error = RichError.of(cause);
    if (error.reason().equals("RESUME_TOKEN_EXPIRED")) {
      System.err.println("the resume token has expired: starting again from a snapshot");
      request.clearResumeToken();
      seen.clear();
    } else if (INTERRUPTIONS.contains(error.code())) {
      failures++;
      var wait = error.retryAfter() != null ? error.retryAfter() : backoff();
      System.err.printf("watch interrupted (%s): resuming in %.1f s%n", error.name(), wait.toMillis() / 1000.0);
      Thread.sleep(wait.toMillis());
      channel.resetConnectBackoff(); // its own grows to two minutes
    } else {
      throw cause;
    }
  }

  /** A revision that is not above the last one of the same operation was told before. */
  private boolean isRepeat(PendingEvent event) {
    var operation = event.getOperation();
    return switch (event.getType()) {
      case PENDING_EVENT_TYPE_DELETED, PENDING_EVENT_TYPE_OVERWRITTEN -> {
        seen.remove(operation.getRequestId());
        yield false;
      }
      default -> {
        long last = seen.getOrDefault(operation.getRequestId(), 0L);
        seen.put(operation.getRequestId(), Math.max(last, operation.getRevision()));
        yield operation.getRevision() <= last;
      }
    };
  }

  /** 0.1 s to 5 s, with jitter. */
  private Duration backoff() {
    long longest = Math.min(5000, 100L << Math.min(failures, 10));
    return Duration.ofMillis(ThreadLocalRandom.current().nextLong(100, longest + 1));
  }
}
