//! Text that people read: in names of certificates and authorities, in issuer objects and contacts. An invisible
//! character, or one that changes the display order, makes a name look like another one.
//!
//! Tags are not such text: programs write them, and only U+0000 is refused there.

use super::{Error, Result};

/// The first character that has no place in text that people read: a control character, one that sets the direction
/// of text (Unicode UAX #9), one without width, or one that is none. The joiners U+200C and U+200D stand inside words
/// of several scripts, and are only accepted between two characters beyond ASCII.
pub fn unreadable(text: &str) -> Option<char> {
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let joins = matches!(c, '\u{200c}' | '\u{200d}');
        let word = |side: Option<char>| side.is_some_and(|side| !side.is_ascii() && !is_unreadable(side));
        if is_unreadable(c) && !(joins && word(before) && word(rest.peek().copied())) {
            return Some(c);
        }
        before = Some(c);
    }
    None
}

/// What is wrong with a text that people read, as a sentence; `None` if nothing is.
pub fn problem(text: &str) -> Option<String> {
    unreadable(text).map(|c| {
        let kind = if c.is_control() { "a control character" } else { "an invisible character" };
        format!("It contains U+{:04X}, {kind}: remove it.", u32::from(c))
    })
}

/// Refuses text that people read where it is too long, or has characters that nobody sees.
///
/// # Errors
/// Names the member.
pub fn check(member: &str, text: &str, most: usize) -> Result<()> {
    if text.chars().count() > most {
        return Err(Error::field(member, format!("It is longer than {most} characters.")));
    }
    match problem(text) {
        Some(problem) => Err(Error::field(member, problem)),
        None => Ok(()),
    }
}

/// Text of a caller, shortened for a message and without invisible characters.
pub fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(60).map(|c| if is_unreadable(c) { '?' } else { c }).collect();
    if text.chars().count() > 60 {
        short.push('…');
    }
    format!("\"{short}\"")
}

/// The words of a stranger as one line of at most `max` characters: what cannot be seen becomes a space.
pub fn readable(text: &str, max: usize) -> String {
    let seen = text.chars().map(|c| if is_unreadable(c) { ' ' } else { c });
    let mut line = String::new();
    for c in seen.take(max.saturating_mul(4)) {
        // Of several spaces one is enough.
        if c != ' ' || !line.ends_with(' ') {
            line.push(c);
        }
    }
    line.trim().chars().take(max).collect()
}

/// Bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

fn is_unreadable(c: char) -> bool {
    let number = u32::from(c);
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffd}'
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}')
        || number & 0xfffe == 0xfffe
        || (0xfdd0..=0xfdef).contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_found() {
        for bad in [
            "a\nb",
            "a\tb",
            "a\0b",
            "\u{1b}[31m",
            "a\u{7f}",
            "\u{85}",
            "\u{202e}gpj.exe",
            "a\u{200b}b",
            "a\u{2066}b",
            "\u{feff}a",
            "a\u{ad}b",
            "a\u{2028}b",
            "a\u{e0041}",
            "a\u{fffd}",
            "a\u{200d}b",
            "\u{200c}ü",
            "ü\u{200d}",
            "a\u{fffe}",
            "\u{3164}",
        ] {
            assert!(unreadable(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn names_of_all_scripts_are_text() {
        for good in [
            "Example Corp",
            "Zürich",
            "株式会社",
            "شركة",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "Ελλάδα",
            "😀",
            "e\u{301}",
            "",
        ] {
            assert_eq!(unreadable(good), None, "{good:?}");
        }
    }

    #[test]
    fn the_sentence_names_the_character() {
        assert_eq!(problem("a\nb").unwrap(), "It contains U+000A, a control character: remove it.");
        assert_eq!(problem("a\u{202e}").unwrap(), "It contains U+202E, an invisible character: remove it.");
        assert_eq!(shown("a\u{202e}\n"), "\"a??\"");
    }

    #[test]
    fn words_of_strangers_are_one_short_line() {
        assert_eq!(readable("a\r\nb\u{202e}c\n", 9), "a b c");
        assert_eq!(readable(&"x".repeat(9999), 500).len(), 500);
        let error = check("note", "a\u{200b}", 2).unwrap_err();
        assert!(error.message.contains("note") && error.message.contains("U+200B"), "{error:?}");
        assert!(check("note", "", 2).is_ok() && check("note", "äöü", 2).is_err());
    }
}
