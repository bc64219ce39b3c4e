//! Levels of the CAs of the server: when their certificates, lists and OCSP responders end. They are read from the store
//! now and then, so that every replica shows all.

use super::add;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::fmt;

/// CAs that have a series of their own: those that are first in the store. Vaults may make any number.
pub const MOST: usize = 200;

/// One CA.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuthorityLevel {
    pub vault: String,
    pub issuer: String,
    /// 32 hex digits, made of its key.
    pub authority: String,
    /// `requested`, `next`, `active` or `retired`.
    pub state: &'static str,
    /// When its certificate ends, in seconds since 1970; `None` while it has none.
    pub not_after: Option<i64>,
    pub lists: Option<ListsLevel>,
    /// When the certificate of its OCSP responder ends.
    pub responder_not_after: Option<i64>,
}

/// The revocation lists of a CA: of several the oldest, and all entries. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ListsLevel {
    pub this_update: i64,
    pub next_update: i64,
    pub entries: i64,
    /// Entries of the longest.
    pub longest: i64,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Labels {
    vault: String,
    issuer: String,
    authority: String,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct StateLabels {
    vault: String,
    issuer: String,
    authority: String,
    state: &'static str,
}

/// The gauges.
#[derive(Default)]
pub struct Authorities {
    not_after: Family<StateLabels, Gauge>,
    requested: Gauge,
    this_update: Family<Labels, Gauge>,
    next_update: Family<Labels, Gauge>,
    entries: Family<Labels, Gauge>,
    longest: Family<Labels, Gauge>,
    responder: Family<Labels, Gauge>,
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").finish_non_exhaustive()
    }
}

impl Authorities {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "When the certificate of a built-in CA ends";
        add(registry, "certmint_ca_not_after_timestamp_seconds", text, &self.not_after);
        let text = "Built-in CAs whose request waits for another CA to sign it";
        add(registry, "certmint_ca_requests_waiting", text, &self.requested);
        let text = "When the oldest revocation list of a built-in CA was made";
        add(registry, "certmint_ca_crl_this_update_timestamp_seconds", text, &self.this_update);
        let text = "When the first revocation list of a built-in CA ends";
        add(registry, "certmint_ca_crl_next_update_timestamp_seconds", text, &self.next_update);
        let text = "Entries of the revocation lists of a built-in CA";
        add(registry, "certmint_ca_crl_entries", text, &self.entries);
        let text = "Entries of the longest revocation list of a built-in CA; from 20,000 on it is large";
        add(registry, "certmint_ca_crl_longest_entries", text, &self.longest);
        let text = "When the certificate of the OCSP responder of a built-in CA ends";
        add(registry, "certmint_ca_ocsp_responder_not_after_timestamp_seconds", text, &self.responder);
    }

    /// Sets all of them; those of before that are not named go.
    pub fn set(&self, levels: &[AuthorityLevel]) {
        self.not_after.clear();
        for family in [&self.this_update, &self.next_update, &self.entries, &self.longest, &self.responder] {
            family.clear();
        }
        let waiting = levels.iter().filter(|level| level.state == "requested").count();
        self.requested.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        for level in levels.iter().take(MOST) {
            let AuthorityLevel { vault, issuer, authority, state, not_after, lists, responder_not_after } = level;
            let labels = Labels { vault: vault.clone(), issuer: issuer.clone(), authority: authority.clone() };
            if let Some(end) = not_after {
                let Labels { vault, issuer, authority } = labels.clone();
                self.not_after.get_or_create_owned(&StateLabels { vault, issuer, authority, state }).set(*end);
            }
            let lists = lists.iter().flat_map(|lists| {
                let ListsLevel { this_update, next_update, entries, longest } = *lists;
                [
                    (&self.this_update, this_update),
                    (&self.next_update, next_update),
                    (&self.entries, entries),
                    (&self.longest, longest),
                ]
            });
            let responder = responder_not_after.iter().map(|end| (&self.responder, *end));
            for (family, value) in lists.chain(responder) {
                family.get_or_create_owned(&labels).set(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn the_levels_of_cas_are_those_of_the_last_look_and_bounded() {
        let metrics = Metrics::new();
        let level = |number: usize| AuthorityLevel {
            vault: "default".into(),
            issuer: format!("ca-{number}"),
            authority: "a".into(),
            state: if number == 0 { "requested" } else { "active" },
            not_after: (number > 0).then_some(5),
            lists: (number == 1).then_some(ListsLevel { this_update: 1, next_update: 2, entries: 3, longest: 3 }),
            responder_not_after: None,
        };
        let count = |text: &str, name: &str| text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
        metrics.operations.authorities.set(&(0..500).map(level).collect::<Vec<_>>());
        let text = metrics.text();
        assert!(text.contains("certmint_ca_requests_waiting 1"), "{text}");
        assert!(text.contains(
            r#"certmint_ca_crl_next_update_timestamp_seconds{vault="default",issuer="ca-1",authority="a"} 2"#
        ));
        assert_eq!(count(&text, "certmint_ca_not_after_timestamp_seconds"), MOST - 1);
        metrics.operations.authorities.set(&[level(2)]);
        let text = metrics.text();
        assert_eq!(count(&text, "certmint_ca_crl_entries"), 0);
        assert_eq!(count(&text, "certmint_ca_not_after_timestamp_seconds"), 1);
    }
}
