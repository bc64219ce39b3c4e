//! Subjects of certificates as text, in the format of Windows, which Key Vault uses (contract section 6): the most
//! specific part first, `, ` between parts, quotes where a value needs them.

use super::oid::oid_text;
use super::x509_name::{self, Attribute, Name};
use std::fmt::Write;

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
pub(crate) fn text(name: &Name<'_>) -> String {
    // DER has the most specific part last.
    let parts = name.parts.iter().rev();
    parts.map(|part| part.iter().map(attribute).collect::<Vec<_>>().join(" + ")).collect::<Vec<_>>().join(", ")
}

fn attribute(attribute: &Attribute<'_>) -> String {
    let Attribute { oid, value } = attribute;
    let oid = oid_text(oid).unwrap_or_else(|| "0.0".to_owned());
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid).map(|(_, keyword)| (*keyword).to_owned());
    let keyword = keyword.unwrap_or_else(|| format!("OID.{oid}"));
    match x509_name::text(*value) {
        Some(text) => format!("{keyword}={}", quoted(&text)),
        None => {
            let hex = value.whole.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            format!("{keyword}=#{hex}")
        }
    }
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
    use crate::keys::asn1::Element;
    use crate::keys::names::subject_name;
    use der::Encode;

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
            let der = name.to_der().unwrap();
            let shown = text(&Name::read(Element::parse(&der).unwrap()).unwrap());
            assert_eq!(shown, written);
            assert_eq!(subject_name(&DistinguishedName::parse(&shown).unwrap()).unwrap(), name, "{shown}");
        }
    }
}
