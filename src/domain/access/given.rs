//! What callers write: ids that they choose, and as much of their text as an answer repeats.

use crate::domain::text::readable;
use crate::domain::{Error, Result};
use uuid::Uuid;

/// As much of a caller's text as fits into a message: 80 characters that can be seen.
pub fn shown(text: &str) -> String {
    readable(text, 80)
}

/// The id that a caller chose for a grant or a role. All zeros are refused: that is what a variable holds that nobody
/// set.
///
/// # Errors
/// Names the member where it is not a UUID.
pub fn chosen_id(member: &str, text: &str) -> Result<Uuid> {
    match Uuid::try_parse(text) {
        Ok(id) if !id.is_nil() => Ok(id),
        _ => Err(Error::field(member, "It is not a UUID, such as 3f2504e0-4f89-41d3-9a0c-0305e82c3301.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_repeats_80_characters_of_a_text() {
        assert_eq!(shown("a\nb\u{7f}ü"), "a b ü");
        assert_eq!(shown(&"ü".repeat(81)), "ü".repeat(80));
    }

    #[test]
    fn an_id_that_is_chosen_is_a_uuid_and_not_nil() {
        assert_eq!(chosen_id("id", "3F2504E0-4f89-41d3-9a0c-0305e82c3301").unwrap().get_version_num(), 4);
        for bad in ["", "1", "00000000-0000-0000-0000-000000000000"] {
            assert!(chosen_id("id", bad).unwrap_err().message.contains("Property id "), "{bad}");
        }
    }
}
