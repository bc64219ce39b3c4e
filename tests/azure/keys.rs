//! The key view: the public key, and operations with the private key.

use crate::client::{Client, HOST, Reply};
use crate::pfx::{P256, Pfx, RSA, digest_of};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Imports a certificate as `mycert1`; `usage` as for openssl.
async fn imported(client: &Client, key: &str, usage: &str) -> Pfx {
    let options = if usage.is_empty() { String::new() } else { format!("-addext keyUsage={usage}") };
    let pfx = Pfx::new(key, &options);
    let bundle = client.must("POST /certificates/mycert1/import", &pfx.body()).await;
    pfx.keep(&bundle);
    pfx
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn value(reply: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(reply["value"].as_str().unwrap()).unwrap()
}

async fn operate(client: &Client, operation: &str, body: &Value) -> Reply {
    client.send(&format!("POST /keys/mycert1//{operation}"), &body.to_string()).await
}

#[tokio::test]
async fn an_rsa_key_is_a_jwk_with_its_modulus_and_operations() {
    let client = Client::start().await;
    let pfx = imported(&client, RSA, "digitalSignature,keyEncipherment").await;
    let reply = client.send("GET /keys/mycert1/", "").await;
    let key = reply.json()["key"].clone();
    let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
    let said = pfx.openssl("rsa -pubin -in pub.pem -modulus -noout");
    let hex: String = modulus.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(said.trim(), format!("Modulus={hex}"));
    let shown = reply.shown().replace(key["n"].as_str().unwrap(), "<n>");
    assert_eq!(
        shown,
        "200\ncontent-type: application/json; charset=utf-8\n{\"key\":{\"kid\":\"https://v1.localhost:8443/keys/mycert1/<1>\",\"kty\":\"RSA\",\"key_ops\":[\"sign\",\"verify\",\"wrapKey\",\"unwrapKey\"],\"n\":\"<n>\",\"e\":\"AQAB\"},\"attributes\":{\"enabled\":true,\"nbf\":<time>,\"exp\":<time>,\"created\":<time>,\"updated\":<time>,\"recoveryLevel\":\"Recoverable+Purgeable\",\"recoverableDays\":90},\"managed\":true}"
    );
}

#[tokio::test]
async fn an_ec_key_has_its_curve_and_coordinates_of_full_length() {
    for (curve, name, length) in
        [("P-256", "P-256", 32), ("P-384", "P-384", 48), ("P-521", "P-521", 66), ("secp256k1", "P-256K", 32)]
    {
        let client = Client::start().await;
        imported(&client, &format!("ec -pkeyopt ec_paramgen_curve:{curve}"), "").await;
        let key = client.must("GET /keys/mycert1", "").await["key"].clone();
        assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!(name)));
        assert_eq!(key["key_ops"], json!(["sign", "verify"]));
        for member in ["x", "y"] {
            assert_eq!(URL_SAFE_NO_PAD.decode(key[member].as_str().unwrap()).unwrap().len(), length, "{curve}");
        }
        assert!(key["n"].is_null());
    }
}

#[tokio::test]
async fn a_created_key_may_do_what_its_policy_says() {
    let client = Client::start().await;
    let policy = json!({"key_props": {"kty": "RSA"}, "x509_props": {"subject": "CN=a", "key_usage": ["dataEncipherment"]},
        "issuer": {"name": "Self"}});
    client.must("POST /certificates/mycert1/create", &json!({"policy": policy}).to_string()).await;
    client.ended("mycert1").await;
    let key = client.must("GET /keys/mycert1", "").await;
    assert_eq!(key["key"]["key_ops"], json!(["encrypt", "decrypt"]));
}

