//! Outgoing traffic to servers that misbehave: every wait and size is limited, and no error contains a secret.

#[expect(dead_code, reason = "false CAs also read what they are asked")]
#[path = "../support/https.rs"]
mod https;

use certmint::outbound::{
    Client, ClientOptions, Clients, ErrorKind, Exchange, Identity, Proxy, Quota, Request, Response, Timeouts, traced,
};
use certmint::token_bucket::Rate;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

/// A server that writes these bytes for each connection after it read a head, and then keeps the
/// connection open; it notes the heads.
async fn plain(answer: impl Into<Vec<u8>>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let (listener, answer) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), answer.into());
    let (port, heads) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
    let noted = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, noted) = (answer.clone(), Arc::clone(&noted));
            tokio::spawn(async move {
                let head = head(&mut stream).await;
                noted.lock().unwrap().push(head);
                let _ = stream.write_all(&answer).await;
                let _ = stream.read_u8().await;
            });
        }
    });
    (port, heads)
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

fn options(connect: Duration, head: Duration, body: Duration) -> ClientOptions {
    let timeouts = Timeouts { connect, head, body };
    ClientOptions { timeouts, native_roots: false, plain_http: true, ..ClientOptions::default() }
}

async fn get(options: ClientOptions, url: String) -> Result<Response, certmint::outbound::Error> {
    Client::new(options)?.exchange(Request::get(url)).await
}

#[tokio::test]
async fn a_server_that_sends_no_head_is_given_up() {
    let (port, _) = plain("").await;
    let error = get(options(LONG, SHORT, LONG), format!("http://127.0.0.1:{port}/?key=geheim")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.is_retryable() && !error.to_string().contains("geheim"), "{error}");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_given_up() {
    let (port, _) = plain("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let error = get(options(LONG, LONG, SHORT), format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.to_string().contains("body"), "{error}");
}

#[tokio::test]
async fn a_server_that_shakes_no_hands_is_given_up() {
    let (port, _) = plain("").await;
    let error = get(options(SHORT, LONG, LONG), format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.to_string().contains("No connection"), "{error}");
}

#[tokio::test]
async fn a_body_above_the_bound_is_refused_whether_announced_or_not() {
    let body = "x".repeat(2000);
    for answer in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n{body}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n{body}\r\n0\r\n\r\n"),
    ] {
        let (port, _) = plain(answer).await;
        let small = ClientOptions { max_body: 1999, ..options(LONG, LONG, LONG) };
        let error = get(small, format!("http://127.0.0.1:{port}/")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge);
        let enough = ClientOptions { max_body: 2000, ..options(LONG, LONG, LONG) };
        assert_eq!(get(enough, format!("http://127.0.0.1:{port}/")).await.unwrap().body, body);
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_worth_another_try() {
    // Held for as long as the test looks, so that nobody else listens there.
    let held = TcpSocket::new_v4().unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = held.local_addr().unwrap().port();
    let error = get(options(LONG, LONG, LONG), format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Connect);
    assert!(error.is_retryable());
}

#[tokio::test]
async fn http_is_refused_unless_it_is_allowed() {
    let (port, heads) = plain("HTTP/1.1 204 No Content\r\n\r\n").await;
    let strict = ClientOptions { plain_http: false, ..options(LONG, LONG, LONG) };
    let error = get(strict, format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Request);
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn redirects_are_followed_only_as_often_as_asked() {
    let (target, _) = plain("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let moved = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{target}/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    let (port, _) = plain(moved).await;
    let client = Client::new(options(LONG, LONG, LONG)).unwrap();
    let mut request = Request::get(format!("http://127.0.0.1:{port}/"));
    assert_eq!(client.exchange(request.clone()).await.unwrap().status, 302);
    request.redirects = 1;
    assert_eq!(client.exchange(request).await.unwrap().body, "ok");
}

/// A proxy that opens tunnels for those who have its password.
async fn proxy(password: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, heads) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
    let noted = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let head = head(&mut stream).await;
                noted.lock().unwrap().push(head.clone());
                if !head.contains(password) {
                    let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
                    return;
                }
                let target = head.split(' ').nth(1).unwrap().replace("ca.example", "127.0.0.1");
                let mut onward = TcpStream::connect(target).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    (port, heads)
}

/// A TLS server for `ca.example` that answers `ok`, and its certificate.
async fn secure() -> (u16, String) {
    secure_with(IsCa::NoCa).await
}

async fn secure_with(is_ca: IsCa) -> (u16, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["ca.example".to_owned()]).unwrap();
    params.is_ca = is_ca;
    let certificate = params.self_signed(&key).unwrap();
    let der = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], der)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    });
    (port, certificate.pem())
}

