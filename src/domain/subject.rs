//! X.500 names in text form (RFC 4514, with the variants that Key Vault users send).

use super::attribute_type::{AttributeType, Form, is_printable};
use super::{Error, Result};
use std::fmt::{self, Write};

/// The attribute type of a common name.
pub const COMMON_NAME: &str = "2.5.4.3";

/// Longest text that is read as a name, in bytes: above what a policy may hold ([`super::policy_input::MAX_SUBJECT`]
/// characters), since names of certificates are read too. It bounds how many attributes are compared with each other.
pub const MAX_BYTES: usize = 16 * 1024;

/// An attribute value of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AttributeValue {
    /// Text, unescaped.
    Text(String),
    /// The value as DER, from the `#hex` form.
    Der(Vec<u8>),
}

/// One attribute: the object identifier in dotted form, and the value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attribute {
    pub oid: String,
    pub value: AttributeValue,
}

/// A name as it is written: parts in the order of the text, each part one or more attributes.
/// `Display` writes it as RFC 4514 has it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DistinguishedName {
    pub parts: Vec<Vec<Attribute>>,
}

impl DistinguishedName {
    /// Reads a name. Beyond RFC 4514: `;` separates like `,`; spaces around separators do not
    /// count; a value may be quoted (RFC 1779), with `""` for a quote; the keywords of Windows
    /// and OpenSSL are known, in any case; `OID.1.2.3` is `1.2.3`. Blank text is the empty name.
    ///
    /// Values keep to the upper bounds of RFC 5280 appendix A.1. The error says what is wrong and
    /// at which character, counted from 1. Text of more than [`MAX_BYTES`] is refused unread.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(Error::bad_parameter(format!("The name is longer than {MAX_BYTES} bytes.")));
        }
        let mut reader = Reader { chars: text.chars().collect(), at: 0 };
        let mut name = Self::default();
        reader.skip_spaces();
        if reader.peek().is_none() {
            return Ok(name);
        }
        let mut part: Vec<Attribute> = Vec::new();
        loop {
            let at = reader.at;
            let attribute = reader.attribute()?;
            if part.iter().any(|other| other.oid == attribute.oid) {
                return Err(problem(at, "One part of a name cannot contain the same attribute twice"));
            }
            part.push(attribute);
            match reader.next() {
                Some('+') => continue,
                Some(_) => name.parts.push(std::mem::take(&mut part)),
                None => {
                    name.parts.push(part);
                    return Ok(name);
                }
            }
        }
    }
}

/// The common name of a subject; the last one if there are several.
///
/// # Errors
/// A subject that cannot be read.
pub fn common_name(subject: &str) -> Result<Option<String>> {
    let name = DistinguishedName::parse(subject)?;
    let mut texts = name.parts.iter().flatten().filter(|attribute| attribute.oid == COMMON_NAME);
    Ok(texts.next_back().map(|attribute| match &attribute.value {
        AttributeValue::Text(text) => text.clone(),
        AttributeValue::Der(_) => String::new(),
    }))
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            for (index, Attribute { oid, value }) in part.iter().enumerate() {
                if index > 0 {
                    f.write_char('+')?;
                }
                let keyword = AttributeType::of(oid).and_then(|known| known.keywords.first());
                write!(f, "{}=", keyword.copied().unwrap_or(oid))?;
                match value {
                    AttributeValue::Text(text) => write_escaped(text, f)?,
                    AttributeValue::Der(der) => {
                        f.write_char('#')?;
                        der.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn write_escaped(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let last = text.chars().count().saturating_sub(1);
    for (index, c) in text.chars().enumerate() {
        let edge = (c == '#' && index == 0) || (c == ' ' && (index == 0 || index == last));
        if c.is_ascii_control() {
            write!(f, "\\{:02x}", c as u32)?;
        } else if edge || "\"+,;<>\\".contains(c) {
            write!(f, "\\{c}")?;
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}

/// `at` counts from 0, the message from 1.
fn problem(at: usize, what: impl fmt::Display) -> Error {
    Error::bad_parameter(format!("{what}, at character {}.", at + 1))
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// Reads up to the separator or the end, but not the separator.
    fn attribute(&mut self) -> Result<Attribute> {
        self.skip_spaces();
        let start = self.at;
        let mut word = String::new();
        loop {
            match self.peek() {
                Some('=') => break,
                Some(c) if !",;+\"\\".contains(c) => word.push(c),
                _ if word.is_empty() => return Err(problem(start, "An attribute such as CN=example.com is missing")),
                _ => return Err(problem(self.at, format!("Missing = after {}", shown(&word)))),
            }
            self.at += 1;
        }
        self.at += 1;
        let word = word.trim_end_matches(is_space);
        let oid = AttributeType::oid_of(word).ok_or_else(|| {
            problem(start, format!("{} is not a known attribute such as CN, O, OU, L, ST, C, DC or 1.2.3", shown(word)))
        })?;
        self.skip_spaces();
        let start = self.at;
        let value = match self.peek() {
            Some('#') => AttributeValue::Der(self.der()?),
            Some('"') => AttributeValue::Text(self.quoted()?),
            _ => AttributeValue::Text(self.plain()?),
        };
        self.skip_spaces();
        match self.peek() {
            None | Some(',' | ';' | '+') => {}
            Some(_) => return Err(problem(self.at, "A comma is missing after the value")),
        }
        check(&oid, word, &value).map_err(|what| problem(start, what))?;
        Ok(Attribute { oid, value })
    }

    /// A value without quotes: spaces at its ends do not count unless they are escaped.
    fn plain(&mut self) -> Result<String> {
        let start = self.at;
        let mut bytes = Vec::new();
        let mut kept = 0;
        while let Some(c) = self.peek() {
            match c {
                ',' | ';' | '+' => break,
                '"' => return Err(problem(self.at, "A quote inside a value needs a \\ before it")),
                '\\' => {
                    self.escape(&mut bytes)?;
                    kept = bytes.len();
                }
                c => {
                    self.at += 1;
                    push(c, &mut bytes);
                    if !is_space(c) {
                        kept = bytes.len();
                    }
                }
            }
        }
        bytes.truncate(kept);
        utf8(bytes, start)
    }

    fn quoted(&mut self) -> Result<String> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None => return Err(problem(start, "Unterminated quoted value")),
                Some('\\') => self.escape(&mut bytes)?,
                Some(c) => {
                    self.at += 1;
                    // A doubled quote stands for one, as in Windows.
                    if c == '"' {
                        if self.peek() != Some('"') {
                            return utf8(bytes, start);
                        }
                        self.at += 1;
                    }
                    push(c, &mut bytes);
                }
            }
        }
    }

    /// A `\` with a character that needs one, or with two hex digits of UTF-8.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let start = self.at;
        self.at += 1;
        match self.next() {
            Some(c) if " \"#+,;<=>\\".contains(c) => push(c, bytes),
            Some(c) => {
                let low = self.next().and_then(|c| c.to_digit(16));
                let byte = c.to_digit(16).zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                bytes.push(byte.ok_or_else(|| {
                    problem(
                        start,
                        "Invalid escape: \\ must be followed by one of \" # + , ; < = > \\, a space, or two hex digits",
                    )
                })?);
            }
            None => return Err(problem(start, "Nothing follows the \\")),
        }
        Ok(())
    }

    fn der(&mut self) -> Result<Vec<u8>> {
        let start = self.at;
        self.at += 1;
        let mut digits = Vec::new();
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) {
            digits.push(u8::try_from(digit).unwrap_or(0));
            self.at += 1;
        }
        let der: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
        if digits.len() % 2 == 1 || content(&der).is_none() {
            return Err(problem(start, "Invalid # value: it must be one DER value of a string type, in hex"));
        }
        Ok(der)
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn push(c: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn utf8(bytes: Vec<u8>, start: usize) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| problem(start, "The hex escapes are not UTF-8 in the value"))
}

/// The tag and the content of one DER value of a type that stands in names (X.690 section 8.1).
fn content(der: &[u8]) -> Option<(u8, &[u8])> {
    let (&tag, rest) = der.split_first()?;
    // BIT STRING, OCTET STRING, UTF8, Numeric, Printable, Teletex, IA5, GeneralizedTime, BMP, SEQUENCE.
    if ![0x03, 0x04, 0x0c, 0x12, 0x13, 0x14, 0x16, 0x18, 0x1e, 0x30].contains(&tag) {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, content) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 | 0x82 => {
            let (bytes, content) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), content)
        }
        _ => return None,
    };
    let minimal = match first {
        0x81 => length > 0x7f,
        0x82 => length > 0xff,
        _ => true,
    };
    (minimal && length == content.len()).then_some((tag, content))
}

