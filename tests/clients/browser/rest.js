// A page of another origin and the REST API.

import assert from "node:assert/strict";
import { test } from "node:test";
import { guarded, inPage, open, origin, preflights, visit, visitAnew } from "./support.js";

const query = "?api-version=7.4";
const policy = (issuer) => ({
    policy: {
        key_props: { kty: "EC", crv: "P-256" },
        x509_props: { subject: "CN=page.example", sans: { dns_names: ["page.example"] } },
        issuer: { name: issuer },
    },
});

const at = (server, path) => server.url + path + query;
const call = (page, server, path, options = {}) =>
    inPage(page, "/page/rest.js", "call", at(server, path), { token: server.token, ...options });
const failure = (page, server, path, options = {}) =>
    inPage(page, "/page/rest.js", "failure", at(server, path), { token: server.token, ...options });

async function completed(page, server, name) {
    for (;;) {
        const pending = await call(page, server, `/certificates/${name}/pending`);
        assert.equal(pending.status, 200);
        if (pending.body.status !== "inProgress") return pending.body;
        assert.match(pending.headers["retry-after"], /^\d+$/);
    }
}

const allowed = [
    ["localhost", open],
    ["127.0.0.1", open],
    ["console.localhost", guarded],
];
const foreign = [
    ["elsewhere.localhost", open],
    ["localhost", guarded],
    ["elsewhere.console.localhost", guarded],
];

for (const [host, server] of allowed) {
    test(`a page of ${host} creates a certificate and polls it until it is there`, async () => {
        const page = await visit(host);
        const headers = { "x-ms-client-request-id": crypto.randomUUID() };
        const made = await call(page, server, "/certificates/rest-made/create", { method: "POST", body: policy("Self"), headers });
        assert.equal(made.status, 202);
        assert.equal(new URL(made.headers.location).pathname, "/certificates/rest-made/pending");
        assert.match(made.headers["retry-after"], /^\d+$/);
        assert.match(made.headers["x-ms-request-id"], /./);
        assert.equal(made.headers["x-ms-client-request-id"], headers["x-ms-client-request-id"]);
        assert.equal((await completed(page, server, "rest-made")).status, "completed");
        const certificate = await call(page, server, "/certificates/rest-made");
        assert.deepEqual([certificate.status, certificate.body.policy.issuer.name], [200, "Self"]);
    });
}

test("every method of the API is open to a page: PUT, PATCH, DELETE", async () => {
    const page = await visit("console.localhost");
    const contacts = { contacts: [{ email: "page@example.com" }] };
    const put = await call(page, guarded, "/certificates/contacts", { method: "PUT", body: contacts });
    assert.deepEqual([put.status, put.body.contacts[0].email], [200, "page@example.com"]);
    assert.equal((await call(page, guarded, "/certificates/contacts", { method: "DELETE" })).status, 200);
    const made = { method: "POST", body: policy("Unknown") };
    assert.equal((await call(page, guarded, "/certificates/rest-left/create", made)).status, 202);
    const cancel = { method: "PATCH", body: { cancellation_requested: true } };
    const cancelled = await call(page, guarded, "/certificates/rest-left/pending", cancel);
    assert.deepEqual([cancelled.status, cancelled.body.cancellation_requested], [200, true]);
});

test("an error is read whole", async () => {
    const page = await visit("console.localhost");
    const none = await call(page, guarded, "/certificates/rest-none");
    assert.deepEqual([none.status, none.body.error.code], [404, "CertificateNotFound"]);
    const body = { policy: { ...policy("Self").policy, x509_props: { subject: "no name" } } };
    const bad = await call(page, guarded, "/certificates/rest-bad/create", { method: "POST", body });
    assert.deepEqual([bad.status, bad.body.error.code], [400, "BadParameter"]);
    assert.match(bad.body.error.message, /subject/);
});

test("without a token, and with a wrong one, the challenge is read", async () => {
    const page = await visit("console.localhost");
    for (const token of [undefined, "wrong"]) {
        const refused = await call(page, guarded, "/certificates", { token });
        assert.deepEqual([refused.status, refused.body.error.code], [401, "Unauthorized"]);
        assert.match(refused.headers["www-authenticate"], /^Bearer authorization="https:.*", resource="https:.*"/);
    }
});

