//! A bare loop over an ACME library: so many certificates by `http-01`, so many at a time, nothing stored. The least
//! that any client of the same CA has to do.
//!
//! `bare-acme DIRECTORY CA_FILE HTTP_PORT COUNT AT_ONCE`

use hyper_util::client::legacy::connect::HttpConnector;
use instant_acme::{Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// A certificate that takes longer has got stuck: all waits for the CA together are half a minute.
const PATIENCE: Duration = Duration::from_secs(120);

type Tokens = Arc<Mutex<HashMap<String, String>>>;
type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, ca_file, port, count, at_once] = arguments.as_slice() else {
        return Err("usage: bare-acme DIRECTORY CA_FILE HTTP_PORT COUNT AT_ONCE".into());
    };
    let (count, at_once): (usize, usize) = (count.parse()?, at_once.parse()?);
    let tokens = Tokens::default();
    serve(port.parse()?, Arc::clone(&tokens)).await?;
    let account = account(directory, ca_file).await?;
    let places = Arc::new(Semaphore::new(at_once));
    let (begun, mut tasks) = (Instant::now(), Vec::new());
    for number in 0..count {
        let place = Arc::clone(&places).acquire_owned().await?;
        let (account, tokens) = (account.clone(), Arc::clone(&tokens));
        tasks.push(tokio::spawn(async move {
            let _place = place;
            let name = format!("bare{number}.example.com");
            match tokio::time::timeout(PATIENCE, patiently(&account, &tokens, &name)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(Failure::from(format!("{name}: {error}"))),
                Err(_) => Err(Failure::from(format!("{name}: nothing came within {PATIENCE:?}"))),
            }
        }));
    }
    for task in tasks {
        task.await??;
    }
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// With connections that do not wait to fill a segment, which the library's own do.
async fn account(directory: &str, ca_file: &str) -> Result<Account, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file)? {
        roots.add(certificate?)?;
    }
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_only();
    let connector = connector.enable_http1().enable_http2().wrap_connector(tcp);
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build(connector);
    let new = NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
    let builder = Account::builder_with_http(Box::new(client));
    let (account, _) = builder.create(&new, directory.to_owned(), None).await?;
    Ok(account)
}

/// A refused nonce ends the library's patience now and then.
async fn patiently(account: &Account, tokens: &Tokens, name: &str) -> Result<(), Failure> {
    for _ in 0..20 {
        match certificate(account, tokens, name).await {
            Err(error) if error.to_string().contains("badNonce") => {}
            answer => return answer,
        }
    }
    Err("20 tries ended with refused nonces".into())
}

async fn certificate(account: &Account, tokens: &Tokens, name: &str) -> Result<(), Failure> {
    let key = rcgen::KeyPair::generate()?;
    let csr = rcgen::CertificateParams::new(vec![name.to_owned()])?.serialize_request(&key)?;
    let identifiers = [Identifier::Dns(name.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let mut challenge = authorization.challenge(ChallengeType::Http01).ok_or("no http-01")?;
        let answer = challenge.key_authorization().as_str().to_owned();
        tokens.lock().unwrap().insert(challenge.token.clone(), answer);
        challenge.set_ready().await?;
    }
    wait(&mut order, |status| status == OrderStatus::Ready).await?;
    order.finalize_csr(csr.der()).await?;
    wait(&mut order, |status| status == OrderStatus::Valid).await?;
    order.certificate().await?.ok_or("no certificate")?;
    Ok(())
}

/// With the waits of the server: 200 ms, 500 ms, 1 s, and so on.
async fn wait(order: &mut instant_acme::Order, ready: impl Fn(OrderStatus) -> bool) -> Result<(), Failure> {
    for wait in [0, 200, 500, 1_000, 2_000, 5_000, 5_000, 15_000] {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let status = order.refresh().await?.status;
        if ready(status) {
            return Ok(());
        }
        if status == OrderStatus::Invalid {
            return Err("the order is invalid".into());
        }
    }
    Err("the order does not go on".into())
}

/// Answers the CA.
async fn serve(port: u16, tokens: Tokens) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let token = head.split(' ').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
                let answer = tokens.lock().unwrap().get(token).cloned().unwrap_or_default();
                let length = answer.len();
                let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}");
                let _ = stream.write_all(text.as_bytes()).await;
            });
        }
    });
    Ok(())
}
