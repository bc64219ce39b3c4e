package io.certmint.example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.ResourceInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * What an error of certmint says: the details of its google.rpc.Status.
 *
 * @param reason a name of certmint.v1.ErrorReason; empty where the error was made on this side, as by a cut connection
 * @param violations which fields of the request are wrong, and why
 * @param retryAfter null unless the server asks to wait
 */
record RichError(
    Status.Code code,
    String message,
    String reason,
    List<BadRequest.FieldViolation> violations,
    String resource,
    Duration retryAfter) {

  static RichError of(StatusRuntimeException error) {
    String reason = "";
    List<BadRequest.FieldViolation> violations = List.of();
    String resource = "";
    Duration retryAfter = null;
    var status = StatusProto.fromThrowable(error);
    try {
      for (Any detail : status == null ? List.<Any>of() : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          var info = detail.unpack(ErrorInfo.class);
          reason = info.getDomain().equals("certmint.v1") ? info.getReason() : "";
        } else if (detail.is(BadRequest.class)) {
          violations = detail.unpack(BadRequest.class).getFieldViolationsList();
        } else if (detail.is(ResourceInfo.class)) {
          var about = detail.unpack(ResourceInfo.class);
          resource = about.getResourceType() + " " + about.getResourceName();
        } else if (detail.is(RetryInfo.class)) {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        }
      }
    } catch (InvalidProtocolBufferException damaged) {
      // What was read so far is still true.
    }
    var cause = error.getStatus().getCause();
    var message = error.getStatus().getDescription() + (cause == null ? "" : ": " + cause.getMessage());
    return new RichError(error.getStatus().getCode(), message, reason, violations, resource, retryAfter);
  }

  /** The reason or, where there is none, the code. */
  String name() {
    return reason.isEmpty() ? code.name() : reason;
  }

  @Override
  public String toString() {
    var lines = new ArrayList<String>();
    lines.add((code + " " + reason).trim() + ": " + message);
    violations.forEach(it -> lines.add("  " + it.getField() + ": " + it.getDescription()));
    if (!resource.isEmpty()) {
      lines.add("  about: " + resource);
    }
    if (retryAfter != null) {
      lines.add("  retry after: " + retryAfter.toMillis() / 1000.0 + " s");
    }
    return String.join("\n", lines);
  }
}
