//! `certmint ca fetch`: what a CA publishes, checked and written to a file, on machines that have no token. The port is
//! plain HTTP: certificates are compared with fingerprints that came by another way, and lists are checked with the
//! certificate of their CA.

use super::list_signature::{lists_of, problem_of};
use crate::cli::failure::{Exit, Failure};
use crate::cli::fingerprint::{self, sha256};
use crate::cli::output::Output;
use crate::cli::replaced_file::replace;
use crate::cli::trust::read_certificates;
use crate::cli::{Result, pem};
use crate::clock::{Clock, SystemClock};
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The whole question and answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// A list of a million entries has 50 MB.
const MAX_ANSWER: usize = 64 << 20;
const LIST: &str = "X509 CRL";

/// Arguments of `certmint ca fetch`.
#[derive(Clone, Debug, clap::Args)]
pub struct FetchArgs {
    /// What a CA publishes, as its certificates or `certmint ca list` name it:
    /// http://HOST/roots/VAULT/ISSUER.pem, http://HOST/ca/ID.cer or http://HOST/crl/ID.crl
    url: Uri,

    /// SHA-256 of a certificate to take, in hex with or without colons; others are left out [repeatable]
    #[arg(long = "fingerprint", value_name = "HEX", value_parser = fingerprint::parse)]
    fingerprints: Vec<String>,

    /// The certificate of the CA, in PEM, that has to have signed the revocation list
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprints")]
    signer: Option<PathBuf>,

    /// Write to a file, which is replaced as a whole; one with a newer list of the CA stays as it is
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(in crate::cli) async fn fetch(output: Output, args: FetchArgs) -> Result<Exit> {
    let FetchArgs { url, fingerprints, signer, out } = args;
    let is_list = Path::new(url.path()).extension().is_some_and(|end| end.eq_ignore_ascii_case("crl"));
    if is_list && signer.is_none() {
        return Err(Failure::usage("a revocation list is checked with --signer FILE, the certificate of its CA"));
    }
    if !is_list && fingerprints.is_empty() {
        let message = "certificates are compared with --fingerprint HEX, the SHA-256 of a certificate that you trust";
        return Err(Failure::new(Exit::Usage, message)
            .advise("`certmint issuer show` and `openssl x509 -noout -fingerprint -sha256` print it; get it by another way than this URL")
            .boxed());
    }
    let bytes = match timeout(PATIENCE, get(&url)).await {
        Ok(answer) => answer?,
        Err(_) => return Err(unreachable(&url, &format!("no answer within {} s", PATIENCE.as_secs()))),
    };
    let text = match &signer {
        Some(signer) => list(&url, &bytes, signer, out.as_deref())?,
        None => certificates(output, &url, &bytes, &fingerprints)?,
    };
    match out {
        Some(file) => {
            replace(&file, text.as_bytes())
                .map_err(|error| Failure::usage(format!("cannot write {}: {error}", file.display())))?;
            output.result(|| json!({ "file": file }), || format!("written to {}", file.display()))?;
        }
        None => output.result(|| json!({ "pem": text }), || text.clone())?,
    }
    Ok(Exit::Done)
}

/// The certificates whose fingerprints are given; all of them have to be there.
fn certificates(output: Output, url: &Uri, bytes: &[u8], fingerprints: &[String]) -> Result<String> {
    let found: Vec<CertificateDer<'static>> = match bytes.first() {
        Some(0x30) => vec![CertificateDer::from(bytes.to_vec())],
        _ => CertificateDer::pem_slice_iter(bytes).collect::<std::result::Result<_, _>>().unwrap_or_default(),
    };
    let named: Vec<(String, &CertificateDer<'static>)> = found.iter().map(|der| (sha256(der), der)).collect();
    if named.is_empty() {
        return Err(Failure::new(Exit::Error, format!("{url} answers no certificate")).boxed());
    }
    if let Some(missing) = fingerprints.iter().find(|wanted| !named.iter().any(|(found, _)| found == *wanted)) {
        let have: Vec<&str> = named.iter().map(|(found, _)| found.as_str()).collect();
        let message = format!("{url} has no certificate with the fingerprint {missing}; it has {}", have.join(", "));
        return Err(Failure::new(Exit::Error, message).advise("nothing was written").boxed());
    }
    for (other, _) in named.iter().filter(|(found, _)| !fingerprints.contains(found)) {
        output.note(&format!("left out a certificate whose fingerprint was not given: {other}"));
    }
    let taken = named.iter().filter(|(found, _)| fingerprints.contains(found));
    Ok(pem::certificates(taken.map(|(_, der)| der.as_ref())))
}

/// The list in PEM, as nginx and curl read it, if the CA signed it, and it is good now and no older than the one of the
/// file.
fn list(url: &Uri, bytes: &[u8], signer: &Path, out: Option<&Path>) -> Result<String> {
    let signers = read_certificates(signer)?;
    let now = SystemClock.now().seconds();
    let before = match out.filter(|out| out.is_file()) {
        Some(out) => {
            let failed = |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", out.display()));
            lists_of(&std::fs::read(out).map_err(failed)?)
        }
        None => Vec::new(),
    };
    match problem_of(bytes, &signers, now, &before) {
        None => Ok(pem::block(LIST, bytes)),
        Some(problem) => {
            let message = format!("the revocation list of {url} is not used: {problem}");
            Err(Failure::new(Exit::Error, message).advise("nothing was written").boxed())
        }
    }
}

async fn get(url: &Uri) -> Result<Bytes> {
    let authority = url.authority().filter(|_| url.scheme_str() == Some("http"));
    let Some(authority) = authority else {
        return Err(Failure::usage(format!(
            "{url} is no address of the form http://HOST[:PORT]/…: CAs publish over plain HTTP"
        )));
    };
    let host = authority.host().trim_matches(['[', ']']);
    let failed = |error: &(dyn std::error::Error + 'static)| unreachable(url, &error.to_string());
    let stream =
        TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    // It ends with the answer.
    let connection = tokio::spawn(connection);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header("host", authority.as_str()).header("connection", "close");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| failed(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
    let status = answer.status();
    if status != StatusCode::OK {
        let exit = if status == StatusCode::NOT_FOUND { Exit::NotFound } else { Exit::Error };
        return Err(Failure::new(exit, format!("{url} answered {status}")).boxed());
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    connection.abort();
    body.map(|body| body.to_bytes()).map_err(|error| unreachable(url, &error.to_string()))
}

fn unreachable(url: &Uri, problem: &str) -> Box<Failure> {
    Failure::new(Exit::Unavailable, format!("cannot fetch {url}: {problem}")).boxed()
}
