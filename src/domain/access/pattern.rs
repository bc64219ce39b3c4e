//! Which vaults and names a grant reaches.

use crate::domain::{Error, Result, VaultName};
use std::fmt;

/// Longest name that a pattern can hold, as of a certificate.
const MAX_NAME: usize = 127;

/// One name, or all that begin with a text. Names compare without case, so patterns are in lower case.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum NamePattern {
    /// `web`: this name alone, and not `website`.
    Exact(String),
    /// `web-*`: the names that begin so. `*` is every name.
    Prefix(String),
}

impl NamePattern {
    /// A name, a beginning with a star behind it, or a star alone. There is no star elsewhere: the names of a pattern
    /// lie side by side in the store.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, prefix) = match text.strip_suffix('*') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let least = usize::from(!prefix);
        let fits = (least..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !fits {
            let shown: String = text.chars().take(130).collect();
            return Err(Error::bad_parameter(format!(
                "`{shown}` is not a pattern of names: write a name (web), the beginning of names with a star (web-*), or * for all."
            )));
        }
        let name = name.to_ascii_lowercase();
        Ok(if prefix { Self::Prefix(name) } else { Self::Exact(name) })
    }

    /// Every name.
    pub fn every() -> Self {
        Self::Prefix(String::new())
    }

    pub fn is_every(&self) -> bool {
        matches!(self, Self::Prefix(begin) if begin.is_empty())
    }

    /// The name, or how the names begin, in lower case.
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
        }
    }

    /// Whether the name, in any case, is one of these. Asked for each request, so it makes no text.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(text) => name.eq_ignore_ascii_case(text),
            Self::Prefix(begin) => {
                name.as_bytes().get(..begin.len()).is_some_and(|start| start.eq_ignore_ascii_case(begin.as_bytes()))
            }
        }
    }

    /// Whether every name of the other one is one of these.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(_), Self::Prefix(_)) => false,
            (_, Self::Exact(name) | Self::Prefix(name)) => self.matches(name),
        }
    }

    /// The first of the others that none of these covers; `None` where they cover them all.
    pub fn uncovered<'a>(own: &[Self], others: &'a [Self]) -> Option<&'a Self> {
        others.iter().find(|other| !own.iter().any(|own| own.covers(other)))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(begin) => write!(f, "{begin}*"),
        }
    }
}

/// Patterns without those that others cover, in the order of the names. What is left does not overlap.
pub(super) fn simplest(mut patterns: Vec<NamePattern>) -> Vec<NamePattern> {
    // A beginning comes before what begins with it, and before the same text as a name.
    patterns.sort_by(|one, other| {
        let kind = |pattern: &NamePattern| matches!(pattern, NamePattern::Exact(_));
        (one.text(), kind(one)).cmp(&(other.text(), kind(other)))
    });
    let mut kept: Vec<NamePattern> = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        if kept.last().is_none_or(|last| !last.covers(&pattern)) {
            kept.push(pattern);
        }
    }
    kept
}

/// One vault, or all.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum VaultPattern {
    Every,
    One(VaultName),
}

impl VaultPattern {
    /// `*`, or the name of a vault.
    pub fn parse(text: &str) -> Result<Self> {
        if text == "*" { Ok(Self::Every) } else { VaultName::parse(text).map(Self::One) }
    }

    pub fn matches(&self, vault: &VaultName) -> bool {
        match self {
            Self::Every => true,
            Self::One(one) => one == vault,
        }
    }

    /// Whether every vault of the other one is one of these.
    pub fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Every => *self == Self::Every,
            Self::One(vault) => self.matches(vault),
        }
    }
}

impl fmt::Display for VaultPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("*"),
            Self::One(vault) => write!(f, "{vault}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> NamePattern {
        NamePattern::parse(text).unwrap()
    }

    #[test]
    fn a_pattern_reaches_its_names_and_no_others() {
        for (text, names, others) in [
            ("web", &["web", "WEB"][..], &["website", "we", "a-web", "web-1", ""][..]),
            ("Web-*", &["web-", "web-1", "WEB-x"], &["web", "website", "a-web-1"]),
            ("web*", &["web", "website", "web-1"], &["we", "aweb"]),
            ("*", &["a", ""], &[]),
        ] {
            let pattern = pattern(text);
            assert!(names.iter().all(|name| pattern.matches(name)), "{text}");
            assert!(!others.iter().any(|name| pattern.matches(name)), "{text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", "**", "a*b", "*a", "a_b", "a.b", "web-**", "ä*", " web", &"x".repeat(128)] {
            let error = NamePattern::parse(bad).unwrap_err();
            assert!(error.message.contains("is not a pattern of names"), "{bad}: {}", error.message);
        }
    }

    #[test]
    fn a_pattern_covers_another_where_all_its_names_are_among_its_own() {
        for (one, other, covers) in [
            ("*", "*", true),
            ("*", "web", true),
            ("web*", "web-*", true),
            ("web-*", "web-1", true),
            ("web-*", "web*", false),
            ("web", "web", true),
            ("web", "web*", false),
            ("web", "*", false),
            ("web*", "web", true),
        ] {
            assert_eq!(pattern(one).covers(&pattern(other)), covers, "{one} {other}");
        }
    }

    #[test]
    fn patterns_that_others_cover_go() {
        let simple = |texts: &[&str]| {
            let patterns = texts.iter().map(|text| pattern(text)).collect();
            simplest(patterns).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(simple(&["web", "web-*", "api", "web-1", "api"]), "api web web-*");
        assert_eq!(simple(&["web", "*", "a*"]), "*");
        assert_eq!(simple(&["web", "web*", "wea"]), "wea web*");
        assert_eq!(simple(&["a-b", "a*", "a-*"]), "a*");
        assert_eq!(simple(&[]), "");
    }

    #[test]
    fn a_vault_is_named_or_every_one() {
        let (every, one) = (VaultPattern::parse("*").unwrap(), VaultPattern::parse("Team-A").unwrap());
        let team = VaultName::parse("team-a").unwrap();
        assert!(every.matches(&team) && one.matches(&team) && !one.matches(&VaultName::default_vault()));
        assert!(every.covers(&one) && every.covers(&every) && one.covers(&one) && !one.covers(&every));
        assert!(VaultPattern::parse("team-*").is_err() && VaultPattern::parse("").is_err());
    }
}
