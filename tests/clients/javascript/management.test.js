// The unmodified Azure SDK for JavaScript: managing certificates, issuers and contacts.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Authority, Bundle, certificateOf, keyOfRequest, spki } from "./authority.js";
import { all, begin, certificates, issue, operation, policy, refused, soon, testIssuer } from "./support.js";

const names = (items) => items.map((item) => item.name).filter((name) => name?.startsWith("js-list-"));
const spread = (count, make) => Promise.all(Array.from({ length: count }, (_, number) => make(number)));

before(() => testIssuer("js-manage-completes", "complete"));

test("certificates are listed over the pages of the server", async () => {
    const pfx = new Bundle("list", "P-256").pfx();
    const expected = await spread(30, async (number) => {
        const name = `js-list-${String(number).padStart(2, "0")}`;
        await certificates.importCertificate(name, pfx);
        return name;
    });
    await begin("js-list-pending", policy("Unknown", "pending"));
    assert.deepEqual(names(await all(certificates.listPropertiesOfCertificates())), expected);
    const pages = await all(certificates.listPropertiesOfCertificates().byPage());
    assert.ok(pages.length > 1 && pages.every((page) => page.length <= 25), pages.map((page) => page.length).join());
    assert.deepEqual(names(pages.flat()), expected);
    const pending = await all(certificates.listPropertiesOfCertificates({ includePending: true }));
    assert.ok(names(pending).includes("js-list-pending"));
    assert.ok(pages.flat().every((item) => item.x509Thumbprint.length === 20 && item.enabled !== undefined));
});

test("versions are listed and read one by one", async () => {
    const made = [await issue("js-versions"), await issue("js-versions"), await issue("js-versions")];
    const listed = await all(certificates.listPropertiesOfCertificateVersions("js-versions"));
    const versions = (items) => items.map(({ version }) => version).sort();
    assert.deepEqual(versions(listed), versions(made.map(({ properties }) => properties)));
    for (const { properties, cer } of made) {
        const read = await certificates.getCertificateVersion("js-versions", properties.version);
        assert.deepEqual(Buffer.from(read.cer), Buffer.from(cer));
        const thumbprint = certificateOf(cer).fingerprint.replaceAll(":", "").toLowerCase();
        assert.equal(read.properties.x509ThumbprintString, thumbprint);
    }
    const newest = await certificates.getCertificate("js-versions");
    assert.equal(newest.properties.version, made[2].properties.version);
    await refused(() => certificates.getCertificateVersion("js-versions", "1".repeat(32)), 404, "CertificateNotFound");
});

test("a new version keeps the key where the policy says so", async () => {
    const keyOf = async (more) => spki(certificateOf((await issue("js-reuse", more)).cer).publicKey);
    const first = await keyOf({ reuseKey: true });
    assert.equal(await keyOf({ reuseKey: true }), first);
    assert.notEqual(await keyOf({ reuseKey: false }), first);
});

test("every key type is issued, and is the key of its request", async () => {
    const chosen = [2048, 3072, 4096].map((keySize) => ({ keyType: "RSA", keySize }));
    for (const keyCurveName of ["P-256", "P-384", "P-521", "P-256K"]) chosen.push({ keyType: "EC", keyCurveName });
    for (const more of chosen) {
        const name = `js-key-${more.keySize ?? more.keyCurveName}`;
        const certificate = await (await begin(name, policy("js-manage-completes", name, more))).pollUntilDone();
        const key = certificateOf(certificate.cer).publicKey;
        assert.equal(spki(key), spki(keyOfRequest((await operation(name)).csr)));
        assert.equal(key.asymmetricKeyDetails.modulusLength, more.keySize);
        assert.equal(certificate.policy.keyCurveName, more.keyCurveName);
    }
    const hsm = policy("Self", "hsm", { keyType: "RSA-HSM" });
    await refused(() => begin("js-hsm", hsm), 400, "BadParameter", /key_props\.kty/);
});

test("properties are updated, and the policy's alternative names survive it", async () => {
    const chosen = { subjectAlternativeNames: { dnsNames: ["a.example"] } };
    const { properties } = await issue("js-update", chosen, { tags: { a: "1" } });
    const change = { enabled: false, tags: { b: "2" } };
    const updated = await certificates.updateCertificateProperties("js-update", properties.version, change);
    assert.deepEqual([updated.properties.enabled, updated.properties.tags], [false, { b: "2" }]);
    await certificates.updateCertificateProperties("js-update", "", { enabled: true });
    const read = await certificates.getCertificate("js-update");
    assert.deepEqual([read.properties.enabled, read.properties.tags], [true, { b: "2" }]);
    assert.deepEqual(read.policy.subjectAlternativeNames, chosen.subjectAlternativeNames);
});

test("a policy is updated in the parts it names", async () => {
    await issue("js-policy", { subjectAlternativeNames: { dnsNames: ["a.example"] }, validityInMonths: 3 });
    const lifetimeActions = [{ action: "EmailContacts", daysBeforeExpiry: 7 }];
    // What this answers is an empty policy, a known fault of this version of the SDK; so it is read again.
    await certificates.updateCertificatePolicy("js-policy", { issuerName: "Unknown", lifetimeActions });
    const read = await certificates.getCertificatePolicy("js-policy");
    assert.deepEqual([read.issuerName, read.validityInMonths], ["Unknown", 3]);
    assert.deepEqual(read.subjectAlternativeNames, { dnsNames: ["a.example"] });
    assert.deepEqual(read.lifetimeActions, [{ ...lifetimeActions[0], lifetimePercentage: undefined }]);
});

