//! Names and identifiers, checked once when parsed. Names are case-insensitive, as in Key Vault, and are shown as they
//! were first written.

use super::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// First path segments under `/certificates` that are not certificates (contract section 4).
pub const RESERVED: [&str; 3] = ["contacts", "issuers", "restore"];

/// 1 to 127 of `0-9 a-z A-Z -` (contract sections 4 and 10).
fn is_object_name(text: &str) -> bool {
    (1..=127).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn invalid_name(text: &str) -> Error {
    let shown: String = text.chars().take(130).collect();
    Error::bad_parameter(format!(
        "The request URI contains an invalid name: {shown}. A name has 1 to 127 of the characters 0-9, a-z, A-Z and -."
    ))
}

macro_rules! object_name {
    ($(#[$doc:meta])* $name:ident, $refuse:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks length, characters and reserved words.
            pub fn parse(text: &str) -> Result<Self> {
                if !is_object_name(text) {
                    return Err(invalid_name(text));
                }
                let refuse: fn(&str) -> bool = $refuse;
                if refuse(text) {
                    return Err(Error::bad_parameter(format!(
                        "The request URI contains an invalid name: {text}. This word is reserved; choose another name."
                    )));
                }
                Ok(Self(text.to_owned()))
            }

            /// As it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// What compares: the name in lower case.
            pub fn key(&self) -> String {
                self.0.to_ascii_lowercase()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }

        impl Eq for $name {}

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

object_name!(
    /// The name of a certificate.
    CertificateName,
    |text| RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word))
);
object_name!(
    /// The name of an issuer object.
    IssuerName,
    |text| ["self", "unknown"].iter().any(|word| text.eq_ignore_ascii_case(word))
);
object_name!(
    /// The name of a webhook.
    WebhookName,
    |_| false
);

/// The name of a vault: 1 to 63 of `0-9 a-z -`, always in lower case (it is a host label).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VaultName(String);

impl VaultName {
    /// The vault of every host that names none.
    pub fn default_vault() -> Self {
        Self("default".to_owned())
    }

    pub fn parse(text: &str) -> Result<Self> {
        let text = text.to_ascii_lowercase();
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if !fits {
            return Err(Error::bad_parameter(
                "The vault name is invalid. It has 1 to 63 of the characters 0-9, a-z and -, and neither begins nor ends with -.",
            ));
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Uuid);

        impl $name {
            /// From 128 random bits.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Whether all digits are zero: what a variable holds that nobody set.
            pub fn is_nil(&self) -> bool {
                self.0.is_nil()
            }

            /// The same as a number.
            pub fn as_u128(&self) -> u128 {
                self.0.as_u128()
            }

            /// 32 hex digits, with or without the dashes of a UUID, in any case.
            pub fn parse(text: &str) -> Result<Self> {
                match Uuid::try_parse(text) {
                    Ok(uuid) if text.len() <= 36 => Ok(Self(uuid)),
                    _ => Err(Error::bad_parameter(concat!(
                        "The ",
                        $what,
                        " is invalid. It has 32 hexadecimal digits."
                    ))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.simple())
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(
    /// The identifier of a pending operation: 32 lower-case hex digits on the wire.
    RequestId, "request_id"
);
hex_id!(
    /// The version of a certificate, and of its key and secret: 32 lower-case hex digits.
    Version, "version"
);
hex_id!(
    /// The identifier of an event that webhooks get.
    EventId, "event_id"
);
hex_id!(
    /// Which webhook it is, whatever its name.
    WebhookId, "webhook_id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_name_is_checked() {
        for good in ["a", "MyCert-1", &"x".repeat(127)] {
            assert_eq!(CertificateName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a_b", "a.b", "a/b", "ä", &"x".repeat(128), "issuers", "Contacts", "RESTORE"] {
            assert!(CertificateName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_compare_without_case() {
        assert_eq!(CertificateName::parse("Web").unwrap(), CertificateName::parse("wEB").unwrap());
    }

    #[test]
    fn a_request_id_may_have_dashes_and_capitals() {
        let id = RequestId::parse("A76827A1-8B63-421C-917D-A80F28E9913D").unwrap();
        assert_eq!(id.to_string(), "a76827a18b63421c917da80f28e9913d");
        assert!(RequestId::parse(&"0".repeat(32)).unwrap().is_nil() && !id.is_nil());
        for bad in ["", "1", "zz6827a18b63421c917da80f28e9913d"] {
            assert!(RequestId::parse(bad).is_err(), "{bad}");
        }
    }
}
