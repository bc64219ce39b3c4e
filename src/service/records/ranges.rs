//! The keys that a caller may see of a list: where he may see only some names, only those are read.

use super::key::Prefix;
use crate::domain::access::NamePattern;
use crate::store::{MAX_KEYS, Record, Store, StoreError};

/// Parts of a list of `T`, in the order of their keys and without overlaps.
#[derive(Debug)]
pub(in crate::service) struct Ranges<T> {
    prefix: Prefix<T>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Part {
    /// Every key that begins so.
    Beginning(String),
    One(String),
}

impl Part {
    fn text(&self) -> &str {
        match self {
            Self::Beginning(text) | Self::One(text) => text,
        }
    }

    /// Whether all of it is up to this key.
    fn is_behind(&self, after: &str) -> bool {
        match self {
            Self::Beginning(begin) => begin.as_str() < after && !after.starts_with(begin.as_str()),
            Self::One(key) => key.as_str() <= after,
        }
    }
}

impl<T> Ranges<T> {
    /// The whole list.
    pub(in crate::service) fn whole(prefix: Prefix<T>) -> Self {
        let parts = vec![Part::Beginning(prefix.as_str().to_owned())];
        Self { prefix, parts }
    }

    /// Of the list of one vault what has these names.
    pub(in crate::service) fn of(prefix: Prefix<T>, names: &[NamePattern]) -> Self {
        let mut ranges = Self { prefix, parts: Vec::with_capacity(names.len()) };
        let begin = ranges.prefix.as_str().to_owned();
        ranges.add(&begin, names);
        ranges
    }

    /// Of several lists below the prefix what has these names: each list by how its keys begin.
    pub(in crate::service) fn of_several(prefix: Prefix<T>, lists: Vec<(Prefix<T>, Vec<NamePattern>)>) -> Self {
        let mut ranges = Self { prefix, parts: Vec::new() };
        for (list, names) in lists {
            ranges.add(list.as_str(), &names);
        }
        ranges
    }

    fn add(&mut self, begin: &str, names: &[NamePattern]) {
        self.parts.extend(names.iter().map(|pattern| {
            let key = format!("{begin}{}", pattern.text());
            match pattern {
                NamePattern::Exact(_) => Part::One(key),
                NamePattern::Prefix(_) => Part::Beginning(key),
            }
        }));
        self.parts.sort_by(|one, other| one.text().cmp(other.text()));
    }

    /// What the keys of all parts begin with.
    pub(in crate::service) fn prefix(&self) -> &str {
        self.prefix.as_str()
    }

    /// Only what also begins with these characters behind the prefix.
    #[must_use]
    pub(in crate::service) fn beginning_with(mut self, characters: &str) -> Self {
        let begin = format!("{}{characters}", self.prefix.as_str());
        self.parts.retain_mut(|part| {
            if let Part::Beginning(wider) = part
                && begin.starts_with(wider.as_str())
            {
                wider.clone_from(&begin);
            }
            part.text().starts_with(&begin)
        });
        self
    }

    /// Up to `limit` records behind the key `after`, in the order of their keys; fewer only where there are no more.
    pub(in crate::service) async fn read(
        &self,
        store: &dyn Store,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let mut found: Vec<Record> = Vec::new();
        let mut rest = &self.parts[self.parts.partition_point(|part| part.is_behind(after))..];
        while let Some(part) = rest.first().filter(|_| found.len() < limit) {
            match part {
                Part::Beginning(begin) => {
                    let from = if after.starts_with(begin.as_str()) { after } else { "" };
                    found.append(&mut store.list(begin, from, limit - found.len()).await?);
                    rest = &rest[1..];
                }
                // Names side by side are one question.
                Part::One(_) => {
                    let most = MAX_KEYS.min(limit - found.len());
                    let keys: Vec<String> = rest
                        .iter()
                        .take(most)
                        .map_while(|part| if let Part::One(key) = part { Some(key.clone()) } else { None })
                        .collect();
                    rest = &rest[keys.len()..];
                    found.extend(store.get_many(&keys).await?.into_iter().flatten());
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, key};
    use super::*;
    use crate::domain::{CertificateEntry, VaultName};

    fn patterns(texts: &[&str]) -> Vec<NamePattern> {
        texts.iter().map(|text| NamePattern::parse(text).unwrap()).collect()
    }

    fn list(vault: &str) -> Prefix<CertificateEntry> {
        key::certificates_of(&VaultName::parse(vault).unwrap())
    }

    fn parts(ranges: &Ranges<CertificateEntry>) -> Vec<String> {
        let text = |part: &Part| match part {
            Part::Beginning(begin) => format!("{begin}*"),
            Part::One(key) => key.clone(),
        };
        ranges.parts.iter().map(text).collect()
    }

    #[test]
    fn a_beginning_narrows_what_may_be_seen() {
        for (allowed, begin, expected) in [
            (&["*"][..], "web", &["certificates/v/web*"][..]),
            (&["web"], "we", &["certificates/v/web"]),
            (&["shop-*"], "shop-1", &["certificates/v/shop-1*"]),
            (&["shop-*"], "s", &["certificates/v/shop-*"]),
            (&["shop-*", "x"], "web", &[]),
        ] {
            let ranges = Ranges::of(list("v"), &patterns(allowed)).beginning_with(begin);
            assert_eq!(parts(&ranges), expected, "{allowed:?} {begin}");
        }
    }

    #[test]
    fn lists_of_several_vaults_are_in_the_order_of_the_store() {
        let lists = ["v", "v-b"].map(|vault| (list(vault), patterns(&["shop-*", "web"]))).into();
        let ranges = Ranges::of_several(Prefix::all(Kind::Certificate), lists);
        let expected = ["v-b/shop-*", "v-b/web", "v/shop-*", "v/web"].map(|name| format!("certificates/{name}"));
        assert_eq!(parts(&ranges), expected);
        let behind = |after: &str| ranges.parts.partition_point(|part| part.is_behind(after));
        assert_eq!(behind(""), 0);
        assert_eq!(behind("certificates/v-b/shop-1"), 0, "there may be more of these");
        assert_eq!(behind("certificates/v-b/shopx"), 1);
        assert_eq!(behind("certificates/v-b/web"), 2);
        assert_eq!(behind("certificates/v/x"), 4);
    }
}
