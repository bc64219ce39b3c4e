//! Valid names in text form, and the errors for invalid ones.

use super::*;
use proptest::prelude::*;

fn parsed(text: &str) -> Vec<Vec<(String, String)>> {
    let name = DistinguishedName::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let pair = |Attribute { oid, value }: &Attribute| match value {
        AttributeValue::Text(text) => (oid.clone(), text.clone()),
        AttributeValue::Der(der) => (oid.clone(), format!("{der:02x?}")),
    };
    name.parts.iter().map(|part| part.iter().map(pair).collect()).collect()
}

fn simple(text: &str) -> Vec<(String, String)> {
    parsed(text).into_iter().map(|part| <[_; 1]>::try_from(part).unwrap()).map(|[pair]| pair).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(oid, value)| ((*oid).to_owned(), (*value).to_owned())).collect()
}

fn refusal(text: &str) -> String {
    DistinguishedName::parse(text).expect_err(text).message
}

#[test]
fn the_common_name_is_read_from_the_subject() {
    assert_eq!(common_name("CN=www.example.com, O=Example").unwrap().as_deref(), Some("www.example.com"));
    assert_eq!(common_name("O=Example").unwrap(), None);
    assert_eq!(common_name("").unwrap(), None);
}

#[test]
fn blank_text_is_the_empty_name() {
    assert_eq!(DistinguishedName::parse("").unwrap().parts.len(), 0);
    assert_eq!(DistinguishedName::parse(" \t\r\n").unwrap().parts.len(), 0);
}

#[test]
fn the_parts_keep_their_order() {
    assert_eq!(
        simple("C=US, ST=WA,L=Redmond ; O=Contoso;CN=www.contoso.com"),
        pairs(&[
            ("2.5.4.6", "US"),
            ("2.5.4.8", "WA"),
            ("2.5.4.7", "Redmond"),
            ("2.5.4.10", "Contoso"),
            ("2.5.4.3", "www.contoso.com")
        ])
    );
}

#[test]
fn spaces_around_do_not_count_unless_they_are_escaped() {
    assert_eq!(simple("  cn =  a b  ,o= c "), pairs(&[("2.5.4.3", "a b"), ("2.5.4.10", "c")]));
    assert_eq!(simple(r"CN=\ a \ "), pairs(&[("2.5.4.3", " a  ")]));
    assert_eq!(simple("CN=\" a \" "), pairs(&[("2.5.4.3", " a ")]));
}

#[test]
fn separators_in_values_are_escaped_or_quoted() {
    let expected = pairs(&[("2.5.4.10", "Contoso, Ltd."), ("2.5.4.3", "x")]);
    for text in [
        r#"O="Contoso, Ltd.",CN=x"#,
        r"O=Contoso\, Ltd.,CN=x",
        r"O=Contoso\2C Ltd.,CN=x",
        r#"O="Contoso\, Ltd."; CN=x"#,
    ] {
        assert_eq!(simple(text), expected, "{text}");
    }
}