test("a certificate is deleted, recovered and purged", async () => {
    const { cer } = await issue("js-deleted");
    await (await certificates.beginDeleteCertificate("js-deleted", soon)).pollUntilDone();
    await refused(() => certificates.getCertificate("js-deleted"), 404, "CertificateNotFound");
    await refused(() => begin("js-deleted", policy("Self", "x")), 409, "Conflict", /deleted but recoverable state/);
    assert.deepEqual((await certificates.getDeletedCertificate("js-deleted")).cer, cer);
    const listed = await all(certificates.listDeletedCertificates());
    assert.ok(listed.find(({ name }) => name === "js-deleted")?.scheduledPurgeDate > new Date());
    await (await certificates.beginRecoverDeletedCertificate("js-deleted", soon)).pollUntilDone();
    assert.deepEqual((await certificates.getCertificate("js-deleted")).cer, cer);
    await (await certificates.beginDeleteCertificate("js-deleted", soon)).pollUntilDone();
    await certificates.purgeDeletedCertificate("js-deleted");
    await refused(() => certificates.getDeletedCertificate("js-deleted"), 404, "CertificateNotFound");
    await issue("js-deleted");
});

test("a backup brings back every version", async () => {
    const versions = [await issue("js-backup"), await issue("js-backup")];
    const backup = await certificates.backupCertificate("js-backup");
    await refused(() => certificates.restoreCertificateBackup(backup), 409, "Conflict");
    const damaged = Uint8Array.from(backup);
    damaged[damaged.length - 1] ^= 1;
    await refused(() => certificates.restoreCertificateBackup(damaged), 400, "Malformed backup blob");
    await (await certificates.beginDeleteCertificate("js-backup", soon)).pollUntilDone();
    await certificates.purgeDeletedCertificate("js-backup");
    const restored = await certificates.restoreCertificateBackup(backup);
    assert.deepEqual(restored.cer, versions[1].cer);
    assert.equal((await all(certificates.listPropertiesOfCertificateVersions("js-backup"))).length, 2);
});

test("the order of a chain is kept where it is asked for", async () => {
    const chosen = policy("Unknown", "order");
    await begin("js-order", chosen, { preserveCertificateOrder: true });
    const chain = new Authority().chain((await operation("js-order")).csr);
    const merged = await certificates.mergeCertificate("js-order", chain);
    assert.equal(merged.properties.preserveCertificateOrder, true);
    assert.deepEqual(Buffer.from(merged.cer), chain[0]);
});

test("contacts are set, read and deleted", async () => {
    const contacts = [
        { email: "admin@contoso.com", name: "Admin", phone: "1" },
        { email: "b@contoso.com", name: undefined, phone: undefined },
    ];
    assert.deepEqual(await certificates.setContacts(contacts), contacts);
    assert.deepEqual(await certificates.getContacts(), contacts);
    // It always answers an empty list, a known fault of this version of the SDK: it reads the body by another name.
    await certificates.deleteContacts();
    await refused(() => certificates.getContacts(), 404, "ContactsNotFound");
});

test("issuers are set, changed, listed and deleted, without their password", async () => {
    const administratorContacts = [{ email: "a@contoso.com", firstName: "Ada", lastName: "Lovelace", phone: "1" }];
    const details = { organizationId: "Contoso", administratorContacts };
    const credentials = { accountId: "complete", password: "never shown" };
    await certificates.createIssuer("js-kept", "Test", { ...credentials, ...details, enabled: false });
    await certificates.updateIssuer("js-kept", { accountId: "hold", enabled: true });
    const issuer = await certificates.getIssuer("js-kept");
    assert.deepEqual([issuer.provider, issuer.accountId, issuer.password], ["Test", "hold", undefined]);
    assert.deepEqual([issuer.enabled, issuer.organizationId], [true, "Contoso"]);
    assert.deepEqual(issuer.administratorContacts, administratorContacts);
    // The SDK gives a listed issuer no `name`, and any other one the name "issuers".
    const listed = await all(certificates.listPropertiesOfIssuers());
    assert.ok(listed.some(({ id }) => id.endsWith("/certificates/issuers/js-kept")));
    assert.equal((await certificates.deleteIssuer("js-kept")).provider, "Test");
    await refused(() => certificates.getIssuer("js-kept"), 404, "CertificateIssuerNotFound");
    await refused(() => certificates.createIssuer("js-odd", "Nobody"), 400, "BadParameter");
});

test("a local authority signs with a chain", async () => {
    const details = { accountId: "intermediate", organizationId: "JavaScript Root" };
    await certificates.createIssuer("js-ca", "LocalCA", details);
    const certificate = await (await begin("js-signed", policy("js-ca", "signed"))).pollUntilDone();
    const leaf = certificateOf(certificate.cer);
    assert.notEqual(leaf.issuer, leaf.subject);
    assert.ok(!leaf.ca);
});

test("what is not there is not found, and what is wrong says where", async () => {
    const missing = [
        () => certificates.getCertificate("js-none"),
        () => certificates.getCertificatePolicy("js-none"),
        () => certificates.updateCertificateProperties("js-none", "", { enabled: true }),
        () => certificates.backupCertificate("js-none"),
        () => certificates.purgeDeletedCertificate("js-none"),
    ];
    for (const call of missing) await refused(call, 404, "CertificateNotFound");
    assert.deepEqual(await all(certificates.listPropertiesOfCertificateVersions("js-none")), []);
    const merge = () => certificates.mergeCertificate("js-none", [Buffer.from("x")]);
    await refused(merge, 404, "PendingCertificateNotFound");
    await refused(() => begin("js_none", policy("Self", "x")), 400, "BadParameter", /invalid name/);
    const subject = "not a name";
    await refused(() => begin("js-none", { issuerName: "Self", subject }), 400, "BadParameter", /x509_props/);
});
