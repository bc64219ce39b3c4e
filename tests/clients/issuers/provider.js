// An OpenID-certified issuer of tokens, oidc-provider, over TLS: node provider.js PORT KEY CERTIFICATE ALG RESOURCE...
// Its clients get access tokens as JWTs by their secrets. Each start has other keys.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import Provider from "oidc-provider";

const [port, key, certificate, alg, ...resources] = process.argv.slice(2);

const made = {
    ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
    RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
};
made.PS256 = made.RS256;

/** The private key as JSON; the provider publishes what is public of it. */
function signingKey(of) {
    const jwk = made[of]().privateKey.export({ format: "jwk" });
    return { ...jwk, alg: of, use: "sig", kid: randomUUID() };
}

const provider = new Provider(`https://localhost:${port}`, {
    // The provider itself wants one of RS256, whatever the tokens are signed with.
    jwks: { keys: alg === "RS256" ? [signingKey(alg)] : [signingKey(alg), signingKey("RS256")] },
    clients: ["shop", "stranger"].map((client_id) => ({
        client_id,
        client_secret: `the secret of ${client_id}`,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
    })),
    extraTokenClaims: (context, token) => ({ roles: token.clientId === "shop" ? ["shop-team"] : [] }),
    features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
            enabled: true,
            getResourceServerInfo: (context, resource) => ({
                audience: resources.includes(resource) ? resource : "https://another.example",
                scope: "",
                accessTokenFormat: "jwt",
                accessTokenTTL: 600,
                jwt: { sign: { alg } },
            }),
        },
    },
});

const files = { key: readFileSync(key), cert: readFileSync(certificate) };
createServer(files, provider.callback()).listen(Number(port), "127.0.0.1", () => console.log("ready"));
