//! The records of rights that were made through the API: grants, roles, and what changed last.

use crate::domain::Timestamp;
use crate::domain::access::GrantInput;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use uuid::Uuid;

/// A grant that was made through the API. It is never changed: another one takes its place.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(in crate::service) struct GrantRecord {
    #[serde(with = "text")]
    pub(in crate::service) id: Uuid,
    /// With ids for the names of roles. A member that this version does not know makes the record unreadable, and the
    /// grant void: it may be a limit.
    pub(in crate::service) grant: GrantInput,
    pub(in crate::service) created: Timestamp,
    pub(in crate::service) created_by: String,
}

/// A role that was set through the API.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::service) struct RoleRecord {
    #[serde(with = "text")]
    pub(in crate::service) id: Uuid,
    pub(in crate::service) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(in crate::service) description: String,
    pub(in crate::service) actions: Vec<String>,
    /// When it was set last, and by whom.
    pub(in crate::service) changed: Timestamp,
    pub(in crate::service) changed_by: String,
}

/// An id as text, with dashes.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Uuid, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Uuid, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        Uuid::try_parse(&text).map_err(de::Error::custom)
    }
}

/// How many changes of rights are remembered: a replica that missed more of them reads everything.
const KEPT: usize = 64;

/// The last changes of grants and roles. Every change writes it, so that changes follow one another, and a replica
/// that looks at it alone knows what to read.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub(in crate::service) struct RightsChanges {
    /// Drawn when the record was made: numbers of another one say nothing about this.
    #[serde(with = "text", default)]
    pub(in crate::service) history: Uuid,
    /// How many changes there were.
    pub(in crate::service) number: u64,
    /// The keys of the records of the last changes; the newest is the last.
    pub(in crate::service) recent: VecDeque<String>,
}

impl RightsChanges {
    pub(super) const NAME: &str = "latest";

    /// After one more change; `fresh` is the history of a record that was not there.
    pub(in crate::service) fn and(&self, key: &str, fresh: Uuid) -> Self {
        let mut next = self.clone();
        if next.history.is_nil() {
            next.history = fresh;
        }
        next.number += 1;
        if next.recent.len() >= KEPT {
            next.recent.pop_front();
        }
        next.recent.push_back(key.to_owned());
        next
    }

    /// The keys of what changed after this number of changes; `None` if that is not known.
    pub(in crate::service) fn since(&self, number: u64) -> Option<impl Iterator<Item = &String>> {
        let missed = usize::try_from(self.number.checked_sub(number)?).ok()?;
        let skipped = self.recent.len().checked_sub(missed)?;
        Some(self.recent.iter().skip(skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_missed_few_changes_knows_which() {
        let mut changes = RightsChanges::default();
        for number in 1..=100_u128 {
            changes = changes.and(&number.to_string(), Uuid::from_u128(number));
        }
        let since = |number| changes.since(number).map(|keys| keys.cloned().collect::<Vec<_>>().join(" "));
        assert_eq!((changes.number, changes.recent.len(), changes.history), (100, KEPT, Uuid::from_u128(1)));
        assert_eq!(since(98).as_deref(), Some("99 100"));
        assert_eq!(since(100).as_deref(), Some(""));
        assert_eq!(since(36).unwrap().split(' ').next(), Some("37"));
        assert_eq!((since(35), since(101)), (None, None), "too far behind, or of a store that was set back");
        assert_eq!(RightsChanges::default().since(0).unwrap().count(), 0);
    }
}
