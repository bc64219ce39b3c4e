import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";

/** What an error of certmint says: the details of its google.rpc.Status. */
export interface RichError {
  code: Code;
  message: string;
  /** A name of certmint.v1.ErrorReason; none where the error was made on this side, as by a cut connection. */
  reason?: string;
  /** Which fields of the request are wrong, and why. */
  violations: { field: string; description: string }[];
  resource?: string;
  /** Set where the server asks to wait. */
  retryAfterMs?: number;
}

export function richError(cause: unknown): RichError {
  const error = ConnectError.from(cause);
  const [info] = error.findDetails(ErrorInfoSchema);
  const [bad] = error.findDetails(BadRequestSchema);
  const [resource] = error.findDetails(ResourceInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  return {
    code: error.code,
    message: error.rawMessage,
    reason: info?.domain === "certmint.v1" ? info.reason : undefined,
    violations: bad?.fieldViolations ?? [],
    resource: resource && `${resource.resourceType} ${resource.resourceName}`,
    retryAfterMs: retry?.retryDelay && durationMs(retry.retryDelay),
  };
}

export function describe(error: RichError): string {
  const lines = [`${Code[error.code]} ${error.reason ?? ""}`.trimEnd() + `: ${error.message}`];
  for (const { field, description } of error.violations) lines.push(`  ${field}: ${description}`);
  if (error.resource) lines.push(`  about: ${error.resource}`);
  if (error.retryAfterMs !== undefined) lines.push(`  retry after: ${error.retryAfterMs / 1000} s`);
  return lines.join("\n");
}
