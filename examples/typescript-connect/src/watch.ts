import { setTimeout as sleep } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code } from "@connectrpc/connect";
import { richError } from "./errors.js";
import type { CertificateService } from "./gen/certmint/v1/certificate_service_pb.js";
import {
  type PendingEvent,
  PendingEventType,
  WatchPendingRequestSchema,
  type WatchPendingResponse,
} from "./gen/certmint/v1/pending_pb.js";

/** The server went away, or the connection was cut, for which libraries and proxies have several codes. */
const interruptions = [Code.Unavailable, Code.Unknown, Code.Internal, Code.Canceled, Code.Aborted];

/**
 * WatchPending that goes on over broken connections and restarts of the server, and tells nothing twice. It ends only
 * where the request has untilTerminal.
 *
 * To go on after a restart of this program, store `resumeToken` of each message once it is processed, and begin with
 * the last one in the request. In a snapshot it is empty: half a snapshot cannot be resumed.
 */
export async function* watchPending(
  client: Client<typeof CertificateService>,
  wanted: MessageInitShape<typeof WatchPendingRequestSchema>,
  note: (text: string) => void,
): AsyncGenerator<WatchPendingResponse> {
  const request = create(WatchPendingRequestSchema, wanted);
  const seen = new Map<string, bigint>();
  let failures = 0;
  for (;;) {
    try {
      // Without a deadline: it lasts.
      for await (const message of client.watchPending(request)) {
        failures = 0;
        if (message.payload.case !== "event" || !isRepeat(message.payload.value, seen)) yield message;
        if (message.resumeToken) request.resumeToken = message.resumeToken;
      }
      return;
    } catch (cause) {
      const error = richError(cause);
      if (error.reason === "RESUME_TOKEN_EXPIRED") {
        note("the resume token has expired: starting again from a snapshot");
        request.resumeToken = "";
        seen.clear();
      } else if (interruptions.includes(error.code)) {
        failures += 1;
        const wait = error.retryAfterMs ?? backoff(failures);
        note(`watch interrupted (${error.reason ?? Code[error.code]}): resuming in ${(wait / 1000).toFixed(1)} s`);
        await sleep(wait);
      } else {
        throw cause;
      }
    }
  }
}

/** A revision that is not above the last one of the same operation was told before. */
function isRepeat({ type, operation }: PendingEvent, seen: Map<string, bigint>): boolean {
  if (!operation) return false;
  if (type === PendingEventType.DELETED || type === PendingEventType.OVERWRITTEN) {
    seen.delete(operation.requestId);
    return false;
  }
  if (operation.revision <= (seen.get(operation.requestId) ?? 0n)) return true;
  seen.set(operation.requestId, operation.revision);
  return false;
}

/** 0.1 s to 5 s, with jitter. */
function backoff(failures: number): number {
  return 100 + Math.random() * (Math.min(5000, 100 * 2 ** failures) - 100);
}
