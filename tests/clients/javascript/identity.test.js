// The credential classes of @azure/identity, unmodified, in a program that is set by its environment alone.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { port } from "./support.js";

const vault = `https://default.localhost:${port}`;
const scope = `https://localhost:${port}/.default`;
const TOKEN = "5up3r-s3cret.Token_1";
const file = (name) => fileURLToPath(new URL(name, import.meta.url));

const managedIdentity = { IDENTITY_ENDPOINT: `${vault}/identity/token`, IDENTITY_HEADER: TOKEN };
const principal = (tenant) => ({ AZURE_AUTHORITY_HOST: vault, AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: "any" });

/** What the program prints with these credential classes. */
async function program(environment, ...classes) {
    const kept = Object.entries(process.env).filter(([name]) => !/^(AZURE|IDENTITY|MSI)_/.test(name));
    const env = {
        ...Object.fromEntries(kept),
        NODE_EXTRA_CA_CERTS: process.env.CERTMINT_CA,
        NODE_OPTIONS: `--import ${file("below_localhost.js")}`,
        // Neither a browser, nor a command line, nor a service of a cloud is asked.
        AZURE_TOKEN_CREDENTIALS: "prod",
        ...environment,
    };
    const given = [file("identity_program.js"), vault, scope, ...classes];
    const { stdout } = await promisify(execFile)(process.execPath, given, { env, timeout: 120_000 });
    return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

async function works(environment, ...classes) {
    const expected = classes.map((name) => ({ name, same: true, token: TOKEN }));
    assert.deepEqual(await program(environment, ...classes), expected);
}

test("a managed identity by two variables", () =>
    works(managedIdentity, "ManagedIdentityCredential", "DefaultAzureCredential"));

test("a service principal of the tenant adfs", () =>
    works({ ...principal("adfs"), AZURE_CLIENT_SECRET: TOKEN }, "EnvironmentCredential", "DefaultAzureCredential"));

test("a federated token file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "certmint-"));
    try {
        writeFileSync(join(folder, "token"), TOKEN);
        const environment = { ...principal("adfs"), AZURE_FEDERATED_TOKEN_FILE: join(folder, "token") };
        await works(environment, "WorkloadIdentityCredential", "DefaultAzureCredential");
    } finally {
        rmSync(folder, { recursive: true });
    }
});

test("a refusal is shown with its reason", async () => {
    const refused = { ...principal("adfs"), AZURE_CLIENT_SECRET: "a b" };
    const [{ error }] = await program(refused, "EnvironmentCredential");
    assert.match(error, /client_secret .* is not accepted/);
    const [unmanaged] = await program({ ...managedIdentity, IDENTITY_HEADER: "a b" }, "ManagedIdentityCredential");
    assert.match(unmanaged.error, /X-IDENTITY-HEADER/i);
});

test("the token is in no log", () => assert.ok(!readFileSync(`${process.env.CERTMINT_DATA}/server.log`, "utf8").includes(TOKEN)));
