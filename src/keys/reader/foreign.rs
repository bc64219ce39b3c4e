//! Detects unsupported file formats, and tells how to convert them.

use super::super::pem::find;

/// What a value is that is neither DER, PEM nor base64, with the cure; none where it is not known.
pub(crate) fn name(value: &[u8]) -> Option<&'static str> {
    by_mark(value).or_else(|| by_text(value))
}

/// What a PEM block is, by its label.
pub(crate) fn label(label: &str) -> Option<&'static str> {
    if label == "OPENSSH PRIVATE KEY" {
        return Some("The key is in OpenSSH format. Convert it to PKCS#8: ssh-keygen -p -m PKCS8 -f FILE (on a copy).");
    }
    if label.starts_with("PGP ") {
        return Some("This is OpenPGP, which is not X.509. Send a certificate with its key as PKCS#12 or PEM.");
    }
    label.starts_with("SSH2 ").then_some(SSH)
}

/// What is said of a block in the old encryption of PEM.
pub(crate) fn legacy_pem(label: &str) -> String {
    if label.contains("PRIVATE KEY") {
        return "The key is encrypted in OpenSSL's legacy format (DEK-Info). Convert it to PKCS#8: openssl pkcs8 -topk8 \
                -in FILE."
            .to_owned();
    }
    format!("The PEM block {label} in it is encrypted (DEK-Info): decrypt it first.")
}

pub(crate) const BCFKS: &str = "This is a key store of Bouncy Castle (BCFKS). Convert it to PKCS#12: keytool -importkeystore -srcstoretype BCFKS -srckeystore FILE -destkeystore FILE.p12 -deststoretype PKCS12, with the provider of Bouncy Castle (-providerpath, -provider).";
/// BKS and UBER: an integer for the version, and the length of a salt of 20 bytes.
const BOUNCY_CASTLE: &str = "This is a key store of Bouncy Castle (BKS or UBER). Convert it to PKCS#12: keytool -importkeystore -srcstoretype BKS -srckeystore FILE -destkeystore FILE.p12 -deststoretype PKCS12, with the provider of Bouncy Castle (-providerpath, -provider).";

const SSH: &str = "This is an SSH key, which is not X.509. Send a certificate with its key as PKCS#12 or PEM.";
const UTF_32: &str = "The text is in UTF-32. Save it as UTF-8 or ASCII.";
const UTF_16: &str = "The text is in UTF-16, as PowerShell and Windows Notepad write it. Save it as UTF-8 or ASCII.";

fn by_mark(value: &[u8]) -> Option<&'static str> {
    const MARKS: [(&[u8], &str); 16] = [
        (b"\0\0\0\x01\0\0\0\x14", BOUNCY_CASTLE),
        (b"\0\0\0\x02\0\0\0\x14", BOUNCY_CASTLE),
        (b"\xff\xfe\0\0", UTF_32),
        (b"\0\0\xfe\xff", UTF_32),
        (b"\xff\xfe", UTF_16),
        (b"\xfe\xff", UTF_16),
        (
            b"\xfe\xed\xfe\xed",
            "This is a Java key store (JKS). Convert it to PKCS#12: keytool -importkeystore -srckeystore FILE \
             -destkeystore FILE.p12 -deststoretype PKCS12.",
        ),
        (
            b"\xce\xce\xce\xce",
            "This is a Java key store (JCEKS). Convert it to PKCS#12: keytool -importkeystore -srcstoretype JCEKS \
             -srckeystore FILE -destkeystore FILE.p12 -deststoretype PKCS12.",
        ),
        (
            b"\x1e\xf1\xb5\xb0",
            "This is a Microsoft private key (PVK). Convert it to PEM: openssl rsa -inform PVK -in FILE.",
        ),
        (b"PK\x03\x04", "This is a ZIP archive. Unpack it and send the file inside."),
        (b"\x1f\x8b", "This is compressed with gzip. Unpack it and send the file inside."),
        (
            b"SQLite format 3",
            "This is a database, possibly of NSS. Export the certificate as PKCS#12: pk12util -o FILE.p12 -n NAME -d \
             FOLDER.",
        ),
        (b"PuTTY-User-Key-File", "This is a PuTTY key. Send a certificate with its key as PKCS#12 or PEM."),
        (b"---- BEGIN SSH2", SSH),
        (b"ssh-", SSH),
        (b"ecdsa-sha2-", SSH),
    ];
    let text = value.trim_ascii_start();
    MARKS.iter().find(|(mark, _)| value.starts_with(mark) || text.starts_with(mark)).map(|(_, what)| *what)
}

fn by_text(value: &[u8]) -> Option<&'static str> {
    let head = &value[..value.len().min(512)];
    // Both before UTF-16, whose marks they contain.
    if [&b"-\0\0\0-\0\0\0"[..], b"\0\0\0-\0\0\0-"].into_iter().any(|mark| find(head, mark).is_some()) {
        return Some(UTF_32);
    }
    if [&b"-\0-\0-\0"[..], b"\0-\0-\0-"].into_iter().any(|mark| find(head, mark).is_some()) {
        return Some(UTF_16);
    }
    // Base64 in UTF-16 without a mark.
    if head.len() >= 16 && (0..2).any(|odd| head.iter().skip(odd).step_by(2).all(|byte| *byte == 0)) {
        let other = |byte: &u8| *byte != 0;
        if head.iter().filter(|byte| other(byte)).count() * 2 >= head.len() - 1 {
            return Some(UTF_16);
        }
    }
    let text = head.trim_ascii_start().to_ascii_lowercase();
    let begins = |mark: &[u8]| text.starts_with(mark);
    if begins(b"<!doctype html") || begins(b"<html") {
        return Some("This is a web page (HTML): the download failed or needs a login. Send the file itself.");
    }
    begins(b"<").then_some("This is XML or HTML. Send the certificate that it holds as PEM, DER or base64.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_utf_16_is_known_with_and_without_a_mark() {
        let wide = |text: &str, swap: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for swap in [false, true] {
            for text in ["\u{feff}x", "Bag\n-----BEGIN CERTIFICATE-----", "MIIKRAIBAzCCCgQGCSqGSIb3DQEHAaCC"] {
                assert_eq!(name(&wide(text, swap)), Some(UTF_16), "{text}");
            }
        }
        for other in [&b"MIIKRAIBAzCCCgQGCSqGSIb3DQEHAaCC"[..], &[0; 64], b"hello, world", b""] {
            assert_eq!(name(other), None);
        }
    }
}
