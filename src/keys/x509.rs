//! X.509 certificates (RFC 5280 section 4.1): every part keeps its exact bytes, and what is not understood (object
//! identifiers of any length, serial numbers of any size and sign, unknown extensions) is kept as bytes and makes
//! nothing unreadable.

use super::asn1::{BIT_STRING, BOOLEAN, Element, INTEGER, OCTET_STRING, OID, SEQUENCE, context, tlv};
use super::oid::oid_text;
use super::x509_name::Name;
use crate::domain::Timestamp;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_SUBJECT_KEY_IDENTIFIER};
use const_oid::db::rfc5912::RSA_ENCRYPTION;

/// A certificate.
pub(crate) struct X509<'a> {
    pub(crate) der: &'a [u8],
    pub(crate) signed: Signed<'a>,
    pub(crate) issuer: Name<'a>,
    pub(crate) subject: Name<'a>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) key: PublicKeyInfo<'a>,
    pub(crate) extensions: Extensions<'a>,
}

/// What was signed and how.
pub(crate) struct Signed<'a> {
    pub(crate) part: &'a [u8],
    pub(crate) algorithm: Algorithm<'a>,
    /// The same, as it stands in the signed part.
    pub(crate) inner_algorithm: Algorithm<'a>,
    pub(crate) signature: &'a [u8],
}

/// An AlgorithmIdentifier.
#[derive(Clone, Copy)]
pub(crate) struct Algorithm<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) parameters: Option<Element<'a>>,
}

/// A SubjectPublicKeyInfo.
#[derive(Clone, Copy)]
pub(crate) struct PublicKeyInfo<'a> {
    pub(crate) whole: &'a [u8],
    pub(crate) algorithm: Algorithm<'a>,
    /// The key itself, in the form of its algorithm.
    pub(crate) bits: &'a [u8],
}

/// The extensions of a certificate, or those that a request asks for.
#[derive(Default)]
pub(crate) struct Extensions<'a>(pub(crate) Vec<Extension<'a>>);

pub(crate) struct Extension<'a> {
    pub(crate) oid: &'a [u8],
    /// As it is said, also where the default is written out.
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const FIRST_SECOND: i64 = -62_135_596_800;
const LAST_SECOND: i64 = 253_402_300_799;

const NULL: u8 = 5;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl<'a> X509<'a> {
    /// Reads exactly one certificate.
    ///
    /// # Errors
    /// The part that can not be read, as in "its validity".
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, &'static str> {
        let outer = Element::parse(der).and_then(|outer| outer.children_of(SEQUENCE)).ok_or("its outer structure")?;
        let [tbs, algorithm, signature] = outer[..] else { return Err("its outer structure") };
        let parts = tbs.children_of(SEQUENCE).ok_or("its signed part")?;
        let parts = match &parts[..] {
            // Version 1 has no number.
            [version, rest @ ..] if version.tag == context(0) => rest,
            all => all,
        };
        let [serial, inner_algorithm, issuer, validity, subject, key, rest @ ..] = parts else {
            return Err("its signed part");
        };
        if serial.tag != INTEGER {
            return Err("its serial number");
        }
        let validity = validity.children_of(SEQUENCE).ok_or("its validity")?;
        let [not_before, not_after] = validity[..] else { return Err("its validity") };
        let extensions = match rest.iter().find(|part| part.tag == context(3)) {
            Some(list) => list.explicit(3).and_then(Extensions::read).ok_or("its list of extensions")?,
            None => Extensions::default(),
        };
        Ok(Self {
            der,
            signed: Signed {
                part: tbs.whole,
                algorithm: Algorithm::read(algorithm).ok_or("its signature algorithm")?,
                inner_algorithm: Algorithm::read(*inner_algorithm).ok_or("its signature algorithm")?,
                signature: bits(signature).ok_or("its signature")?,
            },
            issuer: Name::read(*issuer).ok_or("its issuer")?,
            subject: Name::read(*subject).ok_or("its subject")?,
            not_before: time(not_before).ok_or("its validity")?,
            not_after: time(not_after).ok_or("its validity")?,
            key: PublicKeyInfo::read(*key).ok_or("its public key")?,
            extensions,
        })
    }

    /// The value of an extension; the first of several.
    pub(crate) fn extension(&self, oid: ObjectIdentifier) -> Option<&'a [u8]> {
        self.extensions.value(oid)
    }

    /// The subject key identifier.
    pub(crate) fn key_id(&self) -> Option<&'a [u8]> {
        let value = Element::parse(self.extension(ID_CE_SUBJECT_KEY_IDENTIFIER)?)?;
        (value.tag == OCTET_STRING).then_some(value.content)
    }

    /// The key identifier of the issuer, where the certificate names it.
    pub(crate) fn issuer_key_id(&self) -> Option<&'a [u8]> {
        let parts = Element::parse(self.extension(ID_CE_AUTHORITY_KEY_IDENTIFIER)?)?.children_of(SEQUENCE)?;
        parts.iter().find(|part| part.tag == 0x80).map(|part| part.content)
    }
}

