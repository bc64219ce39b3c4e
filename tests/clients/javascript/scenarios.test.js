// The eleven documented scenarios, as far as the unmodified Azure SDK for JavaScript can express them.
// It cannot name a `request_id`, and it shows of a failed operation the message alone, not the code.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Authority, Bundle, certificateOf, keyOfRequest, spki } from "./authority.js";
import { begin, certificates, operation, policy, refused, testIssuer, until, url } from "./support.js";

const IN_PROGRESS = /Certificate request is in progress. This may take some time based on the issuer provider/;

before(() =>
    Promise.all([
        testIssuer("js-holds", "hold"),
        testIssuer("js-completes", "complete"),
        testIssuer("js-fails", "fail"),
        testIssuer("js-rejects", "reject"),
    ]),
);

test("scenarios 1 and 2: a certificate is requested from an issuer, and its operation is in progress", async () => {
    await begin("js-s1", policy("js-holds", "s1", { certificateType: "OV-SSL" }));
    const pending = await operation("js-s1");
    assert.equal(pending.id, `${url}/certificates/js-s1/pending`);
    assert.deepEqual([pending.status, pending.issuerName], ["inProgress", "js-holds"]);
    assert.equal(pending.cancellationRequested, false);
    assert.match(pending.statusDetails, IN_PROGRESS);
    assert.match(pending.requestId, /^[0-9a-f]{32}$/);
    assert.equal(keyOfRequest(pending.csr).asymmetricKeyType, "ec");
    const placeholder = await certificates.getCertificate("js-s1");
    assert.deepEqual([placeholder.properties.enabled, placeholder.cer], [false, undefined]);
});

test("scenario 3: a completed operation points at the certificate, which has the key of the request", async () => {
    const certificate = await (await begin("js-s3", policy("js-completes", "s3"))).pollUntilDone();
    const completed = await operation("js-s3");
    assert.equal(completed.status, "completed");
    assert.ok(completed.target.startsWith(`${url}/certificates/js-s3`), completed.target);
    const parsed = certificateOf(certificate.cer);
    assert.equal(parsed.subject, "CN=s3.example");
    assert.equal(spki(parsed.publicKey), spki(keyOfRequest(completed.csr)));
});

test("scenario 4: a failed operation says whose fault it was, a cancelled one that it was cancelled", async () => {
    const ends = { "js-fails": /^The test issuer failed/, "js-rejects": /^The test issuer rejected/ };
    for (const [issuer, message] of Object.entries(ends)) {
        const polling = begin(issuer, policy(issuer, issuer)).then((poller) => poller.pollUntilDone());
        await assert.rejects(polling, { name: "Error", message });
        await assert.rejects(operation(issuer), { name: "Error", message });
    }
    const poller = await begin("js-s4", policy("js-holds", "s4"));
    await assert.rejects(poller.cancelOperation().then(() => poller.pollUntilDone()), { name: "PollerCancelledError" });
    const cancelled = await until("js-s4", "cancelled");
    assert.deepEqual([cancelled.statusDetails, cancelled.cancellationRequested], ["", true]);
});

test("scenario 5: a deleted operation is not found, an overwritten one is another", async () => {
    await begin("js-s5", policy("Unknown", "s5"));
    await certificates.deleteCertificateOperation("js-s5");
    await refused(() => operation("js-s5"), 404, "PendingCertificateNotFound");
    await begin("js-s5", policy("Unknown", "s5"));
    const before = await operation("js-s5");
    await certificates.mergeCertificate("js-s5", new Authority().chain(before.csr));
    await begin("js-s5", policy("Unknown", "s5"));
    const after = await operation("js-s5");
    assert.notEqual(after.requestId, before.requestId);
    assert.notEqual(spki(keyOfRequest(after.csr)), spki(keyOfRequest(before.csr)));
});

test("scenario 6: a second creation and an import are refused while one is in progress", async () => {
    await begin("js-s6", policy("Unknown", "s6"));
    const message = /can not be created or imported while a pending key vault certificate's status is inProgress/;
    await refused(() => begin("js-s6", policy("Self", "other")), 409, "Forbidden", message);
    const pfx = new Bundle("s6", "P-256").pfx();
    await refused(() => certificates.importCertificate("js-s6", pfx), 409, "Forbidden", message);
});

test("scenario 7: a merge is forbidden while an issuer works on it, and allowed after a cancellation", async () => {
    await begin("js-s7", policy("js-holds", "s7"));
    const { csr } = await operation("js-s7");
    const chain = new Authority().chain(csr);
    const message = /issuer : js-holds while it is in progess\./;
    await refused(() => certificates.mergeCertificate("js-s7", chain), 403, "Forbidden", message);
    const poller = await certificates.getCertificateOperation("js-s7");
    await assert.rejects(poller.cancelOperation().then(() => poller.poll()), { name: "PollerCancelledError" });
    await until("js-s7", "cancelled");
    const merged = await certificates.mergeCertificate("js-s7", chain);
    assert.deepEqual(Buffer.from(merged.cer), chain[0]);
    assert.equal((await operation("js-s7")).status, "completed");
});

test("scenario 8: a cancellation is asked for while in progress, and refused once it has ended", async () => {
    const poller = await begin("js-s8", policy("js-holds", "s8"));
    await poller.cancelOperation();
    await until("js-s8", "cancelled");
    const ended = await certificates.getCertificateOperation("js-s8");
    await refused(() => ended.cancelOperation(), 400, "BadParameter");
});

test("scenario 9: deleting an operation in progress shows it once more", async () => {
    await begin("js-s9", policy("js-holds", "s9"));
    const { requestId } = await operation("js-s9");
    const deleted = await certificates.deleteCertificateOperation("js-s9");
    assert.deepEqual([deleted.status, deleted.requestId], ["inProgress", requestId]);
    await refused(() => operation("js-s9"), 404, "PendingCertificateNotFound");
});

test("scenarios 10 and 11: a certificate without an issuer waits for a merge, which completes it", async () => {
    await begin("js-s10", policy(undefined, "s10", { exportable: false }), { tags: { made: "by hand" } });
    const pending = await operation("js-s10");
    assert.deepEqual([pending.status, pending.issuerName], ["inProgress", "Unknown"]);
    assert.equal(pending.statusDetails, "Pending certificate created. Please Perform Merge to complete the request.");
    const chain = new Authority().chain(pending.csr);
    const merged = await certificates.mergeCertificate("js-s10", chain);
    assert.deepEqual(Buffer.from(merged.cer), chain[0]);
    assert.equal(spki(certificateOf(merged.cer).publicKey), spki(keyOfRequest(pending.csr)));
    assert.equal(merged.id, undefined, "this version of the SDK hands it out in the properties alone");
    assert.match(merged.properties.id, /\/certificates\/js-s10\/[0-9a-f]{32}$/);
    assert.ok(merged.keyId.endsWith(merged.properties.version) && merged.secretId.endsWith(merged.properties.version));
    assert.deepEqual(merged.properties.tags, { made: "by hand" });
    assert.deepEqual([merged.policy.exportable, merged.policy.issuerName], [false, "Unknown"]);
    assert.equal(merged.policy.contentType, "application/x-pkcs12");
    assert.deepEqual(merged.policy.lifetimeActions, [
        { action: "EmailContacts", daysBeforeExpiry: undefined, lifetimePercentage: 80 },
    ]);
    const stranger = new Bundle("stranger", "P-256").der;
    await begin("js-s11", policy("Unknown", "s11"));
    const message = /does not match the public part of the specified private key/;
    await refused(() => certificates.mergeCertificate("js-s11", [stranger]), 400, "BadParameter", message);
});
