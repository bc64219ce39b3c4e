//! Use cases take what they are about in a permit: no public method of a subject takes the name of a vault, a
//! certificate or an issuer, or a request that has one, in any other way.

use crate::source::sources;

/// Types that say of which vault a request is.
const TARGETS: &[&str] = &[
    "CertificateName",
    "CertificateRef",
    "CreateRequest",
    "ImportRequest",
    "IssuerName",
    "IssuerRef",
    "ListPending",
    "ListRequest",
    "MergeRequest",
    "NewVault",
    "PendingRef",
    "UpdateRequest",
    "VaultName",
    "VersionRef",
    "WatchRequest",
];

/// What decides on permits, and the vaults that it decides with.
const BEFORE_PERMITS: &[&str] = &["src/service/access/permit.rs", "src/service/vaults/known.rs"];

#[test]
fn use_cases_take_names_in_permits_only() {
    let (mut with_permit, mut without) = (0, Vec::new());
    for source in sources() {
        let file = source.path.display().to_string();
        if !file.starts_with("src/service/") || BEFORE_PERMITS.contains(&file.as_str()) {
            continue;
        }
        for item in source.items().iter().filter(|item| item.implements().is_some()) {
            for head in item.methods().iter().filter(|head| head.starts_with("pub ") && head.contains("&self")) {
                let arguments = head.split(" -> ").next().unwrap_or_default();
                let mut rest = arguments.to_owned();
                while let Some(begin) = rest.find("Permit<") {
                    with_permit += 1;
                    let end = begin + closing(&rest[begin..]);
                    rest.replace_range(begin..end, "");
                }
                let words: Vec<&str> = rest.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
                if let Some(name) = TARGETS.iter().find(|name| words.contains(name)) {
                    without.push(format!("{file}: {head} takes a {name} without a permit"));
                }
            }
        }
    }
    assert!(with_permit > 35, "only {with_permit} use cases take a permit: the test does not see them");
    assert!(without.is_empty(), "{}", without.join("\n"));
}

/// Behind the bracket that closes the first one.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (index, c) in text.char_indices() {
        depth += i32::from(c == '<') - i32::from(c == '>');
        if c == '>' && depth == 0 {
            return index + 1;
        }
    }
    text.len()
}
