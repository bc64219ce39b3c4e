//! Sets of data actions: one bit for each, so that a check compares two numbers.

use crate::domain::DataAction;

/// The actions of a role.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ActionSet(u64);

// Each action has a bit of its own.
const _: () = assert!(DataAction::ALL.len() <= 64);

impl ActionSet {
    /// Every action.
    pub const ALL: Self = Self(u64::MAX);

    pub const fn has(self, action: DataAction) -> bool {
        self.0 & bit(action) != 0
    }

    #[must_use]
    pub const fn with(self, action: DataAction) -> Self {
        Self(self.0 | bit(action))
    }

    /// Whether every action of the other one is among these.
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// What the patterns name (`Microsoft.KeyVault/vaults/certificates/*`). A star stands for any text, and case does
    /// not matter, as in Azure. A pattern that names nothing here adds nothing: Azure's roles name more than there is.
    pub fn of_patterns<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            for action in DataAction::ALL {
                if is_like(pattern.as_bytes(), action.text().as_bytes()) {
                    set = set.with(*action);
                }
            }
        }
        set
    }

    /// The actions in their order.
    pub fn iter(self) -> impl Iterator<Item = DataAction> {
        DataAction::ALL.iter().copied().filter(move |action| self.has(*action))
    }
}

const fn bit(action: DataAction) -> u64 {
    1 << action as u32
}

/// Goes back to the last star only: what was before it fits however much the star takes.
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while here < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(byte) if byte.eq_ignore_ascii_case(&text[here]) => {
                at += 1;
                here += 1;
            }
            _ => {
                let Some((behind, taken)) = star else { return false };
                star = Some((behind, taken + 1));
                at = behind + 1;
                here = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(patterns: &[&str]) -> Vec<&'static str> {
        ActionSet::of_patterns(patterns.iter().copied()).iter().map(DataAction::text).collect()
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert_eq!(texts(&["Microsoft.KeyVault/vaults/keys/read"]), ["Microsoft.KeyVault/vaults/keys/read"]);
        assert_eq!(
            texts(&["microsoft.keyvault/VAULTS/keys/sign/action"]),
            ["Microsoft.KeyVault/vaults/keys/sign/action"]
        );
        assert_eq!(
            texts(&["Microsoft.KeyVault/vaults/*/read"]),
            [
                "Microsoft.KeyVault/vaults/certificates/read",
                "Microsoft.KeyVault/vaults/certificatecas/read",
                "Microsoft.KeyVault/vaults/keys/read",
            ]
        );
        assert_eq!(
            texts(&["Microsoft.KeyVault/vaults/secrets/*", "nothing/like/it"]),
            [
                "Microsoft.KeyVault/vaults/secrets/getSecret/action",
                "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
            ]
        );
        assert_eq!(texts(&["*"]).len(), DataAction::ALL.len());
        assert_eq!(texts(&["", "Microsoft.KeyVault/vaults/certificates", "read"]), Vec::<&str>::new());
    }

    #[test]
    fn a_pattern_that_a_slow_reader_would_take_long_for_is_read_at_once() {
        let pattern = "*a".repeat(100_000);
        assert!(texts(&[&pattern]).is_empty());
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set = ActionSet::default().with(DataAction::KeysRead).with(DataAction::CertificatesRead);
        assert!(set.has(DataAction::KeysRead) && !set.has(DataAction::KeysSign));
        assert!(ActionSet::ALL.covers(set) && set.covers(ActionSet::default()) && !set.covers(ActionSet::ALL));
    }
}
