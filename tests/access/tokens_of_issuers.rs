//! Callers with tokens of other issuers: who they are, what of their tokens is not believed, and what happens when the
//! keys of an issuer change or are not available.

use crate::kit::{LONG, Reply, Server, Shared, reason};
use crate::token_issuer::{AUDIENCE, Key, Mood, TokenIssuer, base64, issuers, now};
use certmint::jwt::Issuers;
use certmint::proto::v1;
use certmint::service::Mode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Code;

const GRANTS: &str = r#"
    [[grant]]
    principal = "jwt:corp:app"
    role = "Key Vault Certificates Officer"
    vault = "default"
    names = ["app-*"]

    [[grant]]
    principal = "group:corp:shop"
    role = "Key Vault Reader"
    vault = "default"
"#;

/// A server with the issuers of these entries.
struct World {
    server: Server,
    issuers: Arc<Issuers>,
    folder: tempfile::TempDir,
    _stop: DropGuard,
}

impl World {
    async fn new(entries: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::on(entries, folder).await
    }

    async fn on(entries: &str, folder: tempfile::TempDir) -> Self {
        let issuers = issuers(entries, folder.path());
        let stop = CancellationToken::new();
        tokio::spawn(issuers.clone().follow(stop.clone()));
        let server = Server::knowing(Some(issuers.clone()), Mode::Enforce, GRANTS, Shared::default()).await;
        Self { server, issuers, folder, _stop: stop.drop_guard() }
    }

    /// Once the keys of all issuers were fetched.
    async fn ready(self) -> Self {
        self.until(|issuers| issuers.sources().iter().all(|source| source.keys > 0)).await;
        self
    }

