//! DER as PEM text (RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A certificate.
pub(super) const CERTIFICATE: &str = "CERTIFICATE";
/// A PKCS#10 request.
pub(super) const REQUEST: &str = "CERTIFICATE REQUEST";

/// A SubjectPublicKeyInfo.
pub(super) const PUBLIC_KEY: &str = "PUBLIC KEY";

/// One block with lines of 64 characters, ended by a line feed.
pub(super) fn block(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// Several certificates, one block after the other.
pub(crate) fn certificates<'a>(ders: impl IntoIterator<Item = &'a [u8]>) -> String {
    ders.into_iter().map(|der| block(CERTIFICATE, der)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    #[test]
    fn another_reader_gets_the_same_bytes_back() {
        let ders: Vec<Vec<u8>> = [1, 47, 48, 49, 96, 1000].map(|length| vec![0xa5_u8; length]).into();
        let text = certificates(ders.iter().map(Vec::as_slice));
        assert!(text.lines().all(|line| line.len() <= 64));
        let read: Vec<Vec<u8>> =
            CertificateDer::pem_slice_iter(text.as_bytes()).map(|it| it.unwrap().to_vec()).collect();
        assert_eq!(read, ders);
    }
}
