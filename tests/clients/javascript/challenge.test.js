// The unmodified Azure SDK for JavaScript with its check of the challenge on: the vault's host under the base domain.

import assert from "node:assert/strict";
import { Agent } from "node:https";
import { test } from "node:test";
import { CertificateClient } from "@azure/keyvault-certificates";
import { begin, ca, certificates, credential, policy, port } from "./support.js";

/** `*.localhost` is this machine (RFC 6761), but Debian's resolver does not know it. */
const address = "127.0.0.1";
const lookup = (_host, { all }, done) => (all ? done(null, [{ address, family: 4 }]) : done(null, address, 4));
const agent = new Agent({ ca, lookup });
const here = {
    position: "perRetry",
    policy: {
        name: "here",
        sendRequest(request, next) {
            request.agent = agent;
            return next(request);
        },
    },
};

function connect(host, asked = []) {
    const token = { getToken: (scopes) => (asked.push(scopes), credential.getToken()) };
    return new CertificateClient(`https://${host}:${port}`, token, { additionalPolicies: [here] });
}

test("a vault under the base domain passes the check, and ids name the host that was called", async () => {
    await begin("js-challenge", policy("Unknown", "challenge"));
    const asked = [];
    const client = connect("default.localhost", asked);
    const certificate = await client.getCertificate("js-challenge");
    assert.equal(certificate.properties.vaultUrl, `https://default.localhost:${port}`);
    assert.deepEqual(asked.flat(), [`https://localhost:${port}/.default`]);
    await client.deleteCertificateOperation("js-challenge");
    assert.equal((await certificates.getCertificate("js-challenge")).properties.enabled, false);
});

test("a first call with a body reaches the server whole", async () => {
    const issuer = await connect("default.localhost").createIssuer("js-first", "Test", { accountId: "hold" });
    assert.equal(issuer.accountId, "hold");
});

test("a host without a parent does not pass the check", async () => {
    await assert.rejects(connect("localhost").getCertificate("js-challenge"), /does not match/);
});
