// The unmodified Azure SDK for JavaScript: import, secrets and keys, with real cryptography on the other side.

import assert from "node:assert/strict";
import { constants, createHash, privateDecrypt, publicEncrypt, sign, verify } from "node:crypto";
import { before, test } from "node:test";
import { Bundle, certificateOf, openPfx, spki } from "./authority.js";
import { all, begin, certificates, cryptography, issue, keys, policy, refused, secrets } from "./support.js";

const PEM = { policy: { contentType: "application/x-pem-file" } };
const MESSAGE = Buffer.from("message");
const digest = (algorithm) => createHash(`sha${algorithm.slice(2, 5)}`).update(MESSAGE).digest();

/** How node:crypto names a signature algorithm of a web key. */
function scheme(key, algorithm) {
    if (algorithm.startsWith("ES")) return { key, dsaEncoding: "ieee-p1363" };
    const padding = algorithm.startsWith("PS") ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
    return { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

const SEALED = {
    RSA1_5: { padding: constants.RSA_PKCS1_PADDING },
    "RSA-OAEP": { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" },
    "RSA-OAEP-256": { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" },
};

/** Node.js no longer decrypts RSA1_5 (CVE-2023-46809), so openssl does. */
function open(bundle, algorithm, sealed) {
    if (algorithm === "RSA1_5") return bundle.decryptRsa15(sealed);
    return privateDecrypt({ key: bundle.key, ...SEALED[algorithm] }, sealed);
}

test("a PFX goes in and comes out with its key, for every kind of key", async () => {
    for (const curve of [undefined, "P-256", "P-384", "P-521", "P-256K"]) {
        const bundle = new Bundle("face", curve);
        const name = `js-face-${curve ?? "RSA"}`;
        const more = { password: "secret", tags: { a: "b" } };
        const imported = await certificates.importCertificate(name, bundle.pfx("secret"), more);
        assert.deepEqual(Buffer.from(imported.cer), bundle.der);
        assert.deepEqual([imported.properties.tags, imported.policy.subject], [{ a: "b" }, "CN=face"]);
        const secret = await secrets.getSecret(name);
        assert.deepEqual([secret.properties.contentType, secret.properties.managed], ["application/x-pkcs12", true]);
        const opened = openPfx(Buffer.from(secret.value, "base64"));
        assert.deepEqual(opened.certificate.raw, bundle.der);
        assert.ok(verify("sha256", MESSAGE, bundle.publicKey, sign("sha256", MESSAGE, opened.key)));
        const version = secret.properties.version;
        assert.equal((await secrets.getSecret(name, { version })).value, secret.value);
    }
});

test("PEM goes in raw, plain and with an encrypted key, and comes out as PEM", async () => {
    // The SDK drops the policy of an import, so the server detects the format from the content.
    for (const [name, passphrase] of [["js-pem-plain"], ["js-pem-sealed", "secret"]]) {
        const bundle = new Bundle("pem", "P-256");
        const more = { ...PEM, password: passphrase };
        const imported = await certificates.importCertificate(name, bundle.pem(passphrase), more);
        assert.deepEqual(Buffer.from(imported.cer), bundle.der);
        const outContentType = "application/x-pem-file";
        const secret = await secrets.getSecret(name, { outContentType });
        assert.equal(secret.value, bundle.pem().toString());
    }
});

test("a certificate that was created here is a secret too", async () => {
    const created = await issue("js-created", { contentType: "application/x-pem-file" });
    const secret = await secrets.getSecret("js-created");
    assert.equal(secret.properties.contentType, "application/x-pem-file");
    const [key, certificate] = secret.value.split(/(?<=-----END PRIVATE KEY-----\n)/);
    assert.deepEqual(certificateOf(certificate).raw, Buffer.from(created.cer));
    const signature = sign("sha256", MESSAGE, key);
    assert.ok(verify("sha256", MESSAGE, certificateOf(created.cer).publicKey, signature));
});

test("lists show secrets and keys as managed, over their pages", async () => {
    const pfx = new Bundle("list", "P-256").pfx();
    const names = Array.from({ length: 27 }, (_, number) => `js-managed-${String(number).padStart(2, "0")}`);
    await Promise.all(names.map((name) => certificates.importCertificate(name, pfx)));
    await certificates.importCertificate(names[0], pfx);
    for (const [listed, versions] of [
        [secrets.listPropertiesOfSecrets(), secrets.listPropertiesOfSecretVersions(names[0])],
        [keys.listPropertiesOfKeys(), keys.listPropertiesOfKeyVersions(names[0])],
    ]) {
        const ours = (await all(listed)).filter(({ name }) => name.startsWith("js-managed-"));
        assert.deepEqual(ours.map(({ name }) => name), names);
        assert.ok(ours.every(({ managed }) => managed));
        assert.equal((await all(versions)).length, 2);
    }
});

test("what is wrong with an import or a write says so", async () => {
    const pfx = new Bundle("wrong", "P-256").pfx("secret");
    const other = { password: "other" };
    const send = (content, more) => () => certificates.importCertificate("js-wrong", content, more);
    await refused(send(pfx, other), 400, "BadParameter", /password is wrong/);
    await refused(send(MESSAGE), 400, "BadParameter");
    await refused(() => secrets.getSecret("js-nothing"), 404, "SecretNotFound");
    await refused(() => keys.getKey("js-nothing"), 404, "KeyNotFound");
    await certificates.importCertificate("js-owned", new Bundle("owned", "P-256").pfx());
    for (const write of [
        () => secrets.setSecret("js-owned", "x"),
        () => secrets.beginDeleteSecret("js-owned"),
        () => keys.createRsaKey("js-owned"),
        () => keys.beginDeleteKey("js-owned"),
    ]) {
        await refused(write, 403, "Forbidden", /associated with a certificate/);
    }
    await certificates.updateCertificateProperties("js-owned", "", { enabled: false });
    await refused(() => secrets.getSecret("js-owned"), 403, "Forbidden", /disabled secret/);
});

let rsa, face;

before(async () => {
    rsa = new Bundle("rsa");
    await certificates.importCertificate("js-rsa", rsa.pfx());
    face = await keys.getKey("js-rsa");
});

test("an RSA key signs with every algorithm, and verifies at the server and by itself", async () => {
    const client = cryptography(face);
    assert.deepEqual(Buffer.from(face.key.n), Buffer.from(rsa.publicKey.export({ format: "jwk" }).n, "base64url"));
    for (const algorithm of ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]) {
        const { result } = await client.sign(algorithm, digest(algorithm));
        assert.ok(verify(`sha${algorithm.slice(2)}`, MESSAGE, scheme(rsa.publicKey, algorithm), result));
        assert.equal((await client.verify(algorithm, digest(algorithm), result)).result, true);
        assert.equal((await client.verify(algorithm, digest(algorithm), new Uint8Array(256))).result, false);
        const signed = await client.signData(algorithm, MESSAGE);
        // By itself the SDK checks PS256 to PS512 as if they were RS256 to RS512, a known fault.
        if (algorithm.startsWith("RS")) {
            assert.equal((await client.verifyData(algorithm, MESSAGE, signed.result)).result, true);
        }
    }
});

test("an EC key signs and verifies on every curve", async () => {
    const algorithms = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "P-256K": "ES256K" };
    for (const [curve, algorithm] of Object.entries(algorithms)) {
        const bundle = new Bundle("ec", curve);
        await certificates.importCertificate(`js-ec-${curve}`, bundle.pfx());
        const key = await keys.getKey(`js-ec-${curve}`);
        assert.deepEqual([key.key.crv, key.keyOperations], [curve, ["sign", "verify"]]);
        const client = cryptography(key);
        const { result } = await client.sign(algorithm, digest(algorithm));
        assert.ok(verify(`sha${algorithm.slice(2, 5)}`, MESSAGE, scheme(bundle.publicKey, algorithm), result));
        assert.equal((await client.verify(algorithm, digest(algorithm), result)).result, true);
        assert.equal((await client.verifyData(algorithm, MESSAGE, result)).result, true);
        assert.equal((await client.verifyData(algorithm, Buffer.from("another"), result)).result, false);
    }
});

test("an RSA key encrypts and wraps, at the server and by itself", async () => {
    const client = cryptography(face);
    // The SDK does RSA1_5 and RSA-OAEP by itself where it has the key, so the server is asked by its own provider too.
    for (const asked of [client, client.remoteProvider]) {
        for (const algorithm of Object.keys(SEALED)) {
            const encrypted = await asked.encrypt({ algorithm, plaintext: MESSAGE });
            const wrapped = await asked.wrapKey(algorithm, MESSAGE);
            for (const { result } of [encrypted, wrapped]) {
                assert.deepEqual(open(rsa, algorithm, result), MESSAGE);
            }
        }
    }
    for (const [algorithm, padded] of Object.entries(SEALED)) {
        const ciphertext = publicEncrypt({ key: rsa.publicKey, ...padded }, MESSAGE);
        assert.deepEqual(Buffer.from((await client.decrypt({ algorithm, ciphertext })).result), MESSAGE);
        assert.deepEqual(Buffer.from((await client.unwrapKey(algorithm, ciphertext)).result), MESSAGE);
    }
});

test("a key that cannot leave signs all the same, by its name too", async () => {
    const more = { exportable: false, contentType: "application/x-pem-file" };
    const created = await (await begin("js-kept-in", policy("Self", "kept", more))).pollUntilDone();
    assert.ok(!(await secrets.getSecret("js-kept-in")).value.includes("PRIVATE"));
    // Without a version, as `POST /keys/{name}//sign`.
    const { result } = await keys.getCryptographyClient("js-kept-in").sign("ES256", digest("ES256"));
    const key = certificateOf(created.cer).publicKey;
    assert.ok(verify("sha256", MESSAGE, scheme(key, "ES256"), result));
    assert.equal(spki(key), spki(certificateOf((await certificates.getCertificate("js-kept-in")).cer).publicKey));
});
