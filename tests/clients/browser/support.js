// A browser that trusts the servers of the run, and pages of several origins for it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const { CERTMINT_URL, CERTMINT_CA, GUARDED_URL, GUARDED_CA, GUARDED_TOKEN, CONTRACT, CHROMIUM } = process.env;

/** In development mode: every token is accepted, and pages of this machine may call. */
export const open = { url: CERTMINT_URL, token: "dev" };
/** As it is run for others: callers have a token, and one origin is named. */
export const guarded = { url: GUARDED_URL, token: GUARDED_TOKEN };

const here = fileURLToPath(new URL(".", import.meta.url));
const types = { ".js": "text/javascript", ".html": "text/html" };

/** The files of this folder, and the contract; every host name of this machine gets the same ones. */
const pages = createServer((request, response) => {
    const path = request.url === "/" ? "/page/index.html" : normalize(request.url);
    const file = path === "/contract.binpb" ? CONTRACT : join(here, path);
    try {
        const content = readFileSync(file);
        response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" }).end(content);
    } catch {
        response.writeHead(404).end();
    }
});
await new Promise((listening) => pages.listen(0, "127.0.0.1", listening));

/** The origin of the pages at this name of this machine; below `localhost` a browser needs no resolver. */
export const origin = (host) => `http://${host}:${pages.address().port}`;

// On Linux, Chromium trusts what lies in this place of the user; no check of certificates is turned off.
const home = mkdtempSync(join(tmpdir(), "certmint-browser-"));
const trust = join(home, ".pki/nssdb");
mkdirSync(trust, { recursive: true });
const certutil = (...rest) => execFileSync("certutil", ["-d", `sql:${trust}`, ...rest]);
certutil("-N", "--empty-password");
for (const [name, file] of Object.entries({ open: CERTMINT_CA, guarded: GUARDED_CA })) {
    certutil("-A", "-n", name, "-t", "CP,,", "-i", file);
}

const browser = await chromium.launch({
    executablePath: CHROMIUM,
    chromiumSandbox: false,
    env: { ...process.env, HOME: home },
    args: [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ],
});

after(async () => {
    await browser.close();
    await new Promise((closed) => pages.close(closed));
    rmSync(home, { recursive: true });
});

const visited = new Map();

/** The page of that host. */
export function visit(host) {
    if (!visited.has(host)) visited.set(host, visitAnew(host));
    return visited.get(host);
}

/** Another page of that host, of which the browser remembers no answer. */
export async function visitAnew(host) {
    const context = await browser.newContext();
    const page = await context.newPage();
    const answer = await page.goto(origin(host));
    assert.equal(answer.status(), 200);
    return page;
}

/** Calls the function `name` of a module of the page with these arguments. */
export function inPage(page, module, name, ...given) {
    const call = async ({ module, name, given }) => (await import(module))[name](...given);
    const hang = new Promise((_, reject) => setTimeout(reject, 120_000, new Error(`${name} did not end`)).unref());
    return Promise.race([page.evaluate(call, { module, name, given }), hang]);
}

/** What the browser asked before the calls of the page, and was answered: it shows that to no page. */
export async function preflights(page) {
    const session = await page.context().newCDPSession(page);
    const asked = new Map();
    const entry = (id) => asked.get(id) ?? asked.set(id, {}).get(id);
    session.on("Network.requestWillBeSent", ({ requestId, request, initiator }) => {
        if (initiator.type === "preflight") Object.assign(entry(requestId), { method: request.method, url: request.url });
    });
    session.on("Network.requestWillBeSentExtraInfo", ({ requestId, headers }) => (entry(requestId).sent = headers));
    session.on("Network.responseReceivedExtraInfo", ({ requestId, statusCode, headers }) =>
        Object.assign(entry(requestId), { status: statusCode, headers }),
    );
    await session.send("Network.enable");
    return () => [...asked.values()].filter(({ method }) => method === "OPTIONS");
}
