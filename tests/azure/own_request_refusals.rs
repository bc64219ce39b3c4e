//! Requests that no certificate is made for: what the refusal says, over what programs really make.

use crate::client::Client;
use crate::own_request::{OwnKey, P256, pem};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

const CREATE: &str = "POST /certificates/mycert1/create";

async fn refused(client: &Client, csr: &str, words: &str) {
    let policy = json!({"issuer": {"name": "corp"}});
    let reply = client.send(CREATE, &json!({ "csr": csr, "policy": policy }).to_string()).await;
    reply.is_refusal(400, "BadParameter", "Property csr has invalid value. ");
    reply.is_refusal(400, "BadParameter", words);
}

async fn with_ca() -> Client {
    let client = Client::start().await;
    client.must("PUT /certificates/issuers/corp", r#"{"provider":"LocalCA"}"#).await;
    client
}

#[tokio::test]
async fn keys_and_signatures_that_are_not_supported_are_named() {
    let client = with_ca().await;
    for (algorithm, options, words) in [
        (
            "RSA -pkeyopt rsa_keygen_bits:1024",
            "",
            "RSA of 1024 bits (1.2.840.113549.1.1.1), which is not supported: use RSA with 2048",
        ),
        ("RSA -pkeyopt rsa_keygen_bits:2560", "", "RSA of 2560 bits"),
        ("ED25519", "", "Its key is Ed25519"),
        ("EC -pkeyopt ec_paramgen_curve:brainpoolP256r1", "", "EC on the curve brainpoolP256r1 (1.3.36.3.3.2.8.1.1.7)"),
        (
            "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
            "",
            "EC, written with the numbers of its curve",
        ),
        ("RSA -pkeyopt rsa_keygen_bits:2048", "-sha1", "It is signed with SHA-1"),
        (P256, "-sha1", "It is signed with SHA-1"),
        (P256, "-sha224", "Its signature cannot be checked here: ECDSA with SHA-224"),
    ] {
        let csr = OwnKey::new(algorithm).csr("/CN=web.example", &[], options);
        refused(&client, &pem(&csr), words).await;
    }
    let own = OwnKey::new(P256);
    own.run("openssl", "ec -in own.key -conv_form compressed -out short.key");
    std::fs::rename(own.path("short.key"), own.path("own.key")).unwrap();
    refused(&client, &pem(&own.csr("/CN=web.example", &[], "")), "written as a compressed point").await;
}

#[tokio::test]
async fn a_request_that_its_key_did_not_sign_is_refused() {
    let client = with_ca().await;
    for algorithm in [P256, "RSA -pkeyopt rsa_keygen_bits:2048"] {
        let csr = OwnKey::new(algorithm).csr("/CN=web.example", &["subjectAltName=DNS:web.example"], "");
        let at = csr.windows(11).position(|window| window == b"web.example").unwrap();
        let mut changed = csr.clone();
        changed[at] = b'x';
        refused(&client, &pem(&changed), "Its signature is not the one of its key").await;
        let mut changed = csr.clone();
        *changed.last_mut().unwrap() ^= 1;
        refused(&client, &pem(&changed), "Its signature is not the one of its key").await;
    }
}

#[tokio::test]
async fn what_a_policy_cannot_say_is_named_and_not_dropped() {
    let (client, own) = (with_ca().await, OwnKey::new(P256));
    for (extensions, words) in [
        (&["basicConstraints=critical,CA:TRUE"][..], "It asks for the certificate of a CA"),
        (&["tlsfeature=status_request"], "without tlsFeature (must-staple) (1.3.6.1.5.5.7.1.24)"),
        (
            &["nameConstraints=permitted;DNS:a.example", "1.3.6.1.4.1.99999.1=ASN1:UTF8:x"],
            "without nameConstraints (2.5.29.30), 1.3.6.1.4.1.99999.1",
        ),
        (&["subjectAltName=DNS:web.example,RID:1.2.3.4"], "of the kind registeredID"),
        (&["subjectAltName=DNS:web.example,otherName:1.2.3.4;UTF8:x"], "of the kind otherName"),
        (&["subjectAltName=DNS:10.0.0.1"], "Its alternative names.dns_names[0]: This is an IP address"),
        (&["subjectAltName=URI:https://"], "Its alternative names.uris[0]"),
        (&["keyUsage=keyEncipherment"], "Its key usages: An EC key supports none of these usages"),
        (&["extendedKeyUsage=1.2"], "Its extended key usages[0]"),
    ] {
        refused(&client, &pem(&own.csr("/CN=web.example", extensions, "")), words).await;
    }
    refused(&client, &pem(&own.csr("/", &[], "")), "Either a subject or a subject alternative name is needed.").await;
    let long = format!("/CN=a/O={}/OU={0}/L={0}/ST={0}", "x".repeat(60));
    refused(&client, &pem(&own.csr(&long, &[], "")), "Its subject: Longer than 200 characters.").await;
    // What concerns the request alone, the identifier of the key, and hints of other programs are no wishes.
    let extensions = [
        "subjectAltName=DNS:web.example",
        "subjectKeyIdentifier=hash",
        "basicConstraints=CA:FALSE",
        "nsComment=made",
        "1.3.6.1.4.1.311.20.2=ASN1:BMP:WebServer",
    ];
    let csr = own.csr("/CN=web.example", &extensions, "");
    client.must(CREATE, &json!({"csr": pem(&csr), "policy": {"issuer": {"name": "corp"}}}).to_string()).await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
}

#[tokio::test]
async fn a_challenge_password_is_not_published() {
    let (client, own) = (with_ca().await, OwnKey::new(P256));
    let config = "[req]\ndistinguished_name=dn\nprompt=no\nattributes=attrs\n[dn]\nCN=web.example\n[attrs]\nchallengePassword=hush4711\nunstructuredName=x\n";
    std::fs::write(own.path("attrs.cnf"), config).unwrap();
    own.run("openssl", "req -new -key own.key -config attrs.cnf -out own.pem");
    let text = std::fs::read_to_string(own.path("own.pem")).unwrap();
    refused(&client, &text, "It holds a challenge password").await;
    std::fs::write(own.path("attrs.cnf"), config.replace("challengePassword=hush4711\n", "")).unwrap();
    own.run("openssl", "req -new -key own.key -config attrs.cnf -out own.pem");
    let text = std::fs::read_to_string(own.path("own.pem")).unwrap();
    client.must(CREATE, &json!({ "csr": text }).to_string()).await;
}

#[tokio::test]
async fn what_is_no_request_is_told_what_it_is() {
    let (client, own) = (with_ca().await, OwnKey::new(P256));
    let csr = own.csr("/CN=web.example", &[], "");
    own.run("openssl", "req -x509 -new -key own.key -subj /CN=a -out own.pem");
    let read = |name: &str| std::fs::read_to_string(own.path(name)).unwrap();
    for (csr, words) in [
        (" ".to_owned(), "It is empty"),
        ("nonsense!".to_owned(), "It is no PKCS#10 request"),
        (r#"{"csr":"MII="}"#.to_owned(), "It is no PKCS#10 request"),
        (read("own.pem"), "It is a certificate, not a PKCS#10 request."),
        (read("own.key"), "It holds a private key, which stays with you"),
        (format!("{}{}", read("own.key"), pem(&csr)), "It holds a private key, which stays with you"),
        (STANDARD.encode(std::fs::read(own.path("own.pem")).unwrap()), "It is a certificate"),
        (format!("{}{}", pem(&csr), pem(&csr)), "more than one request"),
        (pem(&csr[..csr.len() - 9]), "It is damaged"),
        (STANDARD.encode(&csr[..csr.len() - 9]), "It is damaged"),
        (STANDARD.encode([&csr[..], &csr].concat()), "Something follows the request"),
        (STANDARD.encode([&[0x30, 0x83, 1, 0x11, 0x70][..], &vec![0; 70_000]].concat()), "not a PKCS#10 request"),
    ] {
        refused(&client, &csr, words).await;
    }
}
