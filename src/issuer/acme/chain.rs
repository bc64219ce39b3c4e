//! The chains of a certificate: the one that the CA gives, and the one that the issuer prefers
//! (RFC 8555 section 7.4.2).

use super::names::issued_by;
use super::problem::Failure;
use rustls::pki_types::{CertificateDer, pem::PemObject};

/// How many other chains are looked at.
pub(super) const ALTERNATES: usize = 8;

/// The certificates of an answer.
pub(super) fn read(body: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(body).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain.iter().map(|certificate| certificate.to_vec()).collect()),
        _ => Err(Failure::Unreadable("The CA's answer is not a chain of certificates in PEM.".to_owned())),
    }
}

/// Whether the chain leads to this issuer: the one that is named by its last certificate, or by
/// another one but the leaf.
pub(super) fn leads_to(chain: &[Vec<u8>], wanted: &str) -> bool {
    chain.iter().any(|certificate| issued_by(certificate, wanted))
}

/// The addresses of other chains in the `Link` headers (RFC 8288).
pub(super) fn alternates(headers: &http::HeaderMap) -> Vec<String> {
    let links = headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    links
        .flat_map(|value| value.split(','))
        .filter_map(|link| {
            let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let alternate = parameters.split(';').any(|parameter| {
                let parameter = parameter.trim().to_ascii_lowercase();
                parameter == "rel=\"alternate\"" || parameter == "rel=alternate"
            });
            alternate.then(|| url.to_owned())
        })
        .take(ALTERNATES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternate_links_are_found_among_others() {
        let mut headers = http::HeaderMap::new();
        headers.append("link", r#"<https://ca/dir>;rel="index", <https://ca/c/1>; rel="alternate""#.parse().unwrap());
        headers.append("link", "<https://ca/c/2>;rel=alternate".parse().unwrap());
        assert_eq!(alternates(&headers), ["https://ca/c/1", "https://ca/c/2"]);
    }
}
