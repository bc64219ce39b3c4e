//! Brings a record under the newest master key: the data keys of its sealed values are wrapped anew, and its code is made
//! anew over the same value. What does not verify stays as it is: no damaged record gets a good code.

use super::body::{self, Problem};
use super::codec::Codec;
use super::key::Place;
use super::kinds::{Kind, OfKind, Stored};
use crate::domain::Blob;
use crate::keys::{SealContext, Sealer};
use crate::store::{Record, Revision};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// How a record stands to the master keys.
#[derive(Debug)]
pub(in crate::service) struct Standing {
    /// The master keys that it needs as it is: that of its code, and those of its sealed values. None where the code is
    /// wrong: no key makes it readable.
    pub(in crate::service) keys: BTreeSet<String>,
    pub(in crate::service) next: Next,
}

/// What is to be done with it.
#[derive(Debug)]
pub(in crate::service) enum Next {
    /// Nothing: it needs the newest master key alone.
    Nothing,
    /// It is to be written with this body.
    Body(Vec<u8>),
    /// It stays as it is, and why.
    Stays(Stays),
}

/// Why a record stays as it is.
#[derive(Debug)]
pub(in crate::service) enum Stays {
    /// It was changed or moved, or cannot be read; it is of no use to anybody.
    Damaged(String),
    /// It may be well: it needs a master key that is not there, or a newer version wrote it.
    Unknown(String),
}

impl Stays {
    fn because(problem: &Problem) -> Self {
        if problem.is_damage() { Self::Damaged(problem.to_string()) } else { Self::Unknown(problem.to_string()) }
    }
}

/// The sealed values of a record: the ids of their master keys, and those that are to be replaced, old and new.
struct Found {
    keys: BTreeSet<String>,
    replaced: Result<Vec<(Blob, Blob)>, Stays>,
}

impl Codec {
    /// How a record stands to the master keys, and its body under the newest one. It always verifies, whatever was
    /// verified before.
    pub(in crate::service) fn standing(&self, record: &Record) -> Standing {
        let stays = |keys, why| Standing { keys, next: Next::Stays(why) };
        let named = body::master_key_of(&record.body).map(str::to_owned);
        let value = match body::verified(self.authenticator(), &record.key, &record.body) {
            Some(Ok(value)) => value,
            Some(Err(problem)) => {
                let keys = named.filter(|_| !problem.is_damage()).into_iter().collect();
                return stays(keys, Stays::because(&problem));
            }
            None => return stays(BTreeSet::new(), Stays::because(&Problem::Bare)),
        };
        let mut keys: BTreeSet<String> = named.into_iter().collect();
        let Some(kind) = Kind::of(&record.key) else {
            return stays(keys, Stays::Unknown("it is of a kind that this version does not know".to_owned()));
        };
        let Found { keys: sealed, replaced } = kind.with_type(Look { codec: self, record, value });
        keys.extend(sealed);
        let replaced = match replaced {
            Ok(replaced) => replaced,
            Err(why) => return stays(keys, why),
        };
        let newest = self.authenticator().newest();
        if keys.iter().all(|key| key == newest) {
            return Standing { keys, next: Next::Nothing };
        }
        match self.under_newest(kind, record, value, &replaced) {
            Some(body) => Standing { keys, next: Next::Body(body) },
            None => stays(keys, Stays::Unknown("what is sealed in it is not where it ought to be".to_owned())),
        }
    }

    /// The body under the newest master key. Every byte of the value stays but for the sealed values, so that nothing is
    /// lost which a newer version wrote beside them.
    fn under_newest(&self, kind: Kind, record: &Record, value: &[u8], replaced: &[(Blob, Blob)]) -> Option<Vec<u8>> {
        let mut value = std::str::from_utf8(value).ok()?.to_owned();
        for (old, new) in replaced {
            let (old, new) = (serde_json::to_string(old).ok()?, serde_json::to_string(new).ok()?);
            if !value.contains(&old) {
                return None;
            }
            value = value.replace(&old, &new);
        }
        if matches!(kind, Kind::Request | Kind::Repeat) {
            value = with_revision(&value, record.revision)?;
        }
        body::recoded(self.authenticator(), &record.key, &record.body, value.as_bytes())
    }
}