#[tokio::test]
async fn a_proxy_is_used_with_its_password_and_not_for_its_exceptions() {
    let ((server, pem), (port, heads)) = (secure().await, proxy("dXNlcjpwYXNz").await);
    let with = |password: &str, except: &[String]| ClientOptions {
        proxy: Some(Arc::new(Proxy::new(&format!("http://user:{password}@127.0.0.1:{port}"), except).unwrap())),
        extra_roots: Some(pem.clone()),
        ..options(LONG, LONG, LONG)
    };
    let url = format!("https://ca.example:{server}/");
    assert_eq!(get(with("pass", &[]), url.clone()).await.unwrap().body, "ok");
    let connects = heads.lock().unwrap().clone();
    assert!(connects[0].starts_with(&format!("CONNECT ca.example:{server} HTTP/1.1\r\n")), "{connects:?}");
    assert_eq!(connects.len(), 1);

    let error = get(with("geheim", &[]), url.clone()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Settings);
    assert!(!error.to_string().contains("geheim") && !error.is_retryable(), "{error}");

    // Reached directly, the name is not found.
    let asked = heads.lock().unwrap().len();
    assert!(get(with("pass", &["example".to_owned()]), url).await.is_err());
    assert_eq!(heads.lock().unwrap().len(), asked);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_needs_a_person() {
    let ((server, pem), (port, _)) = (secure().await, proxy("CONNECT").await);
    let through = |roots: Option<String>| ClientOptions {
        proxy: Some(Arc::new(Proxy::new(&format!("http://127.0.0.1:{port}"), &[]).unwrap())),
        extra_roots: roots,
        ..options(LONG, LONG, LONG)
    };
    let url = format!("https://ca.example:{server}/");
    let error = get(through(None), url.clone()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls);
    assert!(!error.is_retryable());
    // Another name is not what the certificate says.
    assert_eq!(get(through(Some(pem)), format!("https://127.0.0.1:{server}/")).await.unwrap_err().kind, ErrorKind::Tls);
}

#[tokio::test]
async fn a_certificate_of_a_ca_that_a_server_shows_as_its_own_is_refused_in_words() {
    let (server, pem) = secure_with(IsCa::Ca(BasicConstraints::Unconstrained)).await;
    let (port, _) = proxy("CONNECT").await;
    let options = ClientOptions {
        proxy: Some(Arc::new(Proxy::new(&format!("http://127.0.0.1:{port}"), &[]).unwrap())),
        extra_roots: Some(pem),
        ..options(LONG, LONG, LONG)
    };
    let error = get(options, format!("https://ca.example:{server}/")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls);
    let text = error.to_string();
    assert!(text.contains("the server shows a CA certificate") && text.contains("CA:FALSE"), "{text}");
    assert!(!text.contains("OtherError"), "{text}");
}

/// A client certificate, and the CA that signed it (PEM).
fn identity() -> (Identity, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["client.example".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    (Identity { chain: leaf.pem(), key: key.serialize_pem().into() }, ca.pem())
}

#[tokio::test]
async fn a_client_shows_the_certificate_that_it_was_made_with_and_no_other() {
    let (identity, ca) = identity();
    let shown: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let noted = Arc::clone(&shown);
    let server = https::Https::start(Some(&ca), move |asked| {
        noted.lock().unwrap().extend(asked.client);
        http::Response::new(http_body_util::Full::new(bytes::Bytes::new()))
    })
    .await;
    let (options, roots) = (options(LONG, LONG, LONG), Some(server.ca_pem.as_str()));
    let client = options.client_with(roots, &identity).unwrap();
    assert_eq!(client.exchange(Request::get(server.url.as_str())).await.unwrap().status, 200);
    let pem = rustls::pki_types::CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap();
    assert_eq!(shown.lock().unwrap().as_slice(), [pem.to_vec()]);
    for other in [options.client(roots).unwrap(), options.client_with(roots, &self::identity().0).unwrap()] {
        let error = other.exchange(Request::get(server.url.as_str())).await.unwrap_err();
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
    }
    assert_eq!(shown.lock().unwrap().len(), 1, "nobody else was let in");
}

#[tokio::test]
async fn a_client_certificate_that_cannot_be_used_is_refused_without_its_key() {
    let (good, _) = identity();
    let (other, _) = identity();
    assert_eq!(format!("{good:?}"), "a client certificate");
    for (chain, key, reason) in [
        ("", good.key.as_str(), "no PEM block"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", good.key.as_str(), "damaged"),
        (good.chain.as_str(), "geheim", "no private key"),
        (good.chain.as_str(), other.key.as_str(), "not that of the certificate"),
    ] {
        let wrong = Identity { chain: chain.to_owned(), key: key.to_owned().into() };
        let Err(error) = options(LONG, LONG, LONG).client_with(None, &wrong) else { panic!("{reason}") };
        assert_eq!(error.kind, ErrorKind::Settings);
        assert!(error.to_string().contains(reason) && !error.to_string().contains("geheim"), "{error}");
    }
}

#[tokio::test]
async fn requests_of_a_credential_wait_for_their_turn_over_all_clients() {
    let (port, heads) = plain("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
    let options = options(LONG, LONG, LONG);
    let clients = [options.client(None).unwrap(), options.client(None).unwrap()];
    let request = |credential: &str, interval| {
        let rate = Rate { burst: 1, interval };
        Request::get(format!("http://127.0.0.1:{port}/")).quota(Quota { credential: credential.into(), rate })
    };
    let begun = std::time::Instant::now();
    for number in 0..3 {
        clients[number % 2].exchange(request("a", Duration::from_millis(200))).await.unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    for credential in ["b", "c"] {
        clients[0].exchange(request(credential, Duration::from_secs(3600))).await.unwrap();
    }
    let error = clients[1].exchange(request("b", Duration::from_secs(3600))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limited);
    assert!(error.is_retryable() && error.was_not_sent() && error.wait().unwrap() > Duration::from_secs(3500));
    assert_eq!(heads.lock().unwrap().len(), 5, "what is held back is not sent");
}

#[tokio::test]
async fn a_call_carries_the_trace_that_it_is_made_in() {
    let (port, heads) = plain("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
    let client = options(LONG, LONG, LONG).client(None).unwrap();
    let get = || client.exchange(Request::get(format!("http://127.0.0.1:{port}/")));
    get().await.unwrap();
    traced([0x5a; 16], get()).await.unwrap();
    let heads = heads.lock().unwrap();
    assert!(!heads[0].contains("traceparent"), "{}", heads[0]);
    assert!(heads[1].contains(&format!("traceparent: 00-{}-", "5a".repeat(16))), "{}", heads[1]);
}
