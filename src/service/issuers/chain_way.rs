//! Which of the chains of a CA is asked for.

use crate::domain::{Error, Result};

/// Which way the certificates of an authority lead up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ChainWay {
    /// To its own root.
    #[default]
    New,
    /// To the root before, over the certificate by which that one vouches for its own.
    Old,
    /// To that certificate: what is handed out with leaves, good for clients of either root.
    Cross,
}

impl ChainWay {
    /// The way of a word, in any case.
    ///
    /// # Errors
    /// `BadParameter` for another word.
    pub fn parse(word: &str) -> Result<Self> {
        let all = [("new", Self::New), ("old", Self::Old), ("cross", Self::Cross)];
        let found = all.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        found.map(|(_, way)| way).ok_or_else(|| Error::field("chain", "It is none of new, old and cross."))
    }
}
