//! Bytes in stored JSON: standard base64, so that operators can copy them into other tools.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes that are written as base64 in JSON and never shown in `Debug`.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Bytes that may be missing, stored as an empty text: versions before there was a case without them read that too.
pub mod or_empty {
    use super::Blob;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes what is missing as an empty text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(bytes: &Option<Blob>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => bytes.serialize(serializer),
            None => Blob::default().serialize(serializer),
        }
    }

    /// Reads an empty text as missing.
    ///
    /// # Errors
    /// Those of the deserializer, and what is no base64.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Blob>, D::Error> {
        Blob::deserialize(deserializer).map(|bytes| Some(bytes).filter(|bytes| !bytes.0.is_empty()))
    }
}