#[tokio::test]
async fn signatures_of_every_algorithm_verify_with_openssl_and_with_the_certificate() {
    for (key, algorithms) in [
        (RSA, &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        (P256, &["ES256"]),
        ("ec -pkeyopt ec_paramgen_curve:P-384", &["ES384"]),
        ("ec -pkeyopt ec_paramgen_curve:P-521", &["ES512"]),
        ("ec -pkeyopt ec_paramgen_curve:secp256k1", &["ES256K"]),
    ] {
        let client = Client::start().await;
        let pfx = imported(&client, key, "digitalSignature").await;
        for algorithm in algorithms {
            let digest = digest_of(algorithm, b"message");
            let reply = operate(&client, "sign", &json!({"alg": algorithm, "value": base64url(&digest)})).await;
            assert_eq!(reply.status, 200, "{algorithm} {}", reply.body);
            let signature = value(&reply.json());
            pfx.verify(algorithm, b"message", &signature);
            for (signature, valid) in [(signature.clone(), true), (changed(signature), false), (vec![1], false)] {
                let body = json!({"alg": algorithm, "digest": base64url(&digest), "value": base64url(&signature)});
                let reply = operate(&client, "verify", &body).await;
                assert_eq!(reply.body, format!(r#"{{"value":{valid}}}"#), "{algorithm}");
            }
        }
    }
}

/// Key Vault's word for a signature without the name of a hash: old programs bring their own, for SHA-1 and others.
#[tokio::test]
async fn bytes_are_signed_as_they_are_by_rsa_keys_alone() {
    let client = Client::start().await;
    let pfx = imported(&client, RSA, "digitalSignature").await;
    for bytes in [&b"x"[..], &[0; 20], &[7; 245]] {
        let reply = operate(&client, "sign", &json!({"alg": "RSNULL", "value": base64url(bytes)})).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let signature = value(&reply.json());
        pfx.write("signature", &signature);
        pfx.openssl("pkeyutl -verifyrecover -certin -inkey cert.pem -in signature -out recovered -pkeyopt rsa_padding_mode:pkcs1");
        assert_eq!(pfx.read("recovered"), bytes);
        for (digest, valid) in [(bytes.to_vec(), true), ([bytes, b"x"].concat(), false)] {
            if digest.len() > 245 {
                continue;
            }
            let body = json!({"alg": "RSNULL", "digest": base64url(&digest), "value": base64url(&signature)});
            let reply = operate(&client, "verify", &body).await;
            assert_eq!(reply.body, format!(r#"{{"value":{valid}}}"#));
        }
    }
    for wrong in [&[][..], &[7; 246]] {
        let reply = operate(&client, "sign", &json!({"alg": "RSNULL", "value": base64url(wrong)})).await;
        reply.is_refusal(400, "BadParameter", "RSNULL requires 1 to 245 bytes");
    }
    let ec = Client::start().await;
    imported(&ec, P256, "digitalSignature").await;
    let reply = operate(&ec, "sign", &json!({"alg": "RSNULL", "value": base64url(&[7; 32])})).await;
    reply.is_refusal(400, "BadParameter", "RSNULL does not fit the key, which is EC on P-256. Use ES256.");
}

fn changed(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

#[tokio::test]
async fn the_answer_names_the_version_that_signed() {
    let client = Client::start().await;
    imported(&client, P256, "").await;
    let kid = client.must("GET /keys/mycert1", "").await["key"]["kid"].as_str().unwrap().to_owned();
    let path = kid.strip_prefix(&format!("https://{HOST}")).unwrap();
    let body = json!({"alg": "ES256", "value": base64url(&[7; 32])}).to_string();
    for request in [format!("POST {path}/sign"), "POST /keys/mycert1//sign".into(), "POST /keys/MYCERT1/sign/".into()] {
        let reply = client.send(&request, &body).await;
        let answer = reply.json();
        assert_eq!(reply.status, 200, "{request} {}", reply.body);
        assert_eq!(answer["kid"].as_str().unwrap().to_lowercase(), kid.to_lowercase(), "{request}");
        assert_eq!(value(&answer).len(), 64);
        assert_eq!(answer.as_object().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn what_is_encrypted_or_wrapped_comes_back_and_openssl_agrees() {
    let client = Client::start().await;
    let pfx = imported(&client, RSA, "keyEncipherment,dataEncipherment").await;
    for (there, back) in [("encrypt", "decrypt"), ("wrapkey", "unwrapkey")] {
        for (algorithm, options) in [
            ("RSA1_5", "-pkeyopt rsa_padding_mode:pkcs1"),
            ("RSA-OAEP", "-pkeyopt rsa_padding_mode:oaep"),
            ("RSA-OAEP-256", "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"),
        ] {
            let ciphertext = operate(&client, there, &json!({"alg": algorithm, "value": base64url(b"secret")})).await;
            assert_eq!(ciphertext.status, 200, "{algorithm} {}", ciphertext.body);
            pfx.write("ciphertext", &value(&ciphertext.json()));
            pfx.openssl(&format!("pkeyutl -decrypt -inkey key.pem -in ciphertext -out plain {options}"));
            assert_eq!(pfx.read("plain"), b"secret", "{algorithm}");
            pfx.openssl(&format!("pkeyutl -encrypt -pubin -inkey pub.pem -in plain -out foreign {options}"));
            let body = json!({"alg": algorithm, "value": base64url(&pfx.read("foreign"))});
            assert_eq!(value(&operate(&client, back, &body).await.json()), b"secret", "{algorithm}");
        }
    }
}

#[tokio::test]
async fn a_damaged_ciphertext_is_one_error_with_oaep_and_bytes_with_the_old_scheme() {
    let client = Client::start().await;
    imported(&client, RSA, "dataEncipherment").await;
    let damaged = base64url(&[7; 256]);
    for algorithm in ["RSA-OAEP", "RSA-OAEP-256"] {
        let reply = operate(&client, "decrypt", &json!({"alg": algorithm, "value": damaged})).await;
        reply.is_refusal(400, "BadParameter", "It could not be decrypted");
    }
    let old = json!({"alg": "RSA1_5", "value": damaged});
    let (first, second) = (operate(&client, "decrypt", &old).await, operate(&client, "decrypt", &old).await);
    assert_eq!((first.status, &first.body), (200, &second.body));
}

#[tokio::test]
async fn an_operation_that_is_not_in_key_ops_is_refused() {
    let client = Client::start().await;
    imported(&client, RSA, "digitalSignature").await;
    operate(&client, "decrypt", &json!({"alg": "RSA-OAEP", "value": "AAAA"})).await.is(r#"
        403
        content-type: application/json; charset=utf-8
        {"error":{"code":"Forbidden","message":"Operation decrypt is not permitted on this key.","innererror":{"code":"KeyOperationForbidden"}}}
    "#);
    for (path, name) in [("encrypt", "encrypt"), ("wrapkey", "wrapKey"), ("unwrapkey", "unwrapKey")] {
        let words = format!("Operation {name} is not permitted on this key.");
        let reply = operate(&client, path, &json!({"alg": "RSA-OAEP", "value": "AAAA"})).await;
        reply.is_refusal(403, "Forbidden", &words);
    }
}

#[tokio::test]
async fn a_disabled_key_does_nothing() {
    let client = Client::start().await;
    let body = json!({"value": Pfx::new(P256, "").pem(), "attributes": {"enabled": false}});
    client.must("POST /certificates/mycert1/import", &body.to_string()).await;
    client.send("GET /keys/mycert1", "").await.is(r#"
        403
        content-type: application/json; charset=utf-8
        {"error":{"code":"Forbidden","message":"Operation get is not allowed on a disabled key.","innererror":{"code":"KeyDisabled"}}}
    "#);
    let body = json!({"alg": "ES256", "value": base64url(&[7; 32])});
    let words = "Operation sign is not allowed on a disabled key.";
    operate(&client, "sign", &body).await.is_refusal(403, "Forbidden", words);
}

#[tokio::test]
async fn before_its_time_a_key_verifies_and_opens_but_makes_nothing_new() {
    let client = Client::start().await;
    let pfx = Pfx::new(RSA, "");
    pfx.write("ca.cnf", b"[ca]\ndefault_ca=a\n[a]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n");
    pfx.write("index", b"");
    pfx.write("serial", b"01\n");
    pfx.openssl("req -new -key key.pem -subj /CN=later -out later.csr");
    pfx.openssl("ca -batch -config ca.cnf -selfsign -keyfile key.pem -in later.csr -startdate 20400101000000Z -enddate 20410101000000Z -notext -out cert.pem");
    client.must("POST /certificates/mycert1/import", &json!({"value": pfx.pem()}).to_string()).await;
    let digest = base64url(&[7; 32]);
    for (path, name, body) in [
        ("sign", "sign", json!({"alg": "RS256", "value": digest})),
        ("encrypt", "encrypt", json!({"alg": "RSA-OAEP", "value": "AAAA"})),
        ("wrapkey", "wrapKey", json!({"alg": "RSA-OAEP", "value": "AAAA"})),
    ] {
        let words = format!("Operation {name} is not allowed on a key that is not yet valid.");
        operate(&client, path, &body).await.is_refusal(403, "Forbidden", &words);
    }
    let body = json!({"alg": "RS256", "digest": digest, "value": digest});
    assert_eq!(operate(&client, "verify", &body).await.body, r#"{"value":false}"#);
    pfx.openssl("x509 -in cert.pem -pubkey -noout -out pub.pem");
    pfx.write("plain", b"secret");
    pfx.openssl("pkeyutl -encrypt -pubin -inkey pub.pem -in plain -out foreign -pkeyopt rsa_padding_mode:oaep");
    for path in ["decrypt", "unwrapkey"] {
        let body = json!({"alg": "RSA-OAEP", "value": base64url(&pfx.read("foreign"))});
        assert_eq!(value(&operate(&client, path, &body).await.json()), b"secret");
    }
    client.must("GET /secrets/mycert1", "").await;
}

#[tokio::test]
async fn wrong_bodies_are_refused_with_what_is_wrong() {
    let client = Client::start().await;
    imported(&client, RSA, "").await;
    let digest = base64url(&[7; 32]);
    for (path, body, words) in [
        ("sign", json!({}), "Property alg has invalid value. It is required."),
        ("sign", json!({"alg": "RS256"}), "Property value has invalid value. It is required."),
        ("sign", json!({"alg": "rs256", "value": digest}), "use RS256, RS384"),
        ("sign", json!({"alg": "RSA-OAEP", "value": digest}), "It is not an algorithm of this operation"),
        ("sign", json!({"alg": "ES256", "value": digest}), "ES256 does not fit the key, which is RSA. Use RS256"),
        ("sign", json!({"alg": "RS256", "value": "!"}), "It is not base64url"),
        (
            "sign",
            json!({"alg": "RS256", "value": base64url(&[7; 31])}),
            "Invalid length of 'value': 31 bytes. RS256 requires 32 bytes, encoded with base64url.",
        ),
        ("sign", json!({"alg": "RS512", "value": digest}), "RS512 requires 64 bytes"),
        ("verify", json!({"alg": "RS256", "value": digest}), "Property digest has invalid value. It is required."),
        ("verify", json!({"alg": "RS256", "value": digest, "digest": "AA"}), "Invalid length of 'digest': 1 bytes."),
        ("encrypt", json!({"alg": "A256GCM", "value": "AA"}), "use RSA1_5, RSA-OAEP, RSA-OAEP-256"),
        ("encrypt", json!({"alg": "RSA-OAEP-256", "value": base64url(&[7; 191])}), "takes at most 190"),
        ("wrapkey", json!({"alg": "RSA1_5", "value": base64url(&[7; 246])}), "takes at most 245"),
        ("decrypt", json!({"alg": "RSA1_5", "value": base64url(&[7; 255])}), "a ciphertext of this key has 256"),
    ] {
        operate(&client, path, &body).await.is_refusal(400, "BadParameter", words);
    }
    let ec = Client::start().await;
    imported(&ec, P256, "").await;
    let reply = operate(&ec, "sign", &json!({"alg": "ES384", "value": base64url(&[7; 48])})).await;
    reply.is_refusal(400, "BadParameter", "ES384 does not fit the key, which is EC on P-256. Use ES256.");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    let words = "A key with (name/id) mycert1 was not found in this key vault. If you recently deleted this key";
    client.send("GET /keys/mycert1", "").await.is_refusal(404, "KeyNotFound", words);
    let body = json!({"alg": "ES256", "value": base64url(&[7; 32])});
    operate(&client, "sign", &body).await.is_refusal(404, "KeyNotFound", words);
    client.send("GET /keys/mycert1/sign/x", "").await.is_refusal(404, "NotFound", "");
    client.send("GET /keys/mycert1/1", "").await.is_refusal(400, "BadParameter", "version");
}

#[tokio::test]
async fn the_list_shows_keys_as_managed_and_writes_are_refused() {
    let client = Client::start().await;
    imported(&client, P256, "").await;
    client.send("GET /keys", "").await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"value":[{"kid":"https://v1.localhost:8443/keys/mycert1",
        "attributes":{"enabled":true,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>,
        "recoveryLevel":"Recoverable+Purgeable","recoverableDays":90},"managed":true}],"nextLink":null}
    "#);
    client.send("PATCH /keys/mycert1/", "{}").await.is(r#"
        403
        content-type: application/json; charset=utf-8
        {"error":{"code":"Forbidden","message":"Operation \"update\" is not allowed on this Key, since it is associated with a certificate.","innererror":{"code":"SecretManagedByKeyVault"}}}
    "#);
    for (request, operation) in [
        ("PUT /keys/mycert1", "import"),
        ("POST /keys/mycert1/create", "create"),
        ("DELETE /keys/mycert1", "delete"),
        ("POST /keys/mycert1/backup", "backup"),
        ("POST /keys/mycert1/rotate", "rotate"),
    ] {
        let words = format!("Operation \"{operation}\" is not allowed on this Key");
        client.send(request, "{}").await.is_refusal(403, "Forbidden", &words);
    }
    client.send("POST /keys/other/create", "{}").await.is_refusal(501, "NotSupported", "are not supported");
}