/// A repeat of a request gets everything since the creation, not since its record was written again.
fn with_revision(value: &str, revision: Revision) -> Option<String> {
    let mut read: Value = serde_json::from_str(value).ok()?;
    let members = read.as_object_mut()?;
    if members.get("revision").is_some_and(|known| !known.is_null()) {
        return Some(value.to_owned());
    }
    members.insert("revision".to_owned(), revision.into());
    serde_json::to_string(&read).ok()
}

/// Looks into a value that was verified.
struct Look<'a> {
    codec: &'a Codec,
    record: &'a Record,
    value: &'a [u8],
}

impl Look<'_> {
    /// The value, and where it lies.
    fn value<T: Stored>(&self) -> Result<(T, Place<'_>), Stays> {
        let unreadable = |error: serde_json::Error| Stays::because(&Problem::Unreadable(error.to_string()));
        let value: T = serde_json::from_slice(self.value).map_err(unreadable)?;
        let place = Place::of(&self.record.key).filter(|place| value.belongs(place));
        let place = place.ok_or_else(|| Stays::because(&Problem::Elsewhere))?;
        Ok((value, place))
    }

    /// The sealed value under the newest master key.
    fn again(&self, sealed: &Blob, context: &SealContext) -> Result<Blob, Stays> {
        let sealer = self.codec.sealer();
        if let Some(unknown) = sealer.unknown_key(&sealed.0) {
            return Err(Stays::Unknown(format!("what is sealed in it needs the unknown master key {unknown}")));
        }
        let again = sealer.rewrap(&sealed.0, context).map(Blob);
        again.ok_or_else(|| Stays::Damaged(format!("what is sealed in it ({context}) does not open in its place")))
    }
}

