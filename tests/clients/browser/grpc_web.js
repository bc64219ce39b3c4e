// A page of another origin and the gRPC API, over gRPC-Web.

import assert from "node:assert/strict";
import { test } from "node:test";
import { guarded, inPage, open, preflights, visit, visitAnew } from "./support.js";

const request = (certificateName, issuerName) => ({
    certificateName,
    policy: {
        keyProperties: { keyType: "KEY_TYPE_EC", curve: "KEY_CURVE_P256" },
        x509Properties: { subject: "CN=page.example", subjectAlternativeNames: { dnsNames: ["page.example"] } },
        issuer: { name: issuerName },
    },
});
const call = (page, server, method, request, options) =>
    inPage(page, "/page/grpc.js", "call", server.url, server.token, method, request, options);
const watch = (page, server, request, status, then) =>
    inPage(page, "/page/grpc.js", "watch", server.url, server.token, request, status, then);

for (const [host, server] of [
    ["localhost", open],
    ["console.localhost", guarded],
]) {
    test(`a page of ${host} creates a certificate, and is told of each transition`, async () => {
        const page = await visit(host);
        const create = ["createCertificate", request("web-told", "Self")];
        const { messages, code } = await watch(page, server, { certificateNames: ["web-told"] }, "PENDING_STATUS_COMPLETED", create);
        assert.equal(code, undefined);
        const told = messages.map(({ event, bookmark }) => bookmark?.reason ?? `${event.type} ${event.operation.status}`);
        assert.deepEqual(told, [
            "BOOKMARK_REASON_CAUGHT_UP",
            "PENDING_EVENT_TYPE_CREATED PENDING_STATUS_IN_PROGRESS",
            "PENDING_EVENT_TYPE_UPDATED PENDING_STATUS_COMPLETED",
        ]);
        const { answer } = await call(page, server, "getCertificate", { certificateName: "web-told" });
        assert.equal(answer.certificate.policy.issuer.name, "Self");
    });
}

test("a stream is resumed with the token of its last message", async () => {
    const page = await visit("console.localhost");
    const { answer } = await call(page, guarded, "createCertificate", request("web-resumed", "Unknown"));
    assert.equal(answer.operation.status, "PENDING_STATUS_IN_PROGRESS");
    await call(page, guarded, "cancelPending", { certificateName: "web-resumed" });
    const { resumeToken } = answer;
    const { messages } = await watch(page, guarded, { certificateNames: ["web-resumed"], resumeToken }, "PENDING_STATUS_CANCELLED");
    const events = messages.filter(({ event }) => event);
    assert.deepEqual(events.map(({ event }) => event.operation.revision), ["2", "3"]);
});

test("an error is read with its code, its message and its details", async () => {
    const page = await visit("console.localhost");
    const none = await call(page, guarded, "getCertificate", { certificateName: "web-none" });
    assert.equal(none.code, "NotFound");
    assert.match(none.message, /web-none/);
    const info = none.details.find(({ type }) => type === "google.rpc.ErrorInfo");
    assert.deepEqual([info.domain, info.reason], ["certmint.v1", "CERTIFICATE_NOT_FOUND"]);
    const nameless = request("web-bad", "Self");
    nameless.policy.x509Properties = { subject: "no name" };
    const bad = await call(page, guarded, "createCertificate", nameless);
    assert.equal(bad.code, "InvalidArgument");
    const [violation] = bad.details.find(({ type }) => type === "google.rpc.BadRequest").fieldViolations;
    assert.equal(violation.field, "policy.x509_properties.subject");
});

test("a stream that is refused says why", async () => {
    const page = await visit("console.localhost");
    const refused = await watch(page, guarded, { resumeToken: "no token" });
    assert.deepEqual([refused.messages, refused.code], [[], "InvalidArgument"]);
    const violations = refused.details.find(({ type }) => type === "google.rpc.BadRequest").fieldViolations;
    assert.equal(violations[0].field, "resume_token");
});

test("without a token, and with a wrong one, the call is refused and the page is told so", async () => {
    const page = await visit("console.localhost");
    for (const token of [undefined, "wrong"]) {
        const refused = await call(page, { url: guarded.url, token }, "listCertificates", {});
        assert.equal(refused.code, "Unauthenticated");
        assert.equal(refused.details.find(({ type }) => type === "google.rpc.ErrorInfo").reason, "UNAUTHENTICATED");
        assert.equal((await watch(page, { url: guarded.url, token }, {})).code, "Unauthenticated");
    }
});

test("a deadline of the page reaches the server, and a stream is left without an error of the server", async () => {
    const page = await visitAnew("console.localhost");
    const asked = await preflights(page);
    assert.ok((await call(page, guarded, "listCertificates", {}, { timeoutMs: 30_000 })).answer);
    assert.match(Object.entries(asked()[0].sent).find(([name]) => /request-headers$/i.test(name))[1], /grpc-timeout/);
    const left = await inPage(page, "/page/grpc.js", "leave", guarded.url, guarded.token, {});
    assert.equal(left.code, "Canceled");
});

for (const [host, server] of [
    ["elsewhere.localhost", open],
    ["localhost", guarded],
]) {
    test(`a page of ${host}, which is not named, is kept away by the browser`, async () => {
        const page = await visit(host);
        for (const [method, body] of [
            ["listCertificates", {}],
            ["createCertificate", request("web-foreign", "Self")],
        ]) {
            const refused = await call(page, server, method, body);
            assert.deepEqual([refused.code, refused.message], ["Unknown", "Failed to fetch"]);
        }
        const stream = await watch(page, server, {});
        assert.deepEqual([stream.messages, stream.code], [[], "Unknown"]);
        const named = await visit(server === open ? "localhost" : "console.localhost");
        const pending = await call(named, server, "getPending", { certificateName: "web-foreign" });
        assert.equal(pending.code, "NotFound");
    });
}
