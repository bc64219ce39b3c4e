//! The words of a plug-in: whatever it sends becomes one line of bounded length without the issuer's secrets.

use crate::domain::text;
use zeroize::Zeroizing;

/// A shorter secret would be found in words by chance.
const LEAST: usize = 4;

/// What must not be shown. `Debug` is left out on purpose.
#[derive(Default)]
pub(super) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let mut all: Vec<Zeroizing<String>> = secrets
            .map(str::trim)
            .filter(|secret| secret.chars().count() >= LEAST)
            .map(|secret| Zeroizing::new(secret.to_owned()))
            .collect();
        // One secret may be a part of another.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(all)
    }

    fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            // Most texts hold none, and a replacement copies.
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), "(hidden)") } else { text }
        })
    }
}

/// One line of at most `max` characters, without what cannot be seen.
pub(super) fn words(text: &str, max: usize, secrets: &Secrets) -> String {
    text::readable(&secrets.hide(text), max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_before_the_text_is_cut() {
        let secrets = Secrets::new(["abc", " hvs.secret\n", "hvs.secret.longer"].into_iter());
        assert_eq!(words("token hvs.secret denied: abc", 100, &secrets), "token (hidden) denied: abc");
        assert_eq!(words("x hvs.secret.longer", 100, &secrets), "x (hidden)");
        assert_eq!(words("hvs.secret", 5, &secrets), "(hidd");
    }

    #[test]
    fn control_characters_and_what_cannot_be_seen_are_left_out() {
        assert_eq!(words("a\r\n\u{1b}[31mb\u{202e}c ", 100, &Secrets::default()), "a [31mb c");
    }
}