impl OfKind for Look<'_> {
    type Answer = Found;

    fn of<T: Stored + Serialize>(self) -> Self::Answer {
        let (value, place) = match self.value::<T>() {
            Ok(found) => found,
            Err(why) => return Found { keys: BTreeSet::new(), replaced: Err(why) },
        };
        let newest = self.codec.authenticator().newest();
        let (mut keys, mut replaced) = (BTreeSet::new(), Ok(Vec::new()));
        for (sealed, context) in value.sealed(&place) {
            let id = Sealer::master_key_of(&sealed.0).unwrap_or_default();
            keys.extend((!id.is_empty()).then(|| id.to_owned()));
            if id != newest
                && let Ok(all) = &mut replaced
            {
                match self.again(sealed, &context) {
                    Ok(again) => all.push((sealed.clone(), again)),
                    Err(why) => replaced = Err(why),
                }
            }
        }
        Found { keys, replaced }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Contacts, VaultName};
    use crate::keys::MasterKeys;
    use crate::service::records::{IssuerStateRecord, RequestRecord, key};
    use std::sync::Arc;

    const OLD: &str = "a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const NEW: &str = "b AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn codec(text: &str) -> Codec {
        Codec::new(Arc::new(Sealer::new(MasterKeys::from_text(text).unwrap())))
    }

    fn record(codec: &Codec, key: &str, value: &Value) -> Record {
        let body = super::super::record_body(codec.sealer(), key, value);
        Record { key: key.to_owned(), revision: 7, body, due: None }
    }

    fn state(codec: &Codec) -> Record {
        let sealed = |context| Blob(codec.sealer().seal(b"secret", &context).unwrap());
        let value = serde_json::json!({
            "vault": "shop",
            "issuer": "Corp",
            "provider": "ACME",
            "state": sealed(SealContext::issuer_state("shop", "corp")),
            "secrets": sealed(SealContext::issuer_secrets("shop", "corp")),
            "of_a_newer_version": 1.0,
        });
        record(codec, "issuer-states/shop/corp", &value)
    }

    fn anew(codec: &Codec, record: &Record) -> Record {
        let Standing { next: Next::Body(body), .. } = codec.standing(record) else { panic!("nothing to do") };
        Record { body, ..record.clone() }
    }

    fn ids(standing: &Standing) -> Vec<&str> {
        standing.keys.iter().map(String::as_str).collect()
    }

    #[test]
    fn sealed_values_and_the_code_come_under_the_newest_master_key_and_nothing_else_changes() {
        let (both, new) = (codec(&format!("{OLD}\n{NEW}")), codec(NEW));
        let old = state(&codec(OLD));
        assert_eq!(ids(&both.standing(&old)), ["a"]);
        let again = anew(&both, &old);
        let read: IssuerStateRecord = new.read(&again).unwrap();
        let context = SealContext::issuer_state("shop", "corp");
        assert_eq!(new.sealer().open(&read.state.0, &context).unwrap().as_slice(), b"secret");
        let context = SealContext::issuer_secrets("shop", "corp");
        assert_eq!(new.sealer().open(&read.secrets.unwrap().0, &context).unwrap().as_slice(), b"secret");
        assert!(String::from_utf8(again.body.clone()).unwrap().contains(r#""of_a_newer_version":1.0"#));
        let standing = both.standing(&again);
        assert_eq!(ids(&standing), ["b"]);
        assert!(matches!(standing.next, Next::Nothing));
    }

    #[test]
    fn a_record_that_was_changed_or_moved_stays_as_it_is_and_needs_no_key() {
        let both = codec(&format!("{OLD}\n{NEW}"));
        let good = state(&codec(OLD));
        let text = String::from_utf8(good.body.clone()).unwrap();
        for damaged in [
            Record { body: text.replace("ACME", "ACMF").into_bytes(), ..good.clone() },
            Record { key: "issuer-states/shop/other".to_owned(), ..good.clone() },
            Record { body: br#"{"format":1,"value":{}}"#.to_vec(), ..good.clone() },
        ] {
            let standing = both.standing(&damaged);
            assert!(matches!(standing.next, Next::Stays(Stays::Damaged(_))), "{standing:?}");
            assert!(standing.keys.is_empty(), "{standing:?}");
        }
    }

    #[test]
    fn what_does_not_open_in_its_place_or_cannot_be_read_stays_and_still_counts_for_its_key() {
        let (both, old) = (codec(&format!("{OLD}\n{NEW}")), codec(OLD));
        let mut body: Value = serde_json::from_slice(&state(&old).body).unwrap();
        body["value"]["issuer"] = "other".into();
        let moved = record(&old, "issuer-states/shop/other", &body["value"]);
        let unreadable = record(&old, "contacts/shop", &serde_json::json!({"of": "the future"}));
        for left in [moved, unreadable] {
            let standing = both.standing(&left);
            assert!(matches!(standing.next, Next::Stays(Stays::Damaged(_))), "{standing:?}");
            assert_eq!(ids(&standing), ["a"]);
        }
    }

    #[test]
    fn what_this_version_does_not_know_stays_as_it_is_and_counts_for_its_key() {
        let both = codec(&format!("{OLD}\n{NEW}"));
        let of_the_future = record(&codec(OLD), "tomorrow/shop/web", &serde_json::json!({}));
        let of_another_key = state(&codec("c AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="));
        for (record, key) in [(of_the_future, "a"), (of_another_key, "c")] {
            let standing = both.standing(&record);
            assert!(matches!(standing.next, Next::Stays(Stays::Unknown(_))), "{standing:?}");
            assert_eq!(ids(&standing), [key]);
        }
    }

    #[test]
    fn a_repeat_of_a_request_still_begins_at_its_creation() {
        let both = codec(&format!("{OLD}\n{NEW}"));
        let value = serde_json::json!({
            "certificate": "web", "request_id": "0123456789abcdef0123456789abcdef", "fingerprint": "f", "created": 1,
        });
        let place = "requests/shop/0123456789abcdef0123456789abcdef";
        let again = anew(&both, &record(&codec(OLD), place, &value));
        assert_eq!(codec(NEW).read::<RequestRecord>(&again).unwrap().revision, Some(7));
        let later = Record {
            revision: 9,
            ..record(&codec(OLD), place, &{
                let mut value = value.clone();
                value["revision"] = 3.into();
                value
            })
        };
        assert_eq!(codec(NEW).read::<RequestRecord>(&anew(&both, &later)).unwrap().revision, Some(3));
    }

    #[test]
    fn a_record_without_sealed_values_gets_a_code_of_the_newest_key() {
        let both = codec(&format!("{OLD}\n{NEW}"));
        let place = key::contacts(&VaultName::parse("shop").unwrap());
        let old = record(&codec(OLD), place.as_str(), &serde_json::json!([]));
        assert!(codec(NEW).read::<Contacts>(&anew(&both, &old)).is_ok());
    }
}
