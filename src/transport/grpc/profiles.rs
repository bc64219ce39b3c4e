//! The profiles of a built-in CA over gRPC: the same texts as over REST, in a message.

use crate::domain::profile::{NamesText, ProfileText, Profiles, ProfilesInput};
use crate::proto::v1;
use std::collections::BTreeMap;

/// Empty fields say nothing.
fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn list(list: Vec<String>) -> Option<Vec<String>> {
    (!list.is_empty()).then_some(list)
}

/// What a message says of profiles.
pub(super) fn input(profiles: BTreeMap<String, v1::IssuerProfile>, default_profile: String) -> ProfilesInput {
    ProfilesInput {
        profiles: profiles.into_iter().map(|(name, profile)| (name, Some(text(profile)))).collect(),
        default: filled(default_profile),
    }
}

fn text(profile: v1::IssuerProfile) -> ProfileText {
    let v1::IssuerProfile {
        max_validity,
        validity,
        names,
        keys,
        ekus,
        key_usages,
        subject,
        organization,
        max_names,
        revocation,
        must_staple,
    } = profile;
    ProfileText {
        max_validity: filled(max_validity),
        validity: filled(validity),
        names: names.map(|names| {
            let v1::IssuerProfileNames { dns_names, ip_addresses, emails, uris, upns, wildcards } = names;
            NamesText {
                dns: list(dns_names),
                ip: list(ip_addresses),
                emails: list(emails),
                uris: list(uris),
                upns: list(upns),
                wildcards: wildcards.then_some(true),
            }
        }),
        keys: list(keys),
        ekus: list(ekus),
        key_usage: list(key_usages),
        subject: filled(subject),
        o: filled(organization),
        max_names: (max_names > 0).then_some(max_names),
        revocation: filled(revocation),
        must_staple: must_staple.then_some(true),
    }
}

/// The profiles as the contract has them, and the default.
pub(super) fn message(profiles: Profiles) -> (BTreeMap<String, v1::IssuerProfile>, String) {
    let Profiles { default, profiles } = profiles;
    (profiles.into_iter().map(|(name, text)| (name, profile(text))).collect(), default.unwrap_or_default())
}

fn profile(text: ProfileText) -> v1::IssuerProfile {
    let ProfileText {
        max_validity,
        validity,
        names,
        keys,
        ekus,
        key_usage,
        subject,
        o,
        max_names,
        revocation,
        must_staple,
    } = text;
    v1::IssuerProfile {
        max_validity: max_validity.unwrap_or_default(),
        validity: validity.unwrap_or_default(),
        names: names.map(|names| {
            let NamesText { dns, ip, emails, uris, upns, wildcards } = names;
            v1::IssuerProfileNames {
                dns_names: dns.unwrap_or_default(),
                ip_addresses: ip.unwrap_or_default(),
                emails: emails.unwrap_or_default(),
                uris: uris.unwrap_or_default(),
                upns: upns.unwrap_or_default(),
                wildcards: wildcards.unwrap_or(false),
            }
        }),
        keys: keys.unwrap_or_default(),
        ekus: ekus.unwrap_or_default(),
        key_usages: key_usage.unwrap_or_default(),
        subject: subject.unwrap_or_default(),
        organization: o.unwrap_or_default(),
        max_names: max_names.unwrap_or(0),
        revocation: revocation.unwrap_or_default(),
        must_staple: must_staple.unwrap_or(false),
    }
}
