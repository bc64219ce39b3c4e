//! Keys as PostgreSQL stores them. A text of PostgreSQL cannot hold the character 0, so the two lowest
//! characters are written as two; order and prefixes stay what they were, and no key that people
//! make is changed by it.

use std::borrow::Cow;

pub(super) fn stored(key: &str) -> Cow<'_, str> {
    if !key.bytes().any(|byte| byte <= 1) {
        return Cow::Borrowed(key);
    }
    let mut text = String::with_capacity(key.len() + 8);
    for character in key.chars() {
        match character {
            '\0' => text.push_str("\u{1}\u{1}"),
            '\u{1}' => text.push_str("\u{1}\u{2}"),
            other => text.push(other),
        }
    }
    Cow::Owned(text)
}

pub(super) fn original(stored: String) -> String {
    if !stored.contains('\u{1}') {
        return stored;
    }
    let mut text = String::with_capacity(stored.len());
    let mut characters = stored.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1}' => text.push(if characters.next() == Some('\u{1}') { '\0' } else { '\u{1}' }),
            other => text.push(other),
        }
    }
    text
}

/// The smallest text that is greater than every text with this prefix; none where there is no such text.
pub(super) fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // UTF-8 orders as the characters do. The range steps over the surrogates and ends at U+10FFFF.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_comes_back_and_keeps_its_place() {
        let mut keys = [
            "",
            "\0",
            "\0\0",
            "\0\u{1}",
            "\u{1}",
            "\u{1}\0",
            "\u{1}\u{1}",
            "\u{2}",
            "a",
            "a\0",
            "a\0b",
            "a\u{1}",
            "ab",
            "é",
        ];
        keys.sort_unstable();
        let all: Vec<_> = keys.iter().map(|key| stored(key).into_owned()).collect();
        assert!(all.is_sorted() && all.iter().all(|key| !key.contains('\0')), "{all:?}");
        for (key, stored) in keys.iter().zip(all) {
            assert_eq!(original(stored), *key);
        }
    }

    #[test]
    fn a_prefix_stays_a_prefix() {
        for (key, prefix) in [("a\0b", "a\0"), ("a\u{1}b", "a\u{1}"), ("\0\0", "\0"), ("ab", "a")] {
            assert!(stored(key).starts_with(&*stored(prefix)));
        }
        assert!(!stored("\u{1}").starts_with(&*stored("\0")));
    }

    #[test]
    fn a_prefix_ends_before_the_next_character() {
        for (prefix, end) in [
            ("a", Some("b")),
            ("a/", Some("a0")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(end_of_prefix(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
