//! `create --csr`: whether the server took the request, and the chain that it brought.

use super::connection::{Certificates, Repeat, Session};
use super::failure::{Exit, Failure};
use super::{Result, pem};
use crate::proto::v1::{GetCertificateRequest, PendingOperation};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Whether `csr` (DER), which the server answers, is the request of the file: in DER, PEM or base64.
pub(super) fn is(file: &[u8], csr: &[u8]) -> bool {
    if csr.is_empty() {
        return false;
    }
    if file.starts_with(csr) {
        return true;
    }
    let compact: Vec<u8> = file.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let text = STANDARD.encode(csr);
    compact.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The refusal of an operation for another key.
pub(super) fn ignored(name: &str) -> Box<Failure> {
    Failure::new(Exit::Error, "the server did not take the signing request and made a key of its own: it is too old")
        .advise(format!("delete what it began: certmint pending delete {name}"))
        .boxed()
}

/// The issued certificate and its chain as PEM.
pub(super) async fn chain(session: &Session, operation: &PendingOperation) -> Result<String> {
    let request = GetCertificateRequest {
        vault_name: session.vault(),
        certificate_name: operation.certificate_name.clone(),
        certificate_version: operation.certificate_version.clone(),
    };
    let rpc = session.call(Repeat::Safe, request, Certificates::get_certificate);
    let certificate = rpc.await?.certificate.ok_or_else(|| Failure::incomplete_answer("certificate"))?;
    Ok(pem::certificates(std::iter::once(&certificate.cer).chain(&certificate.chain).map(AsRef::as_ref)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_of_a_file_is_known_again_in_every_form() {
        let csr: Vec<u8> = (0..=255).collect();
        let text = pem::block(pem::REQUEST, &csr);
        let crlf = text.replace('\n', "\r\n");
        let padded = [&csr[..], b"\n"].concat();
        for file in [&csr[..], &padded, text.as_bytes(), crlf.as_bytes(), STANDARD.encode(&csr).as_bytes()] {
            assert!(is(file, &csr));
            assert!(!is(file, &csr[1..]) && !is(file, b""));
        }
    }
}
