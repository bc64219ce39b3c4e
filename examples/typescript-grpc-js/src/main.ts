import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { credentials, Metadata, type requestCallback } from "@grpc/grpc-js";
import { describe, richError } from "./errors.js";
import type { CertificateServiceClient } from "./gen/certmint/v1/CertificateService.js";
import type { CreateCertificateResponse__Output } from "./gen/certmint/v1/CreateCertificateResponse.js";
import type { GetCertificateResponse__Output } from "./gen/certmint/v1/GetCertificateResponse.js";
import type { PendingOperation__Output } from "./gen/certmint/v1/PendingOperation.js";
import { certmint } from "./proto.js";
import { watchPending } from "./watch.js";

const usage = `A client of certmint.

    create NAME [ISSUER]   creates a certificate and prints each transition until the end
                           (issuer Self unless another is given; Unknown: somebody merges it by hand)
    show NAME              shows the newest version of a certificate
    watch [PREFIX]         prints each transition of certificates with this name prefix

Environment: CERTMINT_SERVER (localhost:8443), CERTMINT_CA (a file with the root to trust; else those of Node.js),
CERTMINT_TOKEN (dev).`;

const { CERTMINT_SERVER = "localhost:8443", CERTMINT_CA, CERTMINT_TOKEN = "dev" } = process.env;

/** A connection of its own: a stream that is not read holds up other calls on the same one. */
function connect(): CertificateServiceClient {
  const token = credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${CERTMINT_TOKEN}`);
    done(null, metadata);
  });
  const tls = credentials.createSsl(CERTMINT_CA ? readFileSync(CERTMINT_CA) : null);
  const server = CERTMINT_SERVER.replace(/^https:\/\//, "");
  return new certmint.v1.CertificateService(server, credentials.combineChannelCredentials(tls, token), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.keepalive_time_ms": 60_000, // notices a connection that died without a word
    "grpc.max_reconnect_backoff_ms": 5_000, // two minutes otherwise
  });
}

/** Of a call that is no stream. */
const deadline = () => ({ deadline: Date.now() + 30_000 });

/** A call as a promise. */
function answer<Response>(call: (done: requestCallback<Response>) => unknown): Promise<Response> {
  return new Promise((resolve, reject) => call((error, response) => (response ? resolve(response) : reject(error))));
}

async function create(name: string, issuer = "Self"): Promise<number> {
  const x509Properties = { subject: `CN=${name}.example`, subjectAlternativeNames: { dnsNames: [`${name}.example`] } };
  const policy = { x509Properties, issuer: { name: issuer } };
  // The id of our own makes the call safe to repeat.
  const request = { certificateName: name, policy, requestId: randomUUID() };
  let { operation, resumeToken } = await answer<CreateCertificateResponse__Output>((done) =>
    connect().createCertificate(request, deadline(), done),
  );
  tell("CREATED", operation);
  // From the token of the answer on, nothing is missed.
  const watched = { requestId: operation?.requestId, resumeToken, untilTerminal: true };
  for await (const { event } of watchPending(connect(), watched, console.error)) {
    if (!event) continue;
    operation = event.operation;
    tell(event.type, operation);
  }
  return operation?.status === "PENDING_STATUS_COMPLETED" ? 0 : 1;
}

async function show(name: string): Promise<number> {
  const { certificate } = await answer<GetCertificateResponse__Output>((done) =>
    connect().getCertificate({ certificateName: name }, deadline(), done),
  );
  const expires = certificate?.cer.length ? certificate.attributes?.expires : undefined;
  const date = expires && `expires ${new Date(Number(expires.seconds) * 1000).toISOString().slice(0, 10)}`;
  console.log(certificate?.certificateName, certificate?.certificateVersion, date ?? "not issued yet");
  return 0;
}

async function watch(prefix = ""): Promise<number> {
  const request = { certificateNamePrefix: prefix, snapshot: "WATCH_SNAPSHOT_ALL" } as const;
  for await (const { event, bookmark } of watchPending(connect(), request, console.error)) {
    if (event) tell(event.type, event.operation);
    if (bookmark?.reason === "BOOKMARK_REASON_CAUGHT_UP") console.error("caught up: what follows is live");
  }
  return 0;
}

function tell(event: string, operation: PendingOperation__Output | null): void {
  if (!operation) return;
  const { certificateName, revision, status, error, statusDetails } = operation;
  const words = error?.message ?? statusDetails;
  console.log(`${certificateName} #${revision} ${word(event)} ${word(status)} ${words}`.trimEnd());
}

/** The name of an enum without its prefix; a number where a newer server sends one that is not known here. */
function word(name: string | number): string {
  return String(name).replace(/^PENDING_(STATUS|EVENT_TYPE)_/, "");
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
  (cause: unknown) => {
    const error = richError(cause);
    console.error(error ? describe(error) : cause);
    process.exit(1);
  },
);