/// The text of a DER value; `None` if it is of no string type, or not of the characters of that type.
pub(super) fn der_text(der: &[u8]) -> Option<String> {
    let (tag, bytes) = content(der)?;
    match tag {
        0x0c | 0x12 | 0x13 | 0x16 => String::from_utf8(bytes.to_vec()).ok(),
        0x14 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        0x1e => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// The rules for values; what is wrong, if anything is.
fn check(oid: &str, word: &str, value: &AttributeValue) -> Result<(), String> {
    let known = AttributeType::of(oid);
    let (text, tag) = match value {
        AttributeValue::Text(text) => (text.as_str(), None),
        AttributeValue::Der(der) => match content(der) {
            Some((tag @ (0x0c | 0x13 | 0x16), content)) => {
                (std::str::from_utf8(content).map_err(|_| format!("The DER value of {word} is not text"))?, Some(tag))
            }
            // Other types than text are the writer's own affair, but only where no rule speaks.
            _ => return known.map_or(Ok(()), |_| Err(format!("The DER value of {word} must be a string"))),
        },
    };
    if text.is_empty() {
        return Err(format!("{word} has no value"));
    }
    if text.contains('\0') {
        return Err(format!("The value of {word} contains a zero byte"));
    }
    let form = known.map_or(Form::Directory, |known| known.form);
    let printable = text.chars().all(is_printable);
    let (fits, tags): (bool, &[u8]) = match form {
        Form::Directory => (true, &[0x0c, 0x13]),
        Form::Printable => (printable, &[0x13]),
        Form::Country => (text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()), &[0x13]),
        Form::Ascii | Form::Email => (text.is_ascii(), &[0x16]),
    };
    if !fits {
        return Err(match form {
            Form::Country => {
                format!("{word} must be a country code of two letters, such as US, not {}", shown(text))
            }
            Form::Ascii | Form::Email => format!("The value of {word} must be ASCII"),
            _ => format!("The value of {word} may hold only letters, digits, spaces and ' ( ) + , - . / : = ?"),
        });
    }
    let coherent = match tag {
        Some(0x13) => printable,
        Some(0x16) => text.is_ascii(),
        _ => true,
    };
    if !coherent || tag.is_some_and(|tag| known.is_some() && !tags.contains(&tag)) {
        return Err(format!("The DER value of {word} has the wrong string type"));
    }
    match known {
        Some(known) if text.chars().count() > known.max => {
            Err(format!("The value of {word} is longer than {} characters", known.max))
        }
        _ => Ok(()),
    }
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    format!("\"{}\"", short.escape_debug())
}

#[cfg(test)]
#[path = "subject_tests.rs"]
mod tests;
