import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, richError } from "./errors.js";
import { CertificateService } from "./gen/certmint/v1/certificate_service_pb.js";
import {
  BookmarkReason,
  PendingEventType,
  type PendingOperation,
  PendingStatus,
  WatchSnapshot,
} from "./gen/certmint/v1/pending_pb.js";
import { watchPending } from "./watch.js";

const usage = `A client of certmint.

    create NAME [ISSUER]   creates a certificate and prints each transition until the end
                           (issuer Self unless another is given; Unknown: somebody merges it by hand)
    show NAME              shows the newest version of a certificate
    watch [PREFIX]         prints each transition of certificates with this name prefix

Environment: CERTMINT_SERVER (localhost:8443), CERTMINT_CA (a file with the root to trust; else those of Node.js),
CERTMINT_TOKEN (dev).`;

/** Milliseconds, for a call that is no stream. */
const deadline = { timeoutMs: 30_000 };

const { CERTMINT_SERVER = "localhost:8443", CERTMINT_CA, CERTMINT_TOKEN = "dev" } = process.env;

const authorize: Interceptor = (next) => (request) => {
  request.header.set("authorization", `Bearer ${CERTMINT_TOKEN}`);
  return next(request);
};

/** A connection of its own: a stream that is not read holds up other calls on the same one. */
function connect(): Client<typeof CertificateService> {
  const transport = createGrpcTransport({
    baseUrl: `https://${CERTMINT_SERVER.replace(/^https:\/\//, "")}`,
    nodeOptions: { ca: CERTMINT_CA && readFileSync(CERTMINT_CA) },
    interceptors: [authorize],
    pingIntervalMs: 60_000, // notices a connection that died without a word
  });
  return createClient(CertificateService, transport);
}

async function create(name: string, issuer = "Self"): Promise<number> {
  const x509Properties = { subject: `CN=${name}.example`, subjectAlternativeNames: { dnsNames: [`${name}.example`] } };
  const policy = { x509Properties, issuer: { name: issuer } };
  // The id of our own makes the call safe to repeat.
  const request = { certificateName: name, policy, requestId: randomUUID() };
  let { operation, resumeToken } = await connect().createCertificate(request, deadline);
  tell("CREATED", operation);
  // From the token of the answer on, nothing is missed.
  const watched = { requestId: operation?.requestId, resumeToken, untilTerminal: true };
  for await (const { payload } of watchPending(connect(), watched, console.error)) {
    if (payload.case === "event") {
      operation = payload.value.operation;
      tell(word(PendingEventType, payload.value.type), operation);
    }
  }
  return operation?.status === PendingStatus.COMPLETED ? 0 : 1;
}

async function show(name: string): Promise<number> {
  const { certificate } = await connect().getCertificate({ certificateName: name }, deadline);
  const expires = certificate?.cer.length ? certificate.attributes?.expires : undefined;
  const date = expires ? `expires ${timestampDate(expires).toISOString().slice(0, 10)}` : "not issued yet";
  console.log(certificate?.certificateName, certificate?.certificateVersion, date);
  return 0;
}

async function watch(prefix = ""): Promise<number> {
  const request = { certificateNamePrefix: prefix, snapshot: WatchSnapshot.ALL };
  for await (const { payload } of watchPending(connect(), request, console.error)) {
    if (payload.case === "event") {
      tell(word(PendingEventType, payload.value.type), payload.value.operation);
    } else if (payload.case === "bookmark" && payload.value.reason === BookmarkReason.CAUGHT_UP) {
      console.error("caught up: what follows is live");
    }
  }
  return 0;
}

function tell(event: string, operation?: PendingOperation): void {
  if (!operation) return;
  const { certificateName, revision, status, error, statusDetails } = operation;
  const words = error?.message ?? statusDetails;
  console.log(`${certificateName} #${revision} ${event} ${word(PendingStatus, status)} ${words}`.trimEnd());
}

/** The name of an enum; the number where a newer server sends one that is not known here. */
function word(names: Record<number, string>, value: number): string {
  return names[value] ?? String(value);
}

async function main([command, ...names]: string[]): Promise<number> {
  const [name, more] = names;
  if (command === "create" && name && names.length <= 2) return create(name, more);
  if (command === "show" && name && names.length === 1) return show(name);
  if (command === "watch" && names.length <= 1) return watch(name);
  console.error(usage);
  return 2;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(describe(richError(error)));
    process.exit(1);
  },
);
