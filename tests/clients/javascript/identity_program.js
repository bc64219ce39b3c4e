// A program that knows its vault and the name of a credential class; the rest is in its environment. It creates a
// certificate, reads its secret, and prints the version and the token it used.

import * as identity from "@azure/identity";
import { CertificateClient } from "@azure/keyvault-certificates";
import { SecretClient } from "@azure/keyvault-secrets";

const [vault, scope, ...classes] = process.argv.slice(2);

try {
    for (const name of classes) {
        const credential = new identity[name]();
        const certificates = new CertificateClient(vault, credential);
        await certificates.listPropertiesOfIssuers().next();
        const policy = { issuerName: "Self", subject: "CN=identity.example", keyType: "EC", keyCurveName: "P-256" };
        const label = `js-identity-${crypto.randomUUID()}`;
        const poller = await certificates.beginCreateCertificate(label, policy, { intervalInMs: 20 });
        const { version } = (await poller.pollUntilDone()).properties;
        const secret = await new SecretClient(vault, credential).getSecret(label);
        const { token } = await credential.getToken(scope);
        console.log(JSON.stringify({ name, same: secret.properties.version === version, token }));
    }
} catch (error) {
    console.log(JSON.stringify({ error: error.message }));
}
