//! Resume tokens: a position in one log, opaque to clients.

use crate::domain::{Error, Reason, Result};
use crate::keys::digest::sha256;
use crate::store::Revision;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

const FORM: u8 = 1;
const LENGTH: usize = 1 + 8 + 8;

/// Writes and reads the tokens of one log. The epoch is a random value, chosen when the log is created and after a
/// restore, so a token of another log is recognised.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    epoch: String,
}

impl Tokens {
    pub(super) fn new(epoch: String) -> Self {
        Self { epoch }
    }

    pub(super) fn write(&self, revision: Revision) -> String {
        let mut bytes = [0; LENGTH];
        bytes[0] = FORM;
        bytes[1..9].copy_from_slice(&revision.to_be_bytes());
        bytes[9..].copy_from_slice(&self.check(revision));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// [`Reason::BadParameter`] for what never was a token, [`Reason::ResumeTokenExpired`] for one
    /// of another log.
    pub(super) fn read(&self, token: &str) -> Result<Revision> {
        let malformed = || Error::field("resume_token", "It is not a resume token of this service. Start without one.");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| malformed())?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| malformed())?;
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[1..9]);
        let revision = Revision::from_be_bytes(number);
        if bytes[0] != FORM || bytes[9..] != self.check(revision) {
            return Err(expired());
        }
        Ok(revision)
    }

    fn check(&self, revision: Revision) -> [u8; 8] {
        let digest = sha256(&[b"resume token", self.epoch.as_bytes(), &revision.to_be_bytes()]);
        let mut check = [0; 8];
        check.copy_from_slice(&digest[..8]);
        check
    }
}

/// Whether this is a resume token of the log `epoch`.
pub(crate) fn reads_a_resume_token(epoch: &str, token: &str) -> bool {
    Tokens::new(epoch.to_owned()).read(token).is_ok()
}

pub(super) fn expired() -> Error {
    Error::new(
        Reason::ResumeTokenExpired,
        "The resume token is older than the retained log, or belongs to another log. Start again without a token.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back() {
        let tokens = Tokens::new("e".into());
        for revision in [0, 1, u64::MAX] {
            assert_eq!(tokens.read(&tokens.write(revision)).unwrap(), revision);
        }
    }

    #[test]
    fn a_foreign_token_is_expired_and_nonsense_is_refused() {
        let foreign = Tokens::new("other".into()).write(7);
        let tokens = Tokens::new("e".into());
        assert_eq!(tokens.read(&foreign).unwrap_err().reason, Reason::ResumeTokenExpired);
        for nonsense in ["", "x", "!!!", &"A".repeat(500)] {
            assert_eq!(tokens.read(nonsense).unwrap_err().reason, Reason::BadParameter, "{nonsense}");
        }
    }
}
