//! The attributes of X.500 names: short names, maximum lengths and allowed characters.

/// An attribute that names of certificates commonly hold.
#[derive(Debug, Eq, PartialEq)]
pub struct AttributeType {
    /// In dotted form.
    pub oid: &'static str,
    /// Upper bound in characters (RFC 5280 appendix A.1, X.520, the EV guidelines section 9.2.4).
    pub max: usize,
    pub form: Form,
    /// What it is called in text, in any case; the first is what we write.
    pub keywords: &'static [&'static str],
}

/// The string type of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// PrintableString where the characters allow it, else UTF8String.
    Directory,
    /// PrintableString alone.
    Printable,
    /// PrintableString of exactly two letters (ISO 3166).
    Country,
    /// IA5String, which is ASCII.
    Ascii,
    /// IA5String that is a mailbox.
    Email,
}

const fn row(oid: &'static str, max: usize, form: Form, keywords: &'static [&'static str]) -> AttributeType {
    AttributeType { oid, max, form, keywords }
}

/// RFC 4514 section 3 and RFC 4519, and what Windows and OpenSSL call the others.
const KNOWN: [AttributeType; 27] = [
    row("2.5.4.3", 64, Form::Directory, &["CN", "commonName"]),
    row("2.5.4.6", 2, Form::Country, &["C", "countryName", "country"]),
    row("2.5.4.7", 128, Form::Directory, &["L", "localityName", "locality"]),
    row("2.5.4.8", 128, Form::Directory, &["ST", "S", "stateOrProvinceName", "state"]),
    row("2.5.4.10", 64, Form::Directory, &["O", "organizationName", "organization"]),
    row("2.5.4.11", 64, Form::Directory, &["OU", "organizationalUnitName", "organizationalUnit"]),
    row("2.5.4.9", 128, Form::Directory, &["STREET", "streetAddress"]),
    row("0.9.2342.19200300.100.1.25", 255, Form::Ascii, &["DC", "domainComponent"]),
    row("0.9.2342.19200300.100.1.1", 256, Form::Directory, &["UID", "userId"]),
    row("1.2.840.113549.1.9.1", 255, Form::Email, &["emailAddress", "E", "email"]),
    row("2.5.4.5", 64, Form::Printable, &["serialNumber"]),
    row("2.5.4.12", 64, Form::Directory, &["title", "T"]),
    row("2.5.4.42", 32_768, Form::Directory, &["givenName", "GN", "G"]),
    row("2.5.4.4", 32_768, Form::Directory, &["SN", "surname"]),
    row("2.5.4.43", 32_768, Form::Directory, &["initials", "I"]),
    row("2.5.4.41", 32_768, Form::Directory, &["name"]),
    row("2.5.4.44", 32_768, Form::Directory, &["generationQualifier"]),
    row("2.5.4.46", 64, Form::Printable, &["dnQualifier"]),
    row("2.5.4.65", 128, Form::Directory, &["pseudonym"]),
    row("2.5.4.13", 1024, Form::Directory, &["description"]),
    row("2.5.4.15", 128, Form::Directory, &["businessCategory"]),
    row("2.5.4.17", 40, Form::Directory, &["postalCode"]),
    row("2.5.4.20", 32, Form::Printable, &["telephoneNumber"]),
    row("2.5.4.97", 256, Form::Directory, &["organizationIdentifier"]),
    row("1.3.6.1.4.1.311.60.2.1.1", 128, Form::Directory, &["jurisdictionL", "jurisdictionLocalityName"]),
    row("1.3.6.1.4.1.311.60.2.1.2", 128, Form::Directory, &["jurisdictionST", "jurisdictionStateOrProvinceName"]),
    row("1.3.6.1.4.1.311.60.2.1.3", 2, Form::Country, &["jurisdictionC", "jurisdictionCountryName"]),
];

impl AttributeType {
    /// By its object identifier in dotted form.
    pub fn of(oid: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.oid == oid)
    }

    /// The object identifier of what is written before the `=`: a keyword, `1.2.3` or `OID.1.2.3`.
    pub fn oid_of(text: &str) -> Option<String> {
        let known = KNOWN.iter().find(|known| known.keywords.iter().any(|word| word.eq_ignore_ascii_case(text)));
        if let Some(known) = known {
            return Some(known.oid.to_owned());
        }
        let dotted = match text.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("OID.") => &text[4..],
            _ => text,
        };
        is_oid(dotted).then(|| dotted.to_owned())
    }
}

/// The characters of PrintableString (X.680 section 41.4).
pub fn is_printable(c: char) -> bool {
    c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c)
}

/// Longest object identifier as text; in a certificate it is shorter.
const MAX_OID_TEXT: usize = 1000;

/// Dotted form with the first two arcs in range (X.660): three to 128 arcs (as RFC 2578 section 3.5 bounds them) of up
/// to 128 bits, which UUIDs under 2.25 have (X.667).
pub(crate) fn is_oid(text: &str) -> bool {
    let plain = |arc: &str| arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'));
    let arcs: Option<Vec<u128>> =
        text.split('.').take(129).map(|arc| arc.parse().ok().filter(|_| plain(arc))).collect();
    text.len() <= MAX_OID_TEXT
        && arcs.is_some_and(|arcs| (3..=128).contains(&arcs.len()) && arcs[0] <= 2 && (arcs[0] == 2 || arcs[1] < 40))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_stands_for_one_attribute() {
        let words: Vec<String> =
            KNOWN.iter().flat_map(|known| known.keywords).map(|word| word.to_ascii_lowercase()).collect();
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
        assert_eq!(KNOWN.iter().map(|known| known.oid).collect::<HashSet<_>>().len(), KNOWN.len());
    }

    #[test]
    fn every_row_has_an_object_identifier() {
        for known in &KNOWN {
            assert!(is_oid(known.oid), "{}", known.oid);
        }
    }

    #[test]
    fn dotted_forms_are_taken() {
        assert_eq!(AttributeType::oid_of("oid.2.5.4.3").as_deref(), Some("2.5.4.3"));
        assert_eq!(AttributeType::oid_of("1.2.3").as_deref(), Some("1.2.3"));
        for bad in ["", "OID.", "OID.CN", "1.2", "3.1.1", "1.40.1", "1.02.3", "ÄÖ.1.2", "X"] {
            assert_eq!(AttributeType::oid_of(bad), None, "{bad}");
        }
    }
}
