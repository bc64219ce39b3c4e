//! An issuer of tokens in the process of a test: it publishes its keys as OpenID Connect has it, changes them, and answers
//! wrongly when it is told to.

use crate::https::{Asked, Https};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use certmint::clock::{Clock, SystemClock};
use certmint::jwt::{FederatedOptions, Issuers, IssuersOptions, JwtOptions};
use certmint::outbound::{ClientOptions, Clients};
use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What a token for the server of a test is issued for.
pub(crate) const AUDIENCE: &str = "https://certmint.example";

/// A key of an issuer.
pub(crate) enum Key {
    Ec(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    pub(crate) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    /// The public key (RFC 7517).
    pub(crate) fn jwk(&self, kid: Option<&str>) -> Value {
        let mut jwk = match self {
            Self::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": base64(x), "y": base64(y) })
            }
            Self::Rsa(pair) => {
                let n = pair.public_key().modulus().big_endian_without_leading_zero();
                let e = pair.public_key().exponent().big_endian_without_leading_zero();
                json!({ "kty": "RSA", "use": "sig", "n": base64(n), "e": base64(e) })
            }
        };
        if let Some(kid) = kid {
            jwk["kid"] = kid.into();
        }
        jwk
    }

    fn alg(&self) -> &'static str {
        match self {
            Self::Ec(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if alg == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token with this header and these claims, as they are.
    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        let alg = serde_json::from_str::<Value>(header).map(|header| header["alg"].as_str().unwrap_or("").to_owned());
        let signed = format!("{}.{}", base64(header.as_bytes()), base64(claims.as_bytes()));
        let signature = self.sign(&alg.unwrap_or_default(), signed.as_bytes());
        format!("{signed}.{}", base64(&signature))
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemClock.now().seconds()
}

/// How the issuer answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mood {
    Good,
    /// The metadata name another issuer.
    OfAnother,
    /// The key set is larger than anybody needs.
    Huge,
    Down,
    /// Sends on to another address.
    Elsewhere,
    /// The keys are at an address without TLS.
    Plain,
    NoKeys,
}

struct State {
    keys: Vec<(Option<String>, Arc<Key>)>,
    mood: Mood,
}

/// An issuer that runs. It begins with one key, `k1`.
pub(crate) struct TokenIssuer {
    https: Https,
    state: Arc<Mutex<State>>,
    fetches: Arc<AtomicUsize>,
    folder: tempfile::TempDir,
}

impl TokenIssuer {
    pub(crate) async fn start() -> Self {
        Self::with(Key::ec()).await
    }

    pub(crate) async fn with(key: Key) -> Self {
        let state = Arc::new(Mutex::new(State { keys: vec![(Some("k1".into()), Arc::new(key))], mood: Mood::Good }));
        let fetches = Arc::new(AtomicUsize::new(0));
        let https = {
            let (state, fetches) = (state.clone(), fetches.clone());
            Https::start(None, move |asked| answer(&state.lock().unwrap(), &fetches, &asked)).await
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &https.ca_pem).unwrap();
        Self { https, state, fetches, folder }
    }

    /// Its `iss`.
    pub(crate) fn iss(&self) -> &str {
        &self.https.url
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// How often its keys were fetched.
    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Signs with another key from now on, and lists it alone.
    pub(crate) fn rotate(&self, kid: Option<&str>) {
        self.state.lock().unwrap().keys = vec![(kid.map(str::to_owned), Arc::new(Key::ec()))];
    }

    /// The key that it signs with.
    pub(crate) fn key(&self) -> Arc<Key> {
        self.state.lock().unwrap().keys[0].1.clone()
    }

    /// The set that it publishes.
    pub(crate) fn jwks(&self) -> String {
        jwks(&self.state.lock().unwrap())
    }

    /// Good claims for an hour with these changes; `null` takes one away.
    pub(crate) fn claims(&self, changes: &Value) -> Value {
        let now = now();
        let mut claims = json!({
            "iss": self.iss(), "aud": AUDIENCE, "sub": "app", "iat": now, "nbf": now, "exp": now + 3600,
        });
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    }

    /// A token with good claims but for these changes.
    pub(crate) fn token(&self, changes: &Value) -> String {
        let (kid, key) = self.state.lock().unwrap().keys[0].clone();
        let mut header = json!({ "typ": "JWT", "alg": key.alg() });
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        key.token(&header.to_string(), &self.claims(changes).to_string())
    }

    /// The entry of a configuration that accepts its tokens.
    pub(crate) fn entry(&self, name: &str, more: &str) -> String {
        let (iss, ca) = (self.iss(), self.folder.path().join("ca.pem"));
        format!(
            "[[auth.jwt]]\nname = '{name}'\nissuers = ['{iss}']\naudiences = ['{AUDIENCE}']\nca_file = '{}'\n{more}\n",
            ca.display()
        )
    }
}

/// The issuers of these entries. Nothing is fetched until they are followed.
pub(crate) fn issuers(entries: &str, data_dir: &Path) -> Arc<Issuers> {
    #[derive(serde::Deserialize)]
    struct File {
        auth: Auth,
    }
    #[derive(serde::Deserialize)]
    struct Auth {
        jwt: Vec<JwtOptions>,
        #[serde(default)]
        client: Vec<FederatedOptions>,
    }
    let File { auth: Auth { jwt, client } } = toml::from_str(entries).unwrap();
    let clients: Arc<dyn Clients> = Arc::new(ClientOptions::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Arc::new(Issuers::open(IssuersOptions { issuers: &jwt, clients: &client }, &clients, data_dir, &clock).unwrap())
}

fn jwks(state: &State) -> String {
    let keys: Vec<Value> = state.keys.iter().map(|(kid, key)| key.jwk(kid.as_deref())).collect();
    // An encryption key beside it, as Keycloak has one, and one of a kind that nobody knows.
    let others = [json!({ "kty": "RSA", "use": "enc", "kid": "e1", "n": "AQAB", "e": "AQAB" }), json!({ "kty": "X" })];
    json!({ "keys": others.into_iter().chain(keys).collect::<Vec<_>>() }).to_string()
}

fn answer(state: &State, fetches: &AtomicUsize, asked: &Asked) -> Response<Full<Bytes>> {
    let host = asked.head.headers["host"].to_str().unwrap();
    let respond = |status: u16, body: String| Response::builder().status(status).body(Full::from(body)).unwrap();
    let keys_at = match state.mood {
        Mood::Plain => format!("http://{host}/keys"),
        _ => format!("https://{host}/keys"),
    };
    match (asked.head.uri.path(), state.mood) {
        (_, Mood::Down) => respond(500, "{}".to_owned()),
        (_, Mood::Elsewhere) => {
            let to = format!("https://{host}/other");
            Response::builder().status(302).header("location", to).body(Full::default()).unwrap()
        }
        ("/.well-known/openid-configuration", mood) => {
            let issuer =
                if mood == Mood::OfAnother { "https://another.example".to_owned() } else { format!("https://{host}") };
            respond(200, json!({ "issuer": issuer, "jwks_uri": keys_at, "response_types_supported": [] }).to_string())
        }
        ("/keys", Mood::Huge) => {
            let filled = format!("{{\"x\":\"{}\",", "x".repeat(300 * 1024));
            respond(200, jwks(state).replacen('{', &filled, 1))
        }
        ("/keys", Mood::NoKeys) => respond(200, json!({ "keys": [] }).to_string()),
        ("/keys", _) => {
            fetches.fetch_add(1, Ordering::SeqCst);
            respond(200, jwks(state))
        }
        _ => respond(404, "{}".to_owned()),
    }
}
