import { setTimeout as sleep } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { richError } from "./errors.js";
import type { CertificateServiceClient } from "./gen/certmint/v1/CertificateService.js";
import type { PendingEvent__Output } from "./gen/certmint/v1/PendingEvent.js";
import type { WatchPendingRequest } from "./gen/certmint/v1/WatchPendingRequest.js";
import type { WatchPendingResponse__Output } from "./gen/certmint/v1/WatchPendingResponse.js";

/** The server went away, or the connection was cut, for which libraries and proxies have several codes. */
const interruptions = [status.UNAVAILABLE, status.UNKNOWN, status.INTERNAL, status.CANCELLED];

/**
 * WatchPending that goes on over broken connections and restarts of the server, and tells nothing twice. It ends only
 * where the request has untilTerminal.
 *
 * To go on after a restart of this program, store `resumeToken` of each message once it is processed, and begin with
 * the last one in the request. In a snapshot it is empty: half a snapshot cannot be resumed.
 */
export async function* watchPending(
  client: CertificateServiceClient,
  request: WatchPendingRequest,
  note: (text: string) => void,
): AsyncGenerator<WatchPendingResponse__Output> {
  const seen = new Map<string, bigint>();
  let resumeToken = request.resumeToken;
  let failures = 0;
  for (;;) {
    try {
      // Without a deadline: it lasts.
      const stream: AsyncIterable<WatchPendingResponse__Output> = client.watchPending({ ...request, resumeToken });
      for await (const message of stream) {
        failures = 0;
        if (!(message.event && isRepeat(message.event, seen))) yield message;
        if (message.resumeToken) resumeToken = message.resumeToken;
      }
      return;
    } catch (cause) {
      const error = richError(cause);
      if (error?.reason === "RESUME_TOKEN_EXPIRED") {
        note("the resume token has expired: starting again from a snapshot");
        resumeToken = "";
        seen.clear();
      } else if (error && interruptions.includes(error.code)) {
        failures += 1;
        const wait = error.retryAfterMs ?? backoff(failures);
        note(`watch interrupted (${error.reason ?? status[error.code]}): resuming in ${(wait / 1000).toFixed(1)} s`);
        await sleep(wait);
      } else {
        throw cause;
      }
    }
  }
}

/** A revision that is not above the last one of the same operation was told before. */
function isRepeat({ type, operation }: PendingEvent__Output, seen: Map<string, bigint>): boolean {
  if (!operation) return false;
  if (type === "PENDING_EVENT_TYPE_DELETED" || type === "PENDING_EVENT_TYPE_OVERWRITTEN") {
    seen.delete(operation.requestId);
    return false;
  }
  const revision = BigInt(operation.revision);
  if (revision <= (seen.get(operation.requestId) ?? 0n)) return true;
  seen.set(operation.requestId, revision);
  return false;
}

/** 0.1 s to 5 s, with jitter. */
function backoff(failures: number): number {
  return 100 + Math.random() * (Math.min(5000, 100 * 2 ** failures) - 100);
}
