// The pollers of the unmodified Azure SDK for JavaScript, to each of their ends.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Authority, certificateOf } from "./authority.js";
import { begin, certificates, issue, operation, policy, refused, soon, testIssuer, until } from "./support.js";

before(() => Promise.all([testIssuer("js-poll-holds", "hold"), testIssuer("js-poll-fails", "fail")]));

test("a creation is polled until it is completed", async () => {
    const dnsNames = ["a.example", "b.example"];
    const certificate = await issue("js-poll-self", { subjectAlternativeNames: { dnsNames } });
    const parsed = certificateOf(certificate.cer);
    assert.ok(parsed.verify(parsed.publicKey));
    assert.equal(parsed.subjectAltName, "DNS:a.example, DNS:b.example");
});

test("a creation that fails ends the poller with the issuer's message", async () => {
    const poller = begin("js-poll-failed", policy("js-poll-fails", "failed")).then((poller) => poller.pollUntilDone());
    await assert.rejects(poller, { name: "Error", message: "The test issuer failed, as its account id says." });
    const placeholder = await certificates.getCertificate("js-poll-failed");
    assert.equal(placeholder.properties.enabled, false);
});

test("a creation that its own poller cancels ends with the error for that", async () => {
    const poller = await begin("js-poll-own", policy("js-poll-holds", "own"));
    await poller.cancelOperation();
    await assert.rejects(poller.pollUntilDone(), { name: "PollerCancelledError" });
});

test("a creation that somebody else cancels ends with a certificate that is none", async () => {
    const poller = await begin("js-poll-other", policy("js-poll-holds", "other"));
    const polling = poller.pollUntilDone();
    await (await certificates.getCertificateOperation("js-poll-other")).cancelOperation();
    // The SDK takes every end without an error for success; nothing was issued.
    const placeholder = await polling;
    assert.deepEqual([placeholder.cer, placeholder.properties.enabled], [undefined, false]);
    assert.equal((await until("js-poll-other", "cancelled")).status, "cancelled");
});

test("a creation that is deleted meanwhile ends as not found", async () => {
    const poller = await begin("js-poll-deleted", policy("js-poll-holds", "deleted"));
    const polling = poller.pollUntilDone();
    polling.catch(() => {});
    await certificates.deleteCertificateOperation("js-poll-deleted");
    await refused(() => polling, 404, "PendingCertificateNotFound");
});

test("a manual creation is polled until somebody merges", async () => {
    const poller = await begin("js-poll-manual", policy("Unknown", "manual"));
    const polling = poller.pollUntilDone();
    const { csr } = await operation("js-poll-manual");
    const [leaf, root] = new Authority().chain(csr);
    await certificates.mergeCertificate("js-poll-manual", [leaf, root]);
    assert.deepEqual(Buffer.from((await polling).cer), leaf);
});

test("a poller is continued from its text", async () => {
    const poller = await begin("js-poll-resumed", policy("Unknown", "resumed"));
    poller.stopPolling();
    const resumed = await begin("js-poll-resumed", policy("Unknown", "resumed"), { resumeFrom: poller.toString() });
    const { csr } = await operation("js-poll-resumed");
    const [leaf, root] = new Authority().chain(csr);
    await certificates.mergeCertificate("js-poll-resumed", [leaf, root]);
    assert.deepEqual(Buffer.from((await resumed.pollUntilDone()).cer), leaf);
});

test("a deletion and a recovery are polled until they are done", async () => {
    const certificate = await issue("js-poll-gone");
    const deleting = await certificates.beginDeleteCertificate("js-poll-gone", soon);
    const deleted = await deleting.pollUntilDone();
    assert.ok(deleted.recoveryId.endsWith("/deletedcertificates/js-poll-gone"));
    assert.equal(Math.round((deleted.scheduledPurgeDate - deleted.deletedOn) / 86_400_000), 90);
    const recovering = await certificates.beginRecoverDeletedCertificate("js-poll-gone", soon);
    const recovered = await recovering.pollUntilDone();
    assert.equal(recovered.properties.id, certificate.properties.id);
});

test("a deletion of what is not there ends as not found", async () => {
    await refused(() => certificates.beginDeleteCertificate("js-poll-none", soon), 404, "CertificateNotFound");
    await refused(() => certificates.beginRecoverDeletedCertificate("js-poll-none", soon), 404, "CertificateNotFound");
});