impl<'a> Algorithm<'a> {
    pub(crate) fn read(element: Element<'a>) -> Option<Self> {
        let parts = element.children_of(SEQUENCE)?;
        match parts[..] {
            [oid] if oid.tag == OID => Some(Self { oid: oid.content, parameters: None }),
            [oid, parameters] if oid.tag == OID => Some(Self { oid: oid.content, parameters: Some(parameters) }),
            _ => None,
        }
    }

    pub(crate) fn is(&self, oid: ObjectIdentifier) -> bool {
        self.oid == oid.as_bytes()
    }

    /// Equal but for a NULL, which some write where others write nothing (RFC 4055 section 5).
    pub(crate) fn equals(&self, other: &Algorithm<'_>) -> bool {
        let parameters = |algorithm: &Algorithm<'_>| {
            algorithm.parameters.filter(|parameters| parameters.tag != NULL).map(|parameters| parameters.whole.to_vec())
        };
        self.oid == other.oid && parameters(self) == parameters(other)
    }

    /// In dotted form.
    pub(crate) fn text(&self) -> String {
        oid_text(self.oid).unwrap_or_else(|| "that is not an object identifier".to_owned())
    }
}

impl<'a> PublicKeyInfo<'a> {
    pub(crate) fn read(element: Element<'a>) -> Option<Self> {
        let parts = element.children_of(SEQUENCE)?;
        let [algorithm, key] = parts[..] else { return None };
        Some(Self { whole: element.whole, algorithm: Algorithm::read(algorithm)?, bits: bits(key)? })
    }

    /// The key that a PKCS #10 request (RFC 2986 section 4) asks to have certified.
    pub(crate) fn of_request(der: &'a [u8]) -> Option<Self> {
        let outer = Element::parse(der)?.children_of(SEQUENCE)?;
        let info = outer.first()?.children_of(SEQUENCE)?;
        Self::read(*info.get(2)?)
    }

    /// The key as certificates have it: in DER, and with the NULL beside RSA that some programs leave out of their
    /// requests (RFC 3279 section 2.3.1). However a request writes the key, these are the same bytes.
    pub(crate) fn as_certified(&self) -> Vec<u8> {
        let parameters = match self.algorithm.parameters {
            _ if self.algorithm.is(RSA_ENCRYPTION) => vec![5, 0],
            Some(parameters) => tlv(parameters.tag, &[parameters.content]),
            None => Vec::new(),
        };
        let algorithm = tlv(SEQUENCE, &[&tlv(OID, &[self.algorithm.oid]), &parameters]);
        tlv(SEQUENCE, &[&algorithm, &tlv(BIT_STRING, &[&[0], self.bits])])
    }

    /// Whether both are the same key. RSA keys are written with and without the NULL that RFC 3279
    /// section 2.3.1 asks for.
    pub(crate) fn same_as(&self, other: &PublicKeyInfo<'_>) -> bool {
        self.bits == other.bits && self.algorithm.equals(&other.algorithm)
    }
}

/// A BIT STRING of whole bytes.
pub(crate) fn bits(element: Element<'_>) -> Option<&[u8]> {
    (element.tag == BIT_STRING).then(|| element.content.strip_prefix(&[0]))?
}

