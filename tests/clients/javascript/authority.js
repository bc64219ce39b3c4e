// Certificates, keys and files made or opened outside of the service, with node:crypto and the openssl command.

import { execFileSync } from "node:child_process";
import { X509Certificate, createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Node's names of the curves. */
const CURVES = { "P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1", "P-256K": "secp256k1" };

const folder = mkdtempSync(join(tmpdir(), "certmint-js-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

let files = 0;

function file(content = "") {
    const path = join(folder, `${(files += 1)}`);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
}

function openssl(...given) {
    return execFileSync("openssl", given, { stdio: ["ignore", "pipe", "pipe"] });
}

export const certificateOf = (der) => new X509Certificate(Buffer.from(der));

/** A public key in one form, to compare it. */
export const spki = (key) => key.export({ type: "spki", format: "der" }).toString("base64");

/** A certificate that signs itself, with its key. Without a usage it may do everything. */
export class Bundle {
    constructor(name, curve) {
        const pair = curve
            ? generateKeyPairSync("ec", { namedCurve: CURVES[curve] })
            : generateKeyPairSync("rsa", { modulusLength: 2048 });
        this.key = pair.privateKey;
        this.publicKey = pair.publicKey;
        this.keyFile = file(this.key.export({ type: "pkcs8", format: "pem" }));
        this.certificateFile = file();
        const named = ["-subj", `/CN=${name}`, "-days", "30", "-out", this.certificateFile];
        openssl("req", "-new", "-x509", "-key", this.keyFile, ...named);
        this.certificate = new X509Certificate(readFileSync(this.certificateFile));
        this.der = this.certificate.raw;
    }

    pfx(password = "") {
        const sources = ["-inkey", this.keyFile, "-in", this.certificateFile];
        return openssl("pkcs12", "-export", ...sources, "-passout", `pass:${password}`);
    }

    pem(passphrase) {
        const sealed = passphrase ? { cipher: "aes-256-cbc", passphrase } : {};
        const key = this.key.export({ type: "pkcs8", format: "pem", ...sealed });
        return Buffer.from(key + this.certificate.toString());
    }

    decryptRsa15(sealed) {
        const padding = ["-pkeyopt", "rsa_padding_mode:pkcs1"];
        return openssl("pkeyutl", "-decrypt", "-inkey", this.keyFile, ...padding, "-in", file(sealed));
    }
}

/** The certificate and the private key in a PFX without a password. */
export function openPfx(pfx) {
    const text = openssl("pkcs12", "-in", file(pfx), "-passin", "pass:", "-nodes").toString();
    const block = (label) => text.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`))?.[0];
    return { certificate: new X509Certificate(block("CERTIFICATE")), key: createPrivateKey(block("PRIVATE KEY")) };
}

/** The public key of a certificate signing request, whose signature is checked. */
export function keyOfRequest(csr) {
    const request = file(Buffer.from(csr));
    return createPublicKey(openssl("req", "-inform", "DER", "-in", request, "-verify", "-pubkey", "-noout"));
}

/** A certificate authority for merges. */
export class Authority {
    constructor() {
        this.root = new Bundle("Test Root", "P-256");
    }

    /** The certificate for a request, and the root, in DER. */
    chain(csr) {
        const request = ["-req", "-inform", "DER", "-in", file(Buffer.from(csr)), "-days", "30", "-outform", "DER"];
        const signer = ["-CA", this.root.certificateFile, "-CAkey", this.root.keyFile, "-set_serial", `${Date.now()}`];
        return [openssl("x509", ...request, ...signer), this.root.der];
    }
}
