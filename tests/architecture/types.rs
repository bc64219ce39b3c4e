//! No type is too large, however many files it lies in.

use crate::source::sources;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// More than these is two things.
const MAX_METHODS: usize = 30;
const MAX_FIELDS: usize = 10;

/// What is wider: plain data whose members are those of a stored, wire or file form, and the counters of the metrics. A
/// number rises only where such a form gets a member.
const WIDE_DATA: &[(&str, usize)] = &[
    ("AgentConfig", 14),
    ("Certificate", 16),
    ("CertificateEntry", 13),
    ("Config", 24),
    ("Connection", 12),
    ("Facts", 19),
    ("IssuerBody", 12),
    ("JwtOptions", 14),
    ("Limits", 20),
    ("ListenerOptions", 17),
    ("Metrics", 20),
    ("Operation", 13),
    ("OutputConfig", 11),
    ("PolicyArgs", 13),
    ("PolicyBody", 13),
    ("PolicyInput", 17),
    ("ProfileText", 11),
    ("RulesInput", 12),
    ("SavedVersion", 14),
    ("Scalars", 18),
    ("SqliteOptions", 11),
    ("StoreOptions", 22),
    ("X509Body", 12),
];

#[test]
fn no_type_has_too_many_fields() {
    let known: BTreeMap<&str, usize> = WIDE_DATA.iter().copied().collect();
    let (mut too_wide, mut widest) = (Vec::new(), BTreeMap::<String, usize>::new());
    for source in sources() {
        for declared in source.types() {
            if declared.fields > known.get(declared.name.as_str()).copied().unwrap_or(MAX_FIELDS) {
                too_wide.push(format!("{}: {} has {} fields", source.path.display(), declared.name, declared.fields));
            }
            let widest = widest.entry(declared.name).or_default();
            *widest = declared.fields.max(*widest);
        }
    }
    assert!(too_wide.is_empty(), "more than {MAX_FIELDS} fields:\n{}", too_wide.join("\n"));
    let loose: Vec<_> = WIDE_DATA.iter().filter(|(name, fields)| widest.get(*name) != Some(fields)).collect();
    assert!(loose.is_empty(), "WIDE_DATA allows more than there is: {loose:?}");
}

#[test]
fn no_type_has_too_many_methods() {
    let sources = sources();
    let types: Vec<(&PathBuf, String)> =
        sources.iter().flat_map(|source| source.types().map(move |declared| (&source.path, declared.name))).collect();
    let mut methods: BTreeMap<(&PathBuf, String), usize> = BTreeMap::new();
    for source in &sources {
        for (name, _) in source.functions() {
            // The type of this name in the same file, else in the nearest folder above.
            let near = |file: &PathBuf| {
                let parts = file.components().zip(source.path.components());
                if *file == source.path { usize::MAX } else { parts.take_while(|(one, other)| one == other).count() }
            };
            let place = types.iter().filter(|(_, declared)| *declared == name).map(|(file, _)| *file);
            let place = place.max_by_key(|file| near(file)).unwrap_or(&source.path);
            *methods.entry((place, name)).or_default() += 1;
        }
    }
    assert!(methods.values().sum::<usize>() > 1000, "the test does not see the methods");
    let too_many: Vec<String> = methods
        .into_iter()
        .filter(|(_, count)| *count > MAX_METHODS)
        .map(|((file, name), count)| format!("{}: {name} has {count} methods", file.display()))
        .collect();
    assert!(too_many.is_empty(), "more than {MAX_METHODS} methods:\n{}", too_many.join("\n"));
}