impl<'a> Extensions<'a> {
    /// The list of extensions (RFC 5280 section 4.1).
    pub(crate) fn read(list: Element<'a>) -> Option<Self> {
        let read = |extension: Element<'a>| {
            let parts = extension.children_of(SEQUENCE)?;
            let (oid, critical, value) = match parts[..] {
                [oid, value] => (oid, false, value),
                [oid, critical, value] if critical.tag == BOOLEAN => (oid, critical.content != [0], value),
                _ => return None,
            };
            (oid.tag == OID && value.tag == OCTET_STRING).then_some(Extension {
                oid: oid.content,
                critical,
                value: value.content,
            })
        };
        list.children_of(SEQUENCE)?.into_iter().map(read).collect::<Option<_>>().map(Self)
    }

    /// The value of an extension; the first of several.
    pub(crate) fn value(&self, oid: ObjectIdentifier) -> Option<&'a [u8]> {
        self.0.iter().find(|extension| extension.oid == oid.as_bytes()).map(|extension| extension.value)
    }
}

/// UTCTime or GeneralizedTime in any of the forms of X.680 sections 46 and 47: with and without
/// seconds, fractions and offsets. A time without an offset is taken for UTC.
pub(crate) fn time(element: Element<'_>) -> Option<Timestamp> {
    let text = std::str::from_utf8(element.content).ok().filter(|text| text.is_ascii())?;
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = number(text, 2)?;
            // RFC 5280 section 4.1.2.5.1.
            (if year >= 50 { 1900 + year } else { 2000 + year }, rest)
        }
        GENERALIZED_TIME => number(text, 4)?,
        _ => return None,
    };
    let (month, rest) = number(rest, 2)?;
    let (day, rest) = number(rest, 2)?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2).unwrap_or((0, rest));
    let (second, rest) = number(rest, 2).unwrap_or((0, rest));
    let rest = match rest.strip_prefix(['.', ',']) {
        Some(fraction) => fraction.trim_start_matches(|digit: char| digit.is_ascii_digit()),
        None => rest,
    };
    let offset = match rest.split_at_checked(1) {
        None => 0,
        Some(("Z", "")) => 0,
        Some((sign @ ("+" | "-"), offset)) => {
            let (hours, rest) = number(offset, 2)?;
            let (minutes, rest) = number(rest, 2).unwrap_or((0, rest));
            let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
            rest.is_empty().then_some(if sign == "+" { seconds } else { -seconds })?
        }
        Some(_) => return None,
    };
    let small = |number: u16| u8::try_from(number).ok();
    let month = time::Month::try_from(small(month)?).ok()?;
    let date = time::Date::from_calendar_date(i32::from(year), month, small(day)?).ok()?;
    // A leap second is the next one, and 24:00 is the next day.
    if hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let at = date.midnight().assume_utc().unix_timestamp() + seconds - offset;
    // What no calendar of four digits from the year 1 on has (an offset, the year 0) is its end: neither
    // google.protobuf.Timestamp nor RFC 3339 can say it.
    Some(Timestamp::from_seconds(at.clamp(FIRST_SECOND, LAST_SECOND)))
}

fn number(text: &str, digits: usize) -> Option<(u16, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let number = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(tag: u8, text: &str) -> Option<i64> {
        let der = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        time(Element::parse(&der).unwrap()).map(Timestamp::seconds)
    }

    #[test]
    fn times_are_read_in_every_form_that_certificates_have() {
        for text in ["700101000001Z", "700101010001+0100", "691231230001-0100"] {
            assert_eq!(seconds(UTC_TIME, text), Some(1), "{text}");
        }
        for text in ["19700101000001Z", "19700101000001", "19700101000001.25Z", "19700101013001+0130"] {
            assert_eq!(seconds(GENERALIZED_TIME, text), Some(1), "{text}");
        }
        assert_eq!(seconds(UTC_TIME, "7001010001Z"), Some(60));
        assert_eq!(seconds(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
        assert_eq!(seconds(GENERALIZED_TIME, "99991231235959-2359"), Some(LAST_SECOND));
        assert_eq!(seconds(GENERALIZED_TIME, "00000101000000Z"), Some(FIRST_SECOND));
        assert_eq!(seconds(GENERALIZED_TIME, "00010101000000+0100"), Some(FIRST_SECOND));
        assert_eq!(seconds(UTC_TIME, "491231235959Z").map(|at| at > 2_500_000_000), Some(true));
        for bad in ["", "70", "701301000000Z", "700132000000Z", "700101250000Z", "700101000000X", "70010100000\u{e9}Z"]
        {
            assert_eq!(seconds(UTC_TIME, bad), None, "{bad}");
        }
    }
}
