//! SPIFFE ids: `spiffe://TRUST-DOMAIN/PATH` (the SPIFFE ID standard, section 2).

/// Longest trust domain.
const MAX_DOMAIN: usize = 255;

/// Whether the text may name a trust domain: lower-case letters, digits, dots, dashes and underscores.
pub fn is_trust_domain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    (1..=MAX_DOMAIN).contains(&text.len()) && text.bytes().all(plain)
}

/// The trust domain of a SPIFFE id that names a workload; `None` where the text is none. There is one way to write each
/// id: no port, query, fragment or encoded character, no empty and no relative part of the path.
pub fn trust_domain(id: &str) -> Option<&str> {
    let (domain, path) = id.strip_prefix("spiffe://")?.split_once('/')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let part = |part: &str| !["", ".", ".."].contains(&part) && part.bytes().all(plain);
    (is_trust_domain(domain) && path.split('/').all(part)).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_a_domain_and_a_path_and_one_way_to_be_written() {
        assert_eq!(trust_domain("spiffe://corp.example/ns/web/sa/Shop_1"), Some("corp.example"));
        for bad in [
            "",
            "spiffe://corp.example",
            "spiffe://corp.example/",
            "spiffe:///web",
            "SPIFFE://corp.example/web",
            "spiffe://Corp.example/web",
            "spiffe://corp.example:8443/web",
            "spiffe://user@corp.example/web",
            "spiffe://corp.example//web",
            "spiffe://corp.example/web/",
            "spiffe://corp.example/../web",
            "spiffe://corp.example/./web",
            "spiffe://corp.example/w%65b",
            "spiffe://corp.example/web?x",
            "spiffe://corp.example/web#x",
            "spiffe://corp.example/a b",
            "https://corp.example/web",
        ] {
            assert_eq!(trust_domain(bad), None, "{bad}");
        }
    }
}