test("the browser's question before a call has no token, and is answered at once", async () => {
    const page = await visitAnew("console.localhost");
    const asked = await preflights(page);
    assert.equal((await call(page, guarded, "/certificates/issuers")).status, 200);
    const [first, ...more] = asked();
    assert.deepEqual([first.status, more], [204, []]);
    const names = Object.keys(first.sent).map((name) => name.toLowerCase());
    assert.ok(names.includes("access-control-request-headers") && !names.includes("authorization"), names.join());
    assert.equal(first.headers["access-control-allow-origin"], origin("console.localhost"));
    // The next call to the same place does not wait for another question.
    assert.equal((await call(page, guarded, "/certificates/issuers")).status, 200);
    assert.equal(asked().length, 1);
});

for (const [host, server] of foreign) {
    test(`a page of ${host}, which is not named, gets nothing and changes nothing`, async () => {
        const page = await visit(host);
        const created = { method: "POST", body: policy("Self") };
        for (const [path, options] of [
            ["/certificates", {}],
            ["/certificates", { token: undefined }],
            ["/certificates/rest-foreign/create", created],
            ["/certificates/contacts", { method: "DELETE" }],
            ["/identity/token", { token: undefined, headers: { "x-identity-header": server.token } }],
        ]) {
            assert.deepEqual(await failure(page, server, path, options), { error: "TypeError" }, path);
        }
        // What needs no question is sent, but has no credentials: they are never taken from the browser.
        const form = at(server, "/certificates/rest-foreign/create");
        const blind = await inPage(page, "/page/rest.js", "blind", form, "POST", JSON.stringify(created.body));
        assert.deepEqual(blind, { type: "opaque", status: 0 });
        const named = await visit(server === open ? "localhost" : "console.localhost");
        assert.equal((await call(named, server, "/certificates/rest-foreign/pending")).status, 404);
    });
}

test("a page without an origin of its own gets nothing", async () => {
    const page = await visit("localhost");
    const outcome = await page.evaluate(async (url) => {
        const frame = document.createElement("iframe");
        frame.sandbox = "allow-scripts";
        frame.srcdoc = `<script>fetch("${url}", { headers: { authorization: "Bearer dev" } })
            .then((answer) => answer.status, (error) => error.name)
            .then((outcome) => parent.postMessage([origin, outcome], "*"))</script>`;
        const told = new Promise((heard) => addEventListener("message", (event) => heard(event.data)));
        document.body.append(frame);
        return told;
    }, at(open, "/certificates"));
    assert.deepEqual(outcome, ["null", "TypeError"]);
});

test("transitions arrive as Server-Sent Events, and are resumed where a page left off", async () => {
    const page = await visit("console.localhost");
    const url = at(guarded, "/certificates/rest-followed/pending/watch");
    const body = { token: guarded.token, method: "POST", body: policy("Unknown") };
    const then = [at(guarded, "/certificates/rest-followed/create"), body];
    const follow = (kind, more) => inPage(page, "/page/rest.js", "follow", url, guarded.token, kind, more);
    const first = await follow("created", { then });
    assert.deepEqual([first.status, first.type], [200, "text/event-stream"]);
    assert.deepEqual(first.events.map(({ event }) => event), ["bookmark", "created"]);
    assert.equal(first.events[1].data.status, "inProgress");
    const cancel = { method: "PATCH", body: { cancellation_requested: true } };
    await call(page, guarded, "/certificates/rest-followed/pending", cancel);
    await completed(page, guarded, "rest-followed");
    await call(page, guarded, "/certificates/rest-followed/pending", { method: "DELETE" });
    const second = await follow("deleted", { lastEventId: first.events[1].id });
    const later = second.events.filter(({ event }) => event !== "bookmark");
    assert.deepEqual(later.map(({ event }) => event), ["updated", "updated", "deleted"]);
    assert.deepEqual(later.map(({ data }) => data.status), ["inProgress", "cancelled", "cancelled"]);
});
