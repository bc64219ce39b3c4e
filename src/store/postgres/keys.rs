//! Keys as PostgreSQL stores them. PostgreSQL text cannot contain the character 0, so the two lowest characters are
//! each written as two; order and prefixes are preserved, and no ordinary key changes.

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
}
