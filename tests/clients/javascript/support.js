// Clients of the Azure SDK for JavaScript for the server of the run, and what the tests of all files share.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { CertificateClient } from "@azure/keyvault-certificates";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { SecretClient } from "@azure/keyvault-secrets";

export const url = process.env.CERTMINT_URL;
export const port = process.env.CERTMINT_PORT;
export const ca = readFileSync(process.env.CERTMINT_CA, "utf8");

export const credential = {
    getToken: async () => ({ token: "any", expiresOnTimestamp: Date.now() + 3_600_000 }),
};

/** The host `localhost` has no parent domain, so the check of the challenge is off; challenge.test.js has it on. */
export const options = { disableChallengeResourceVerification: true, tlsOptions: { ca } };

export const certificates = new CertificateClient(url, credential, { ...options });
export const secrets = new SecretClient(url, credential, { ...options });
export const keys = new KeyClient(url, credential, { ...options });

// The first request of a client goes without its body until the challenge was met. Of several first requests at once
// some lose it for good, a fault of @azure/keyvault-common 2.1.0. So the first one is a read, and alone.
await certificates.listPropertiesOfIssuers().next();

/** The client of one key: it does by itself what it can, and asks the server for the rest. */
export const cryptography = (key) => new CryptographyClient(key, credential, { ...options });

/** A policy with a P-256 key, unless it names another. */
export function policy(issuerName, name, more = {}) {
    const key = more.keyType ? {} : { keyType: "EC", keyCurveName: "P-256" };
    return { issuerName, subject: `CN=${name}.example`, ...key, ...more };
}

/** The SDK looks every two seconds; the tests look more often. */
export const soon = { intervalInMs: 20 };

export function begin(name, chosen, more = {}) {
    return certificates.beginCreateCertificate(name, chosen, { ...soon, ...more });
}

export async function issue(name, more = {}, options = {}) {
    return (await begin(name, policy("Self", name, more), options)).pollUntilDone();
}

/** The issuer object `name` of the test provider, which ends as `accountId` says. */
export function testIssuer(name, accountId) {
    return certificates.createIssuer(name, "Test", { accountId });
}

/** The pending operation as it is now. */
export async function operation(name) {
    const poller = await certificates.getCertificateOperation(name, soon);
    return poller.getOperationState().certificateOperation;
}

export async function until(name, status) {
    const patience = Date.now() + 120_000;
    for (;;) {
        const found = await operation(name);
        if (found.status === status) return found;
        assert.ok(Date.now() < patience, `${name} is ${found.status}, not ${status}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

/** Fails unless the server refused with this status, code and message. */
export async function refused(call, statusCode, code, message = /./) {
    await assert.rejects(call, (error) => {
        assert.equal(error.name, "RestError");
        assert.deepEqual([error.statusCode, error.code], [statusCode, code], error.message);
        assert.match(error.message, message);
        return true;
    });
}

export async function all(iterator) {
    const items = [];
    for await (const item of iterator) items.push(item);
    return items;
}
