//! Names in certificates (RFC 5280 section 4.1.2.4): compared as CAs write them, and read as text.

use super::asn1::{Element, OID, SEQUENCE, SET};

/// A distinguished name, with its exact bytes.
pub(crate) struct Name<'a> {
    pub(crate) whole: &'a [u8],
    /// In the order of DER: the most specific part last.
    pub(crate) parts: Vec<Vec<Attribute<'a>>>,
}

/// A type and a value.
pub(crate) struct Attribute<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) value: Element<'a>,
}

impl<'a> Name<'a> {
    pub(crate) fn read(element: Element<'a>) -> Option<Self> {
        let part = |part: Element<'a>| {
            part.children_of(SET)?
                .into_iter()
                .map(|attribute| match attribute.children_of(SEQUENCE)?[..] {
                    [oid, value] if oid.tag == OID => Some(Attribute { oid: oid.content, value }),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()
        };
        let parts = element.children_of(SEQUENCE)?.into_iter().map(part).collect::<Option<_>>()?;
        Some(Self { whole: element.whole, parts })
    }

    /// The names are equal as they are written, or but for string types, case and spaces (RFC 5280
    /// section 7.1): CAs write their name anew in what they sign.
    pub(crate) fn same_as(&self, other: &Name<'_>) -> bool {
        self.whole == other.whole || (self.parts.len() == other.parts.len() && self.folded() == other.folded())
    }

    /// Whether the name stands below another one in a directory, or is that name (RFC 5280 section 4.2.1.10).
    pub(crate) fn is_below(&self, base: &Name<'_>) -> bool {
        self.folded().starts_with(&base.folded())
    }

    fn folded(&self) -> Vec<Vec<(&[u8], Value<'_>)>> {
        self.parts
            .iter()
            .map(|part| {
                let mut part: Vec<_> =
                    part.iter().map(|attribute| (attribute.oid, Value::of(attribute.value))).collect();
                part.sort();
                part
            })
            .collect()
    }
}

/// Whether two names in DER are the same to those who verify (RFC 5280 section 7.1).
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    let names = [one, other].map(|der| Element::parse(der).and_then(Name::read));
    matches!(&names, [Some(one), Some(other)] if one.same_as(other))
}

/// A value for comparison.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
enum Value<'a> {
    Text(String),
    Other(&'a [u8]),
}

impl<'a> Value<'a> {
    fn of(value: Element<'a>) -> Self {
        match text(value) {
            Some(text) => Self::Text(text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")),
            None => Self::Other(value.whole),
        }
    }
}

/// The characters of a string of any of ASN.1's types; none for other values and broken ones. Where
/// a type of 7 bits holds more, it is UTF-8 or else Latin-1, as the programs meant that wrote it.
pub(crate) fn text(value: Element<'_>) -> Option<String> {
    let bytes = value.content;
    match value.tag {
        // UTF8String
        0x0c => std::str::from_utf8(bytes).ok().map(str::to_owned),
        // NumericString, PrintableString, TeletexString, IA5String, VisibleString
        0x12 | 0x13 | 0x16 | 0x1a => Some(std::str::from_utf8(bytes).map_or_else(|_| latin_1(bytes), str::to_owned)),
        0x14 => Some(latin_1(bytes)),
        // UniversalString
        0x1c => {
            let characters = bytes.chunks(4).map(|bytes| bytes.try_into().ok().map(u32::from_be_bytes));
            characters.map(|code| char::from_u32(code?)).collect()
        }
        // BMPString
        0x1e if bytes.len().is_multiple_of(2) => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// Each byte is the character of its number.
pub(crate) fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::subject::DistinguishedName;
    use crate::keys::names::subject_name;
    use der::Encode;

    fn name(tag: u8, text: &[u8]) -> Vec<u8> {
        let length = |content: &[u8]| u8::try_from(content.len()).unwrap();
        let wrap = |tag: u8, content: &[u8]| [&[tag, length(content)], content].concat();
        let attribute = wrap(0x30, &[&[6, 3, 0x55, 4, 3][..], &wrap(tag, text)].concat());
        wrap(0x30, &wrap(0x31, &attribute))
    }

    #[test]
    fn names_are_equal_whatever_the_type_of_their_strings() {
        let same = [
            name(0x13, b"Some CA"),
            name(0x0c, b"some  ca"),
            name(0x14, b"SOME CA "),
            name(0x1e, b"\0S\0o\0m\0e\0 \0C\0A"),
            name(0x1c, b"\0\0\0S\0\0\0o\0\0\0m\0\0\0e\0\0\0 \0\0\0C\0\0\0A"),
        ];
        let read = |der: &[u8]| Name::read(Element::parse(der).unwrap()).is_some();
        for one in &same {
            assert!(read(one));
            for other in &same {
                let [one, other] = [one, other].map(|der| Name::read(Element::parse(der).unwrap()).unwrap());
                assert!(one.same_as(&other));
            }
        }
        let different = name(0x13, b"Other CA");
        let [one, other] = [&same[0], &different].map(|der| Name::read(Element::parse(der).unwrap()).unwrap());
        assert!(!one.same_as(&other));
    }

    #[test]
    fn latin_1_in_a_string_of_ascii_is_read() {
        let der = name(0x16, b"Z\xfcrich");
        let name = Name::read(Element::parse(&der).unwrap()).unwrap();
        assert_eq!(text(name.parts[0][0].value).as_deref(), Some("Z\u{fc}rich"));
    }

    #[test]
    fn names_are_the_same_whatever_the_case_and_the_spaces_of_their_text() {
        let name = |text: &str| subject_name(&DistinguishedName::parse(text).unwrap()).unwrap().to_der().unwrap();
        let ca = name("CN=Example Corp Root, O=Example");
        for same in ["CN=EXAMPLE  corp root,O=Example", "CN=#0c114578616d706c6520436f727020526f6f74,O=example"] {
            assert!(is_same(&ca, &name(same)), "{same}");
        }
        for other in ["CN=Example Corp Root", "O=Example,CN=Example Corp Root", "CN=ExampleCorp Root,O=Example", ""] {
            assert!(!is_same(&ca, &name(other)), "{other}");
        }
    }
}