    async fn until(&self, is_so: impl Fn(&Issuers) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.issuers) {
            assert!(begun.elapsed() < LONG, "{:?}", self.issuers.sources());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn list(&self, token: &str) -> Reply {
        self.server.send(token, "GET /certificates", "").await
    }

    /// The answer to a token whose key is looked for: what it is is not said before the fetch has ended, which takes a busy
    /// machine longer than callers wait.
    async fn judged(&self, token: &str) -> Reply {
        let begun = Instant::now();
        loop {
            let reply = self.list(token).await;
            if reply.status != 503 {
                return reply;
            }
            assert!(begun.elapsed() < LONG, "{}", reply.body);
        }
    }

    /// How often a token was refused for this cause.
    fn refused(&self, cause: &str) -> u64 {
        self.issuers.refused().iter().filter(|(_, known, _)| *known == cause).map(|(_, _, count)| count).sum()
    }

    /// The token is refused over both APIs in the same words, for this cause; what is answered holds nothing of it.
    async fn refuses(&self, token: &str, cause: &str, words: &str) {
        let before = self.refused(cause);
        let reply = if cause == "key" { self.judged(token).await } else { self.list(token).await };
        assert_eq!(reply.status, 401, "{cause} {words}: {}", reply.body);
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{cause}: {message}");
        assert!(!message.contains(token));
        let status = self.server.who(token).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"), "{cause}");
        if cause != "none" {
            assert_eq!((status.message(), self.refused(cause)), (message.as_str(), before + 2), "{cause}");
        }
    }
}

const NOT_ACCEPTED: &str = "The token is not accepted.";

#[tokio::test]
async fn the_caller_of_a_token_is_its_principal_in_its_groups() {
    let issuer = TokenIssuer::start().await;
    let world = World::new(&issuer.entry("corp", "groups = ['groups']")).await.ready().await;
    let expires = now() + 600;
    let token = issuer.token(&json!({ "exp": expires, "groups": ["shop", "other", "with space"] }));
    let who = world.server.who(&token).await.unwrap();
    assert_eq!((who.principal.as_str(), who.grants.len()), ("jwt:corp:app", 2));
    let credential = who.credential.unwrap();
    assert_eq!((credential.kind(), credential.provider.as_str()), (v1::CredentialKind::Jwt, "corp"));
    assert_eq!(credential.groups, ["group:corp:other", "group:corp:shop"]);
    assert_eq!(credential.expires.unwrap().seconds, expires);
    let line = world.server.who("shop").await.unwrap().credential.unwrap();
    assert_eq!((line.kind(), line.expires), (v1::CredentialKind::Token, None));

    world.server.issue(&["app-1", "web"]).await;
    assert_eq!(world.list(&token).await.names(), ["app-1", "web"], "the group reads everything");
    let alone = issuer.token(&json!({}));
    assert_eq!(world.list(&alone).await.names(), ["app-1"], "the principal its own names");
    let stranger = issuer.token(&json!({ "sub": "someone" }));
    let reply = world.list(&stranger).await;
    assert_eq!(reply.status, 403, "{}", reply.body);
    assert!(reply.body.contains("name=jwt:corp:someone;iss=certmint"), "{}", reply.body);
}

#[tokio::test]
async fn no_token_is_believed_that_is_not_whole_signed_for_this_server_and_in_time() {
    let issuer = TokenIssuer::start().await;
    let world = World::new(&issuer.entry("corp", "require = { tid = 't' }")).await.ready().await;
    let good = json!({ "tid": "t" });
    assert_eq!(world.list(&issuer.token(&good)).await.status, 200);

    let key = issuer.key();
    let claims = issuer.claims(&good).to_string();
    let with = |header: &str| key.token(header, &claims);
    let changed = |changes: Value| {
        let mut all = good.clone();
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        issuer.token(&all)
    };
    let header = base64(br#"{"alg":"none"}"#);
    let stranger = Key::ec();
    let public = key.jwk(None);
    let embedded = json!({ "alg": "ES256", "kid": "k2", "jwk": stranger.jwk(None), "jku": "https://x" }).to_string();
    let deep = format!("{{\"iss\":\"{}\",\"a\":{}1{}}}", issuer.iss(), "[".repeat(3000), "]".repeat(3000));
    let doubled = claims.replacen("\"sub\":\"app\"", "\"sub\":\"app\",\"sub\":\"admin\"", 1);
    assert_ne!(doubled, claims);
    let large = changed(json!({ "x": "x".repeat(12 * 1024) }));
    let hs256 = {
        let signed = format!("{}.{}", base64(br#"{"alg":"HS256","kid":"k1"}"#), base64(claims.as_bytes()));
        let secret = public["x"].as_str().unwrap().to_owned();
        let mac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        format!("{signed}.{}", base64(aws_lc_rs::hmac::sign(&mac, signed.as_bytes()).as_ref()))
    };
    let mut flipped = with(r#"{"alg":"ES256","kid":"k1"}"#);
    flipped.replace_range(
        flipped.len() - 10..flipped.len() - 9,
        if flipped.as_bytes()[flipped.len() - 10] == b'A' { "B" } else { "A" },
    );

    for (token, cause, words) in [
        (format!("{header}.{}.", base64(claims.as_bytes())), "algorithm", NOT_ACCEPTED),
        (hs256, "algorithm", NOT_ACCEPTED),
        (with(r#"{"alg":"ES384","kid":"k1"}"#), "key", NOT_ACCEPTED),
        (with(r#"{"alg":"RS256","kid":"k1"}"#), "key", NOT_ACCEPTED),
        (with(r#"{"alg":"EdDSA","kid":"k1"}"#), "algorithm", NOT_ACCEPTED),
        (with(r#"{"alg":"ES256","kid":"k1","crit":["exp"],"exp":1}"#), "critical", NOT_ACCEPTED),
        (with(r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#), "type", NOT_ACCEPTED),
        (with(r#"{"alg":"ES256","kid":"k9"}"#), "key", NOT_ACCEPTED),
        (stranger.token(&embedded, &claims), "key", NOT_ACCEPTED),
        (stranger.token(r#"{"alg":"ES256","kid":"k1"}"#, &claims), "signature", NOT_ACCEPTED),
        (flipped, "signature", NOT_ACCEPTED),
        (key.token(r#"{"alg":"ES256","kid":"k1"}"#, &deep), "form", NOT_ACCEPTED),
        (key.token(r#"{"alg":"ES256","kid":"k1"}"#, &doubled), "form", NOT_ACCEPTED),
        (with(&json!({ "alg": "ES256", "kid": "k1", "x": "x".repeat(1100) }).to_string()), "form", NOT_ACCEPTED),
        (large, "form", NOT_ACCEPTED),
        (changed(json!({ "iss": null })), "issuer", "AKV10032: Invalid issuer."),
        (changed(json!({ "iss": 7 })), "issuer", "AKV10032: Invalid issuer."),
        (changed(json!({ "iss": format!("{}/", issuer.iss()) })), "issuer", "AKV10032: Invalid issuer."),
        (changed(json!({ "iss": "https://evil.example" })), "issuer", "found https://evil.example."),
        (
            changed(json!({ "aud": null })),
            "audience",
            "AKV10022: Invalid audience. Expected https://certmint.example, found: none.",
        ),
        (changed(json!({ "aud": "https://vault.azure.net" })), "audience", "found: https://vault.azure.net."),
        (changed(json!({ "aud": ["a", "b"] })), "audience", "found: a, b."),
        (changed(json!({ "exp": null })), "claim", NOT_ACCEPTED),
        (changed(json!({ "exp": now() - 61 })), "expired", "The token has expired."),
        (changed(json!({ "nbf": now() + 100_000 })), "not_yet_valid", NOT_ACCEPTED),
        (changed(json!({ "exp": now() + 90_000 })), "lifetime", NOT_ACCEPTED),
        (changed(json!({ "tid": "other" })), "claim", NOT_ACCEPTED),
        (changed(json!({ "sub": "a\u{0}b" })), "principal", NOT_ACCEPTED),
        (changed(json!({ "sub": null })), "principal", NOT_ACCEPTED),
        ("eyJ.e30.AAAA".to_owned(), "form", NOT_ACCEPTED),
        ("a.b.c".to_owned(), "none", ""),
        ("5up3r-s3cret".to_owned(), "none", ""),
    ] {
        world.refuses(&token, cause, words).await;
    }
    for (good, what) in [
        (json!({ "exp": now() - 55 }), "expired within the leeway"),
        (json!({ "aud": ["a", format!("{AUDIENCE}/")] }), "a list with a slash at its end"),
        (json!({ "x": "x".repeat(9 * 1024) }), "large, and within the bound"),
    ] {
        assert_eq!(world.list(&changed(good)).await.status, 200, "{what}");
    }
}

#[tokio::test]
async fn rsa_keys_sign_in_both_forms_and_every_other_algorithm_has_to_be_named() {
    let issuer = TokenIssuer::with(Key::rsa()).await;
    let claims = issuer.claims(&json!({})).to_string();
    let token = |alg: &str| issuer.key().token(&json!({ "alg": alg, "kid": "k1" }).to_string(), &claims);
    let world = World::new(&issuer.entry("corp", "")).await.ready().await;
    assert_eq!([world.list(&token("RS256")).await.status, world.list(&token("PS256")).await.status], [200; 2]);
    world.refuses(&token("RS384"), "algorithm", NOT_ACCEPTED).await;
    let narrow = World::new(&issuer.entry("corp", "algorithms = ['PS256']")).await.ready().await;
    narrow.refuses(&token("RS256"), "algorithm", NOT_ACCEPTED).await;
    assert_eq!(narrow.list(&token("PS256")).await.status, 200);
}

#[tokio::test]
async fn an_issuer_speaks_for_itself_alone() {
    let (one, other) = (TokenIssuer::start().await, TokenIssuer::start().await);
    let world = World::new(&format!("{}{}", one.entry("corp", ""), other.entry("other", ""))).await.ready().await;
    assert_eq!(world.server.who(&other.token(&json!({}))).await.unwrap().principal, "jwt:other:app");
    // The same key id, and the name of the other one.
    world.refuses(&other.token(&json!({ "iss": one.iss() })), "signature", NOT_ACCEPTED).await;
    let reply = world.list(&other.token(&json!({}))).await;
    assert_eq!(reply.status, 403, "its `app` is not the other's: {}", reply.body);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_the_old_one_stays() {
    let issuer = TokenIssuer::start().await;
    let world = World::new(&issuer.entry("corp", "")).await.ready().await;
    let old = issuer.token(&json!({ "jti": "1" }));
    assert_eq!((world.list(&old).await.status, issuer.fetches()), (200, 1));
    issuer.rotate(Some("k2"));
    let new: Vec<String> = (0..20).map(|number| issuer.token(&json!({ "jti": number }))).collect();
    let begun = Instant::now();
    let replies = futures_util::future::join_all(new.iter().map(|token| world.list(token))).await;
    // They wait for two seconds, which a busy machine may need for the fetch.
    let in_time = begun.elapsed() < Duration::from_secs(2);
    assert!(!in_time || replies.iter().all(|reply| reply.status == 200), "all that wait get it");
    while world.list(&new[0]).await.status != 200 {
        assert!(begun.elapsed() < LONG, "the new key is never fetched");
    }
    // The next one may follow after half a minute.
    let is_over = || begun.elapsed() >= Duration::from_secs(30);
    assert!(issuer.fetches() == 2 || is_over(), "one fetch for all");
    assert_eq!(world.list(&old).await.status, 200, "what the old key signed is still in use");
    for kid in ["k3", "k4", "k5"] {
        let token =
            Key::ec().token(&json!({ "alg": "ES256", "kid": kid }).to_string(), &issuer.claims(&json!({})).to_string());
        world.refuses(&token, "key", NOT_ACCEPTED).await;
    }
    assert!(issuer.fetches() == 2 || is_over(), "ids that nobody knows cause no more fetches for a while");
}

#[tokio::test]
async fn a_key_that_took_the_id_of_another_ends_what_is_remembered_of_the_tokens_of_that_one() {
    let issuer = TokenIssuer::start().await;
    let world = World::new(&issuer.entry("corp", "")).await.ready().await;
    let old = issuer.token(&json!({}));
    assert_eq!([world.list(&old).await.status, world.list(&old).await.status], [200; 2]);
    issuer.rotate(Some("k1"));
    let unknown = Key::ec().token(r#"{"alg":"ES256","kid":"k9"}"#, &issuer.claims(&json!({})).to_string());
    world.refuses(&unknown, "key", NOT_ACCEPTED).await;
    world.until(|issuers| issuers.sources()[0].good >= 2).await;
    world.refuses(&old, "signature", NOT_ACCEPTED).await;
    assert_eq!(world.list(&issuer.token(&json!({ "jti": "2" }))).await.status, 200);
}

#[tokio::test]
async fn an_issuer_may_do_without_ids_of_keys() {
    let issuer = TokenIssuer::start().await;
    issuer.rotate(None);
    let world = World::new(&issuer.entry("corp", "")).await.ready().await;
    assert_eq!(world.list(&issuer.token(&json!({}))).await.status, 200);
    world
        .refuses(&Key::ec().token(r#"{"alg":"ES256"}"#, &issuer.claims(&json!({})).to_string()), "signature", "")
        .await;
}

#[tokio::test]
async fn where_the_keys_are_not_available_a_token_is_neither_believed_nor_refused() {
    for mood in [Mood::Down, Mood::OfAnother, Mood::Huge, Mood::Elsewhere, Mood::Plain, Mood::NoKeys] {
        let issuer = TokenIssuer::start().await;
        issuer.set_mood(mood);
        let world = World::new(&issuer.entry("corp", "")).await;
        world.until(|issuers| issuers.sources()[0].failed > 0).await;
        let token = issuer.token(&json!({}));
        let response = world.server.respond("localhost", &token, "GET /certificates", "").await;
        assert_eq!(response.status(), 503, "{mood:?}");
        assert_eq!(response.headers()["retry-after"], "10", "{mood:?}");
        assert!(!response.headers().contains_key("www-authenticate"), "{mood:?}");
        let status = world.server.who(&token).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "IDENTITY_UNAVAILABLE"), "{mood:?}");
        assert_eq!(world.list("shop").await.status, 403, "lines of the tokens file do not depend on it");
        let metrics = world.server.service.metrics().text();
        assert!(!metrics.contains("certmint_unauthenticated_requests_total{"), "it looks like an attack: {metrics}");
    }
}

#[tokio::test]
async fn a_key_that_is_not_known_while_the_issuer_is_down_may_be_a_new_one() {
    let issuer = TokenIssuer::start().await;
    let world = World::new(&issuer.entry("corp", "")).await.ready().await;
    let known = issuer.token(&json!({}));
    issuer.set_mood(Mood::Down);
    issuer.rotate(Some("k2"));
    // The second one finds that the issuer was asked just now.
    for number in 0..2 {
        let token = issuer.token(&json!({ "jti": number }));
        let response = world.server.respond("localhost", &token, "GET /certificates", "").await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "10");
        let status = world.server.who(&token).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "IDENTITY_UNAVAILABLE"));
        assert!(status.message().contains("Send the request again later"), "{}", status.message());
    }
    assert_eq!(world.list(&known).await.status, 200, "known keys depend on no fetch");
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_holds_a_caller_up_for_two_seconds() {
    // A busy machine may come to the two callers only when both may be answered: then again.
    for _ in 0..10 {
        if holds_up_who_shows_its_token().await {
            return;
        }
    }
    panic!("others wait, too, or nobody does");
}

/// Whether the caller with the token waited for two seconds, and another one was answered meanwhile.
async fn holds_up_who_shows_its_token() -> bool {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let iss = format!("https://{}", silent.local_addr().unwrap());
    let entry = format!("[[auth.jwt]]\nname = 'corp'\nissuers = ['{iss}']\naudiences = ['{AUDIENCE}']\n");
    let world = World::new(&entry).await;
    let token = Key::ec().token(r#"{"alg":"ES256"}"#, &json!({ "iss": iss }).to_string());
    let begun = Instant::now();
    let held = async {
        assert_eq!(world.list(&token).await.status, 503);
        begun.elapsed()
    };
    let other = async {
        assert_eq!(world.list("shop").await.status, 403);
        begun.elapsed()
    };
    let (held, other) = tokio::join!(held, other);
    held >= Duration::from_secs(2) && other < held
}

#[tokio::test]
async fn keys_outlive_an_outage_and_a_restart_in_it() {
    let issuer = TokenIssuer::start().await;
    let entry = issuer.entry("corp", "");
    let world = World::new(&entry).await.ready().await;
    let kept = world.folder.path().join("issuer-keys");
    world
        .until(|_| {
            kept.read_dir()
                .is_ok_and(|mut files| files.any(|file| file.unwrap().path().extension() == Some("json".as_ref())))
        })
        .await;
    issuer.set_mood(Mood::Down);
    assert_eq!(world.list(&issuer.token(&json!({}))).await.status, 200);
    let World { folder, .. } = world;
    let again = World::on(&entry, folder).await;
    assert_eq!(again.list(&issuer.token(&json!({ "jti": "2" }))).await.status, 200, "before anything is fetched");

    // The file is believed for the issuer that it is of, and where it can be read.
    let file = again.folder.path().join("issuer-keys").read_dir().unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap();
    for broken in [
        text.replace(issuer.iss(), "https://localhost:1"),
        "{".to_owned(),
        text.replace("\"version\": 1", "\"version\": 2"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("issuer-keys")).unwrap();
        std::fs::write(folder.path().join("issuer-keys").join(file.file_name().unwrap()), broken).unwrap();
        let world = World::on(&entry, folder).await;
        assert_eq!(world.list(&issuer.token(&json!({}))).await.status, 503);
    }
}

/// A file with the keys of an issuer, in a folder that goes with it.
struct KeysFile(tempfile::TempDir);

impl KeysFile {
    fn of(issuer: &TokenIssuer) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(&issuer.jwks());
        file
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("keys.json")
    }

    /// Puts it in its place as a whole: the server may read it at any time.
    fn write(&self, text: &str) {
        let part = self.0.path().join("keys.part");
        std::fs::write(&part, text).unwrap();
        std::fs::set_permissions(&part, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::rename(&part, self.path()).unwrap();
    }

    /// The entry of an issuer with these values of `iss` and the keys of the file.
    fn entry(&self, issuers: &[&str]) -> String {
        let file = self.path();
        format!(
            "[[auth.jwt]]\nname = 'corp'\nissuers = {issuers:?}\naudiences = ['{AUDIENCE}']\njwks_file = '{}'\n",
            file.display()
        )
    }
}

#[tokio::test]
async fn keys_of_a_file_need_no_network_and_are_those_of_the_file() {
    let issuer = TokenIssuer::start().await;
    let file = KeysFile::of(&issuer);
    let world = World::new(&file.entry(&[issuer.iss(), "kubernetes/serviceaccount"])).await;
    let token = issuer.token(&json!({}));
    assert_eq!(world.list(&token).await.status, 200);
    assert_eq!(world.list(&issuer.token(&json!({ "iss": "kubernetes/serviceaccount" }))).await.status, 200);
    assert_eq!(issuer.fetches(), 0);
    issuer.rotate(Some("k2"));
    file.write(&issuer.jwks());
    assert_eq!(world.judged(&issuer.token(&json!({}))).await.status, 200, "a key that is not known is looked for");
    world.refuses(&token, "key", NOT_ACCEPTED).await;
}

#[tokio::test]
async fn a_stream_ends_with_the_key_of_its_token() {
    let issuer = TokenIssuer::start().await;
    let file = KeysFile::of(&issuer);
    let world = World::new(&file.entry(&[issuer.iss()])).await;
    let watch = async |token: &str| {
        let request = v1::WatchPendingRequest::default();
        let mut stream = world.server.client(token).watch_pending(request).await.unwrap().into_inner();
        stream.message().await.unwrap();
        stream
    };
    let mut old = watch(&issuer.token(&json!({}))).await;
    // Another key, and the old one for a while.
    let both = issuer.jwks();
    issuer.rotate(Some("k2"));
    let alone = issuer.jwks();
    let keys = |text: &str| serde_json::from_str::<Value>(text).unwrap()["keys"].as_array().unwrap().clone();
    let listed = [keys(&both), keys(&alone)].concat();
    file.write(&json!({ "keys": listed }).to_string());
    world.until(|issuers| issuers.sources()[0].keys == 2).await;
    let mut new = watch(&issuer.token(&json!({}))).await;

    file.write(&alone);
    let end = loop {
        match tokio::time::timeout(LONG, old.message()).await.unwrap() {
            Ok(message) => assert!(message.is_some(), "an end without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!((end.code(), reason(&end).as_str()), (Code::Unauthenticated, "CREDENTIALS_EXPIRED"));
    // The stream of the other key goes on.
    world.server.begin(&["app-1"]).await;
    loop {
        let message = tokio::time::timeout(LONG, new.message()).await.unwrap().unwrap().expect("no end");
        if matches!(message.payload, Some(v1::watch_pending_response::Payload::Event(_))) {
            break;
        }
    }
}

#[tokio::test]
async fn a_stream_ends_a_minute_after_its_token_and_is_resumed_with_another() {
    let issuer = TokenIssuer::start().await;
    let world = World::new(&issuer.entry("corp", "")).await.ready().await;
    world.server.begin(&["app-1"]).await;
    let wanted = v1::WatchPendingRequest::default();
    let mut seconds = 8;
    let (ends, token, mut stream, mut sse) = loop {
        // It expired, and is accepted for some seconds more, as long as the stream: longer where a busy machine takes
        // longer to open both.
        let ends = now() + seconds;
        let token = issuer.token(&json!({ "exp": ends - 60 }));
        let stream = world.server.client(&token).watch_pending(wanted.clone()).await;
        let sse = world.server.respond("localhost", &token, "GET /certificates/app-1/pending/watch", "").await;
        if now() < ends {
            break (ends, token, stream.unwrap().into_inner(), sse.into_body());
        }
        seconds *= 4;
        assert!(seconds < 600, "no stream is opened in time");
    };
    let mut resume_token = String::new();
    let end = loop {
        match tokio::time::timeout(LONG, stream.message()).await.unwrap() {
            Ok(Some(message)) => resume_token = message.resume_token,
            Ok(None) => panic!("an end without a reason"),
            Err(status) => break status,
        }
    };
    assert!((ends..ends + 60).contains(&now()), "{} s late", now() - ends);
    assert_eq!((end.code(), reason(&end).as_str()), (Code::Unauthenticated, "CREDENTIALS_EXPIRED"));
    let mut told = Vec::new();
    while let Some(frame) = tokio::time::timeout(LONG, http_body_util::BodyExt::frame(&mut sse)).await.unwrap() {
        told.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("event: error") && told.contains("The credentials of this stream"), "{told}");

    world.refuses(&token, "expired", "The token has expired.").await;
    world.server.begin(&["app-2"]).await;
    let fresh = issuer.token(&json!({}));
    let wanted = v1::WatchPendingRequest { resume_token, ..wanted };
    let mut stream = world.server.client(&fresh).watch_pending(wanted).await.unwrap().into_inner();
    let message = tokio::time::timeout(LONG, stream.message()).await.unwrap().unwrap().unwrap();
    let Some(v1::watch_pending_response::Payload::Event(event)) = message.payload else { panic!("{message:?}") };
    assert_eq!(event.operation.unwrap().certificate_name, "app-2", "nothing was missed");
}

/// A client that is known by a token for another audience, as clouds hand them to workloads.
const CLIENT: &str = "[[auth.client]]\nid = 'deploy'\nprovider = 'corp'\nsubject = 'repo:shop:ref:main'\n\
                      audience = 'api://AzureADTokenExchange'\n";

/// What the libraries send for a workload, with this token.
fn form(client_id: &str, assertion: &str) -> String {
    format!(
        "grant_type=client_credentials&client_id={client_id}&scope=https%3A%2F%2Flocalhost%3A8443%2F.default\
         &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
         &client_assertion={assertion}"
    )
}

#[tokio::test]
async fn a_federated_client_is_known_by_issuer_subject_and_audience_together() {
    let (issuer, other) = (TokenIssuer::start().await, TokenIssuer::start().await);
    let entries = format!("{}{}{CLIENT}", issuer.entry("corp", "max_age = '1h'"), other.entry("other", ""));
    let world = World::new(&entries).await.ready().await;
    let own = json!({ "sub": "repo:shop:ref:main", "aud": "api://AzureADTokenExchange" });
    let with = |member: &str, value: Value| {
        let mut claims = own.clone();
        claims[member] = value;
        claims
    };
    assert_eq!(world.server.who(&issuer.token(&own)).await.unwrap().principal, "client:deploy");
    let for_us = issuer.token(&with("aud", json!(AUDIENCE)));
    assert_eq!(world.server.who(&for_us).await.unwrap().principal, "jwt:corp:repo:shop:ref:main");
    for (token, cause) in [
        (issuer.token(&with("sub", json!("repo:shop:ref:main2"))), "audience"),
        (issuer.token(&with("sub", json!("Repo:shop:ref:main"))), "audience"),
        (issuer.token(&with("sub", json!(["repo:shop:ref:main"]))), "audience"),
        (issuer.token(&with("aud", json!("api://AzureADTokenExchange/"))), "audience"),
        (other.token(&own), "audience"),
        (issuer.token(&with("exp", json!(now() - 61))), "expired"),
        (issuer.token(&with("exp", json!(now() + 3700))), "lifetime"),
        (Key::ec().token(r#"{"alg":"ES256","kid":"k1"}"#, &issuer.claims(&own).to_string()), "signature"),
    ] {
        world.refuses(&token, cause, "").await;
    }
}

#[tokio::test]
async fn the_token_endpoint_takes_the_token_of_a_workload_for_what_is_left_of_its_time() {
    let issuer = TokenIssuer::start().await;
    let world = World::new(&format!("{}{CLIENT}", issuer.entry("corp", ""))).await.ready().await;
    let token = issuer.token(&json!({ "exp": now() + 300 }));
    let reply = world.server.token(&form("any", &token)).await;
    assert_eq!((reply.status, reply.json()["access_token"].as_str()), (200, Some(token.as_str())), "{}", reply.body);
    assert!((200..=300).contains(&reply.json()["expires_in"].as_u64().unwrap()), "{}", reply.body);

    // Accepted for a minute more, as its issuer's clock may be behind.
    let late = issuer.token(&json!({ "exp": now() - 1 }));
    let reply = world.server.token(&form("any", &late)).await.json();
    assert_eq!((&reply["expires_in"], &reply["ext_expires_in"]), (&json!(1), &json!(1)), "{reply}");

    let own = json!({ "sub": "repo:shop:ref:main", "aud": "api://AzureADTokenExchange" });
    let federated = issuer.token(&own);
    assert_eq!(world.server.token(&form("deploy", &federated)).await.status, 200);
    // In the header (RFC 6749 section 2.3.1), with or without the id in the form.
    let bare = "grant_type=client_credentials";
    for (id, form, status) in [
        ("deploy", bare.to_owned(), 200),
        ("deploy", format!("{bare}&client_id=deploy"), 200),
        ("deploy", format!("{bare}&client_id=another"), 401),
        ("another", format!("{bare}&client_id=deploy"), 401),
        ("another", bare.to_owned(), 401),
    ] {
        let reply = world.server.token_as(id, &federated, &form).await;
        assert_eq!(reply.status, status, "{id} {form}: {}", reply.body);
    }
    for (client_id, token, words) in [
        ("another", federated, "The client_assertion is of another client"),
        ("deploy", issuer.token(&json!({ "exp": now() - 61 })), "The token has expired."),
        ("deploy", issuer.token(&json!({ "aud": "https://vault.azure.net" })), "AKV10022: Invalid audience."),
    ] {
        let reply = world.server.token(&form(client_id, &token)).await;
        let told = reply.json();
        assert_eq!((reply.status, told["error"].as_str()), (401, Some("invalid_client")), "{}", reply.body);
        assert!(told["error_description"].as_str().unwrap().contains(words), "{}", reply.body);
        assert!(!reply.body.contains(&token));
    }
    let down = TokenIssuer::start().await;
    down.set_mood(Mood::Down);
    let world = World::new(&down.entry("corp", "")).await;
    let (reply, after) = world.server.token_answer(&form("any", &down.token(&json!({})))).await;
    let told = reply.json();
    assert_eq!(
        (reply.status, told["error"].as_str(), after.as_deref()),
        (503, Some("temporarily_unavailable"), Some("10")),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn a_managed_identity_may_be_the_token_of_an_issuer() {
    let issuer = TokenIssuer::start().await;
    let world = World::new(&issuer.entry("corp", "")).await.ready().await;
    let ends = now() + 300;
    let token = issuer.token(&json!({ "exp": ends }));
    let (reply, after) = world.server.managed_identity(&token).await;
    let told = reply.json();
    assert_eq!(
        (reply.status, told["access_token"].as_str(), after),
        (200, Some(token.as_str()), None),
        "{}",
        reply.body
    );
    assert_eq!(told["expires_on"].as_str(), Some(ends.to_string().as_str()), "no longer than the token");

    let expired = issuer.token(&json!({ "exp": now() - 61 }));
    let (reply, after) = world.server.managed_identity(&expired).await;
    assert_eq!((reply.status, after), (401, None), "{}", reply.body);
    assert!(reply.body.contains("The token has expired.") && !reply.body.contains(&expired), "{}", reply.body);

    issuer.set_mood(Mood::Down);
    let world = World::new(&issuer.entry("corp", "")).await;
    let (reply, after) = world.server.managed_identity(&token).await;
    assert_eq!((reply.status, after.as_deref()), (503, Some("10")), "{}", reply.body);
}
