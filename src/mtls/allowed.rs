//! Patterns of the ids that are accepted from a CA.

/// A whole id, or one with a star at one end. A star stands beside a separator, so that `*.shop.example` does not match
/// `evilshop.example`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Allowed {
    Whole(String),
    /// What ends like this, and is longer.
    EndsWith(String),
    /// What begins like this, and is longer.
    BeginsWith(String),
}

impl Allowed {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str, ignores_case: bool) -> Result<Self, String> {
        let text = if ignores_case { text.to_ascii_lowercase() } else { text.to_owned() };
        let refused = || {
            Err(format!(
                "allow: `{}` is not a pattern: a star stands at the beginning, before a dot or @, or at the end, after a slash",
                crate::domain::access::shown(&text)
            ))
        };
        if text.is_empty() || text.len() > 255 {
            return refused();
        }
        if let Some(end) = text.strip_prefix('*') {
            return if end.len() > 1 && end.starts_with(['.', '@']) && !end.contains('*') {
                Ok(Self::EndsWith(end.to_owned()))
            } else {
                refused()
            };
        }
        match text.strip_suffix('*') {
            Some(beginning) if beginning.ends_with('/') && !beginning.contains('*') => {
                Ok(Self::BeginsWith(beginning.to_owned()))
            }
            None if !text.contains('*') => Ok(Self::Whole(text)),
            _ => refused(),
        }
    }

    pub(super) fn has(&self, id: &str) -> bool {
        match self {
            Self::Whole(whole) => whole == id,
            Self::EndsWith(end) => id.len() > end.len() && id.ends_with(end.as_str()),
            Self::BeginsWith(beginning) => id.len() > beginning.len() && id.starts_with(beginning.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_whole_parts_at_one_end() {
        let has = |pattern: &str, id: &str| Allowed::parse(pattern, true).unwrap().has(id);
        assert!(has("*.Clients.example", "web.clients.example") && has("*.clients.example", "a.b.clients.example"));
        assert!(!has("*.clients.example", "clients.example") && !has("*.clients.example", "evilclients.example"));
        assert!(!has("*.clients.example", ".clients.example"));
        assert!(has("*@corp.example", "ann@corp.example") && !has("*@corp.example", "ann@sub.corp.example"));
        assert!(
            has("https://corp.example/*", "https://corp.example/web")
                && !has("https://corp.example/*", "https://corp.example/")
        );
        assert!(has("web.example", "web.example") && !has("web.example", "web.example.evil"));
        for bad in ["", "*", "*example", "web*", "*.", "*.a*", "a*b", "https://corp.example*"] {
            assert!(Allowed::parse(bad, false).is_err(), "{bad}");
        }
    }
}
