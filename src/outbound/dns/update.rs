//! Updates of a zone (RFC 2136), signed with a shared key (TSIG, RFC 8945).

use super::transfer::{over_tcp, unreachable};
use super::{DnsError, Name, name};
use crate::domain::Timestamp;
use base64::{Engine, engine::general_purpose::STANDARD};
use hickory_proto::op::{Message, ResponseCode, update_message};
use hickory_proto::rr::rdata::{TXT, tsig::TsigAlgorithm};
use hickory_proto::rr::{RData, Record, TSigner};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// How far the clocks of both sides may differ, in seconds (RFC 8945 section 10).
const FUDGE: u16 = 300;

/// A shared key. `Debug` shows its name alone.
#[derive(Clone)]
pub struct TsigKey(TSigner);

impl TsigKey {
    /// From the key's name, its algorithm (`hmac-sha256`, `hmac-sha384` or `hmac-sha512`) and the
    /// secret in base64, as name servers write them.
    ///
    /// # Errors
    /// What cannot be used; never the secret.
    pub fn new(key_name: &str, algorithm: &str, secret: &str) -> Result<Self, DnsError> {
        let known = match algorithm.trim_end_matches('.').to_ascii_lowercase().as_str() {
            "hmac-sha256" => TsigAlgorithm::HmacSha256,
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            _ => {
                return Err(DnsError::Settings(format!(
                    "The TSIG algorithm {algorithm:?} is not one of hmac-sha256, hmac-sha384 and hmac-sha512."
                )));
            }
        };
        let secret = STANDARD
            .decode(secret.trim())
            .ok()
            .filter(|secret| !secret.is_empty())
            .ok_or_else(|| DnsError::Settings("The TSIG secret is not base64.".to_owned()))?;
        let signer = TSigner::new(secret, known, name(key_name)?, FUDGE)
            .map_err(|error| DnsError::Settings(format!("The TSIG key cannot be used: {error}.")))?;
        Ok(Self(signer))
    }
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TSIG key {}", self.0.signer_name())
    }
}

/// Writes and removes single texts of one zone. Other values at the same name stay: the name of a
/// host and the wildcard above it are proved with two values at one name.
#[derive(Clone, Debug)]
pub struct Updater {
    pub server: SocketAddr,
    pub zone: Name,
    pub key: Option<TsigKey>,
    pub timeout: Duration,
}

impl Updater {
    /// Adds a text beside those that are there. A repeat changes nothing.
    ///
    /// # Errors
    /// No answer, a refusal, or a name outside the zone.
    pub async fn append(&self, at: &Name, text: &str, ttl: u32, now: Timestamp) -> Result<(), DnsError> {
        let record = self.record(at, text, ttl)?;
        self.send(update_message::append(record.into(), self.zone.clone(), false, false), now).await
    }

    /// Removes this text alone. A repeat changes nothing.
    ///
    /// # Errors
    /// No answer, a refusal, or a name outside the zone.
    pub async fn remove(&self, at: &Name, text: &str, now: Timestamp) -> Result<(), DnsError> {
        let record = self.record(at, text, 0)?;
        self.send(update_message::delete_by_rdata(record.into(), self.zone.clone(), false), now).await
    }

    fn record(&self, at: &Name, text: &str, ttl: u32) -> Result<Record, DnsError> {
        if !self.zone.zone_of(at) {
            return Err(DnsError::Settings(format!("{at} is not in the zone {}.", self.zone)));
        }
        if text.len() > 255 {
            return Err(DnsError::Settings("A text of more than 255 bytes cannot be written.".to_owned()));
        }
        Ok(Record::from_rdata(at.clone(), ttl, RData::TXT(TXT::new(vec![text.to_owned()]))))
    }

    async fn send(&self, mut message: Message, now: Timestamp) -> Result<(), DnsError> {
        let mut verifier = None;
        if let Some(TsigKey(signer)) = &self.key {
            let seconds = u64::try_from(now.seconds()).unwrap_or_default();
            let (signature, check) = signer
                .sign_message(&message, seconds)
                .map_err(|_| DnsError::Settings("The update could not be signed.".to_owned()))?;
            message.set_signature(signature);
            verifier = check;
        }
        let bytes = message.to_vec().map_err(|error| DnsError::Settings(error.to_string()))?;
        let answer = over_tcp(self.server, &bytes, self.timeout).await?;
        let read = Message::from_vec(&answer)
            .ok()
            .filter(|read| read.metadata.id == message.metadata.id)
            .ok_or_else(|| unreachable(self.server, "its answer cannot be read"))?;
        // A refusal of the key comes without a valid signature, so the code is read first; a
        // forged one does no more harm than a lost connection.
        match read.metadata.response_code {
            ResponseCode::NoError => {}
            code @ (ResponseCode::ServFail | ResponseCode::YXRRSet | ResponseCode::NXRRSet) => {
                let (server, zone) = (self.server, &self.zone);
                let text = format!("The DNS server {server} could not update the zone {zone} now: {code}.");
                return Err(DnsError::Unreachable(text));
            }
            code => {
                return Err(DnsError::Refused(format!(
                    "The DNS server {} refused an update of the zone {}: {code}. Check the zone's update policy, the \
                     TSIG key's name, algorithm and secret, and the clocks.",
                    self.server, self.zone
                )));
            }
        }
        if let Some(mut verifier) = verifier {
            verifier.verify(&answer).map_err(|_| {
                DnsError::Refused(format!("The answer of the DNS server {} has no valid TSIG signature.", self.server))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_work_are_refused_without_their_secret() {
        for (algorithm, secret) in [("hmac-md5", "Z2VoZWlt"), ("hmac-sha256", "geheim!"), ("hmac-sha256", "")] {
            let error = TsigKey::new("update.", algorithm, secret).unwrap_err();
            assert!(!error.to_string().contains("geheim") && !error.to_string().contains("Z2VoZWlt"), "{error}");
        }
        let key = TsigKey::new("update.", "HMAC-SHA256.", "Z2VoZWlt").unwrap();
        assert_eq!(format!("{key:?}"), "TSIG key update.");
    }

    #[tokio::test]
    async fn a_name_outside_the_zone_is_an_error_and_no_panic() {
        let updater = Updater {
            server: ([127, 0, 0, 1], 1).into(),
            zone: name("example.com").unwrap(),
            key: None,
            timeout: Duration::from_secs(1),
        };
        let at = name("_acme-challenge.example.org").unwrap();
        let error = updater.append(&at, "x", 60, Timestamp(0)).await.unwrap_err();
        assert!(matches!(error, DnsError::Settings(_)), "{error}");
    }
}