#[test]
fn quotes_in_values_are_escaped_or_doubled() {
    let expected = pairs(&[("2.5.4.3", r#"James "Jim" Smith, III"#)]);
    assert_eq!(simple(r#"CN=James \"Jim\" Smith\, III"#), expected);
    assert_eq!(simple(r#"CN="James ""Jim"" Smith, III""#), expected);
    assert_eq!(simple(r#"CN="James \"Jim\" Smith, III""#), expected);
}

#[test]
fn the_examples_of_rfc_4514_are_read() {
    assert_eq!(parsed("UID=jsmith,DC=example,DC=net").len(), 3);
    assert_eq!(
        parsed("OU=Sales+CN=J.  Smith,DC=example,DC=net")[0],
        pairs(&[("2.5.4.11", "Sales"), ("2.5.4.3", "J.  Smith")])
    );
    assert_eq!(simple(r"CN=Before\0dAfter,DC=example")[0].1, "Before\rAfter");
    assert_eq!(simple("1.3.6.1.4.1.1466.0=#04024869")[0].1, "[04, 02, 48, 69]");
    assert_eq!(simple(r"CN=Lu\C4\8Di\C4\87")[0].1, "Lučić");
}

#[test]
fn plus_joins_attributes_of_one_part() {
    let name = parsed("CN=a + serialNumber=7 , O=b");
    assert_eq!(name, [pairs(&[("2.5.4.3", "a"), ("2.5.4.5", "7")]), pairs(&[("2.5.4.10", "b")])]);
}

#[test]
fn keywords_are_known_in_any_case() {
    for (word, value, oid) in [
        ("cn", "a", "2.5.4.3"),
        ("S", "a", "2.5.4.8"),
        ("St", "a", "2.5.4.8"),
        ("E", "a@b.example", "1.2.840.113549.1.9.1"),
        ("EMAILADDRESS", "a@b.example", "1.2.840.113549.1.9.1"),
        ("SERIALNUMBER", "1", "2.5.4.5"),
        ("T", "a", "2.5.4.12"),
        ("G", "a", "2.5.4.42"),
        ("GN", "a", "2.5.4.42"),
        ("SN", "a", "2.5.4.4"),
        ("I", "a", "2.5.4.43"),
        ("generationqualifier", "a", "2.5.4.44"),
        ("dnQualifier", "a", "2.5.4.46"),
        ("Pseudonym", "a", "2.5.4.65"),
        ("businessCategory", "Private Organization", "2.5.4.15"),
        ("jurisdictionC", "US", "1.3.6.1.4.1.311.60.2.1.3"),
        ("jurisdictionST", "a", "1.3.6.1.4.1.311.60.2.1.2"),
        ("jurisdictionL", "a", "1.3.6.1.4.1.311.60.2.1.1"),
        ("postalCode", "98052", "2.5.4.17"),
        ("STREET", "1 Way", "2.5.4.9"),
        ("OID.2.5.4.3", "a", "2.5.4.3"),
        ("oid.1.2.3", "a", "1.2.3"),
        ("1.2.3.4", "a", "1.2.3.4"),
    ] {
        assert_eq!(simple(&format!("{word}={value}")), pairs(&[(oid, value)]), "{word}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, message) in [
        ("example.com", r#"Missing = after "example.com", at character 12."#),
        ("CN=a,O", r#"Missing = after "O", at character 7."#),
        ("CN=a, ,O=b", "An attribute such as CN=example.com is missing, at character 7."),
        ("CN=a,", "An attribute such as CN=example.com is missing, at character 6."),
        ("CN=ü,XY=1", r#""XY" is not a known attribute such as CN, O, OU, L, ST, C, DC or 1.2.3, at character 6."#),
        ("CN=", "CN has no value, at character 4."),
        ("CN=\"\"", "CN has no value, at character 4."),
        ("CN=a\"b", "A quote inside a value needs a \\ before it, at character 5."),
        ("CN=\"a", "Unterminated quoted value, at character 4."),
        ("CN=\"a\" b", "A comma is missing after the value, at character 8."),
        ("CN=a\\", "Nothing follows the \\, at character 5."),
        ("CN=\\C4x", "The hex escapes are not UTF-8 in the value, at character 4."),
        ("CN=\\ff", "The hex escapes are not UTF-8 in the value, at character 4."),
        ("CN=a\\00b", "The value of CN contains a zero byte, at character 4."),
        ("CN=a+CN=b", "One part of a name cannot contain the same attribute twice, at character 6."),
        ("O=a,C=USA", r#"C must be a country code of two letters, such as US, not "USA", at character 7."#),
        ("E=ü@b.example", "The value of E must be ASCII, at character 3."),
    ] {
        assert_eq!(refusal(text), message, "{text}");
    }
}

#[test]
fn a_backslash_before_anything_else_is_refused() {
    for text in [r"CN=\n", r"CN=a\q1", r"CN=\4", r"CN=\é1"] {
        assert!(refusal(text).starts_with("Invalid escape: \\ must be followed by"), "{text}");
    }
}

#[test]
fn bounds_are_those_of_rfc_5280() {
    for (word, max) in [("CN", 64), ("O", 64), ("OU", 64), ("L", 128), ("ST", 128), ("serialNumber", 64), ("T", 64)] {
        let text = |n: usize| format!("{word}={}", "x".repeat(n));
        assert!(DistinguishedName::parse(&text(max)).is_ok(), "{word}");
        assert_eq!(
            refusal(&text(max + 1)),
            format!("The value of {word} is longer than {max} characters, at character {}.", word.len() + 2)
        );
    }
    assert!(DistinguishedName::parse(&format!("CN={}", "ü".repeat(64))).is_ok(), "characters count, not bytes");
}

#[test]
fn text_that_is_too_long_is_refused_unread() {
    let name =
        |attributes: usize| (0..attributes).map(|arc| format!("1.2.{}=a", 10_000 + arc)).collect::<Vec<_>>().join("+");
    assert!(DistinguishedName::parse(&name(1000)).is_ok());
    assert_eq!(DistinguishedName::parse(&name(2000)).unwrap_err().message, "The name is longer than 16384 bytes.");
    // A mistake at the beginning is not found.
    assert!(refusal(&format!("?{}", "a".repeat(MAX_BYTES))).contains("longer than"));
}

#[test]
fn a_der_value_keeps_to_the_same_rules() {
    assert!(DistinguishedName::parse("CN=#0c0161").is_ok());
    assert!(DistinguishedName::parse("C=#13025553 , O=#130161").is_ok());
    for bad in [
        "CN=#",
        "CN=#0c016",
        "CN=#0c0261",
        "CN=#0c016162",
        "CN=#0c810161",
        "CN=#0c80",
        "CN=#0c0100",
        "CN=#0c00",
        "CN=#0c01ff",
        "CN=#04024869",
        "CN=#130140",
        "C=#0c025553",
        "C=#1303555341",
        "DC=#0c0161",
        "CN=#0501",
        "CN=#xy",
    ] {
        assert!(DistinguishedName::parse(bad).is_err(), "{bad}");
    }
    let long = format!("CN=#0c41{}", "61".repeat(65));
    assert!(refusal(&long).contains("longer than 64"));
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let text = |word: &'static str, pattern: &'static str| {
        (Just(AttributeType::oid_of(word).unwrap()), pattern)
            .prop_map(|(oid, text)| Attribute { oid, value: AttributeValue::Text(text) })
    };
    prop_oneof![
        4 => text("CN", r#"[ #"+,;<>=\\a-zäß€😀\n\t]{1,20}"#),
        2 => text("O", r"[^\x00]{1,64}"),
        1 => text("OU", "[ -~]{1,64}"),
        1 => text("C", "[A-Za-z]{2}"),
        1 => text("DC", "[a-z-]{1,63}"),
        1 => text("serialNumber", "[A-Z0-9 ]{1,64}"),
        1 => text("1.2.3.4", r"[^\x00]{1,100}"),
        1 => proptest::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| {
            let length = match bytes.len() {
                n @ 0..=0x7f => vec![n as u8],
                n @ 0x80..=0xff => vec![0x81, n as u8],
                n => vec![0x82, (n >> 8) as u8, n as u8],
            };
            Attribute { oid: "1.2.3.5".into(), value: AttributeValue::Der([vec![4], length, bytes].concat()) }
        }),
    ]
}

fn part() -> impl Strategy<Value = Vec<Attribute>> {
    proptest::collection::vec(attribute(), 1..4).prop_map(|mut part| {
        let mut seen = std::collections::HashSet::new();
        part.retain(|attribute| seen.insert(attribute.oid.clone()));
        part
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(parts in proptest::collection::vec(part(), 0..6)) {
        let name = DistinguishedName { parts };
        let text = name.to_string();
        prop_assert_eq!(DistinguishedName::parse(&text).map_err(|e| format!("{text}: {e}")), Ok(name));
    }

    #[test]
    fn what_is_read_is_read_again_from_its_own_text(text in r#"(CN|O|1\.2\.3|C|E)=[ "\\#+,;=a-zA-F0-9ü]{0,12}"#) {
        if let Ok(name) = DistinguishedName::parse(&text) {
            prop_assert_eq!(DistinguishedName::parse(&name.to_string()), Ok(name));
        }
    }

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = DistinguishedName::parse(&text);
        let _ = DistinguishedName::parse(&format!("CN={text}"));
        let _ = DistinguishedName::parse(&format!("CN=\"{text}"));
        let _ = DistinguishedName::parse(&format!("CN=#{text}"));
    }
}
