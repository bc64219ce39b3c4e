import { type ServiceError, status } from "@grpc/grpc-js";
import type { AnyExtension } from "@grpc/proto-loader";
import type { BadRequest__Output } from "./gen/google/rpc/BadRequest.js";
import type { ErrorInfo__Output } from "./gen/google/rpc/ErrorInfo.js";
import type { ResourceInfo__Output } from "./gen/google/rpc/ResourceInfo.js";
import type { RetryInfo__Output } from "./gen/google/rpc/RetryInfo.js";
import { google } from "./proto.js";

/** What an error of certmint says: the details of its google.rpc.Status. */
export interface RichError {
  code: status;
  message: string;
  /** A name of certmint.v1.ErrorReason; none where the error was made on this side, as by a cut connection. */
  reason?: string;
  /** Which fields of the request are wrong, and why. */
  violations: { field: string; description: string }[];
  resource?: string;
  /** Set where the server asks to wait. */
  retryAfterMs?: number;
}

/** Nothing where `cause` is no error of a call. */
export function richError(cause: unknown): RichError | undefined {
  if (!(cause instanceof Error && "code" in cause && "metadata" in cause)) return undefined;
  const { code, details, metadata } = cause as ServiceError;
  const error: RichError = { code, message: details, violations: [] };
  const [bytes] = metadata.get("grpc-status-details-bin");
  if (!(bytes instanceof Buffer)) return error;
  const rpcStatus = google.rpc.Status.deserialize(bytes);
  error.message = rpcStatus.message; // as it was sent: grpc-js leaves some characters of the header encoded
  for (const detail of rpcStatus.details) {
    switch ("@type" in detail && detail["@type"].split("/").pop()) {
      case "google.rpc.ErrorInfo": {
        const info = detail as AnyExtension & ErrorInfo__Output;
        if (info.domain === "certmint.v1") error.reason = info.reason;
        break;
      }
      case "google.rpc.BadRequest":
        error.violations = (detail as AnyExtension & BadRequest__Output).fieldViolations;
        break;
      case "google.rpc.ResourceInfo": {
        const resource = detail as AnyExtension & ResourceInfo__Output;
        error.resource = `${resource.resourceType} ${resource.resourceName}`;
        break;
      }
      case "google.rpc.RetryInfo": {
        const delay = (detail as AnyExtension & RetryInfo__Output).retryDelay;
        if (delay) error.retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
        break;
      }
    }
  }
  return error;
}

export function describe(error: RichError): string {
  const lines = [`${status[error.code]} ${error.reason ?? ""}`.trimEnd() + `: ${error.message}`];
  for (const { field, description } of error.violations) lines.push(`  ${field}: ${description}`);
  if (error.resource) lines.push(`  about: ${error.resource}`);
  if (error.retryAfterMs !== undefined) lines.push(`  retry after: ${error.retryAfterMs / 1000} s`);
  return lines.join("\n");
}
