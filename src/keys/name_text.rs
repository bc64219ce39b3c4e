//! Subjects of certificates as text, in the words of Windows, which Key Vault shows (contract
//! section 6): the most specific part first, `, ` between parts, quotes where a value needs them.

use const_oid::ObjectIdentifier;
use der::asn1::Any;
use der::{Encode, Tag, Tagged};
use std::collections::BTreeSet;
use std::fmt::Write;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::Name;

/// What Windows calls an attribute; `domain::subject` reads each of them.
const KEYWORDS: [(&str, &str); 15] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "S"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "E"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.12", "T"),
    ("2.5.4.42", "G"),
    ("2.5.4.4", "SN"),
    ("2.5.4.43", "I"),
    ("2.5.4.13", "Description"),
];

/// The name as text; empty for an empty name.
pub(crate) fn text(name: &Name) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join(" + ")).collect();
    // DER has the most specific part last.
    parts.reverse();
    parts.join(", ")
}

fn attribute(attribute: &AttributeTypeAndValue) -> String {
    let AttributeTypeAndValue { oid, value } = attribute;
    let oid = oid.to_string();
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid).map(|(_, keyword)| (*keyword).to_owned());
    let keyword = keyword.unwrap_or_else(|| format!("OID.{oid}"));
    match value_text(value) {
        Some(text) => format!("{keyword}={}", quoted(&text)),
        None => {
            let hex = value.to_der().unwrap_or_default().iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            format!("{keyword}=#{hex}")
        }
    }
}

/// A value of a string type as text.
fn value_text(value: &Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            std::str::from_utf8(bytes).ok().map(str::to_owned)
        }
        // Latin-1 is what was written as Teletex.
        Tag::TeletexString => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// Whether both are the same name to those who verify (RFC 5280 section 7.1): the type of a string, the case of its
/// letters and the number of its spaces do not count.
pub(crate) fn is_same(one: &Name, other: &Name) -> bool {
    comparable(one) == comparable(other)
}

/// The attributes of each part, in any order.
fn comparable(name: &Name) -> Vec<BTreeSet<(ObjectIdentifier, Vec<u8>)>> {
    let value = |value: &Any| match value_text(value) {
        Some(text) => text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase().into_bytes(),
        None => value.to_der().unwrap_or_default(),
    };
    name.iter_rdn().map(|part| part.iter().map(|it| (it.oid, value(&it.value))).collect()).collect()
}

fn quoted(text: &str) -> String {
    let edge = text.starts_with([' ', '#']) || text.ends_with(' ');
    // Windows leaves a backslash alone; for our reader it would begin an escape.
    let text_inside = text.replace('\\', "\\\\");
    if edge || text.is_empty() || text.contains([',', '+', '=', '"', '<', '>', ';', '\n', '\r', '\t']) {
        return format!("\"{}\"", text_inside.replace('"', "\"\""));
    }
    text_inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::subject::DistinguishedName;
    use crate::keys::names::subject_name;

    #[test]
    fn names_are_written_as_windows_does_and_read_back_the_same() {
        for (given, written) in [
            (
                "E=test@contoso.com,CN=Test,OU=Test,O=Contoso,L=Redmond,ST=WA,C=US",
                "E=test@contoso.com, CN=Test, OU=Test, O=Contoso, L=Redmond, S=WA, C=US",
            ),
            (r#"CN="a, b" + serialNumber=7, O=b"#, r#"SERIALNUMBER=7 + CN="a, b", O=b"#),
            (
                r##"O="say ""hi"" \\ ", CN=\#x, UID=u"##,
                r##"O="say ""hi"" \\ ", CN="#x", OID.0.9.2342.19200300.100.1.1=u"##,
            ),
            ("1.2.3.4=#040101, DC=example", "OID.1.2.3.4=#040101, DC=example"),
            ("", ""),
        ] {
            let name = subject_name(&DistinguishedName::parse(given).unwrap()).unwrap();
            let shown = text(&name);
            assert_eq!(shown, written);
            assert_eq!(subject_name(&DistinguishedName::parse(&shown).unwrap()).unwrap(), name, "{shown}");
        }
    }

    #[test]
    fn names_are_the_same_whatever_the_case_and_the_spaces_of_their_text() {
        let name = |text: &str| subject_name(&DistinguishedName::parse(text).unwrap()).unwrap();
        let ca = name("CN=Example Corp Root, O=Example");
        for same in ["CN=EXAMPLE  corp root,O=Example", "CN=#0c114578616d706c6520436f727020526f6f74,O=example"] {
            assert!(is_same(&ca, &name(same)), "{same}");
        }
        for other in ["CN=Example Corp Root", "O=Example,CN=Example Corp Root", "CN=ExampleCorp Root,O=Example", ""] {
            assert!(!is_same(&ca, &name(other)), "{other}");
        }
    }
}
