//! What the build may consist of: licences that a service can ship, one TLS and crypto stack, no
//! C++ tool chain. Reads `cargo tree`, so it needs nothing installed.

use std::collections::BTreeSet;
use std::process::Command;

/// Licences that put no condition on the service but to name them.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "0BSD",
    "Unlicense",
    "CDLA-Permissive-2.0",
    "OpenSSL",
    "BSL-1.0",
];

/// A second TLS or crypto stack, and builds that need more than a C compiler.
const BANNED: &[&str] = &[
    "openssl",
    "openssl-sys",
    "native-tls",
    "ring",
    "boring",
    "boring-sys",
    "libressl",
    "mbedtls",
    "prost-validate",
    "protobuf-src",
    "cxx",
    "cmake-rs",
    "sqlx",
    "reqwest",
];

/// Name, version, licence and source of every package of the build, tests included. `cargo tree`
/// resolves features, where `cargo metadata` also lists what no feature asks for.
fn packages() -> Vec<[String; 3]> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--prefix",
            "none",
            "--no-dedupe",
            "--edges",
            "normal,build,dev",
            "--format",
            "{p}|{l}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let found: BTreeSet<[String; 3]> = text
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(package, licence)| {
            let name = package.split(' ').next().unwrap_or_default();
            [name.to_owned(), package.to_owned(), licence.to_owned()]
        })
        .filter(|[name, ..]| name != "certmint")
        .collect();
    assert!(found.len() > 50, "cargo tree listed only {} packages", found.len());
    found.into_iter().collect()
}

/// `(A OR B) AND C`: every part joined by AND needs one allowed alternative.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    split(&expression, " AND ").iter().all(|part| {
        let part = part.trim();
        match part.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            Some(inside) => allowed(inside),
            None => {
                let choices = split(part, " OR ");
                if choices.len() > 1 { choices.iter().any(|choice| allowed(choice)) } else { LICENCES.contains(&part) }
            }
        }
    })
}

/// Splits outside of brackets.
fn split(text: &str, by: &str) -> Vec<String> {
    let (mut depth, mut parts, mut current) = (0, Vec::new(), String::new());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if depth == 0 && rest.starts_with(by) {
            parts.push(std::mem::take(&mut current));
            rest = &rest[by.len()..];
            continue;
        }
        match next {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        current.push(next);
        rest = &rest[next.len_utf8()..];
    }
    parts.push(current);
    parts
}

#[test]
fn licences_are_permissive() {
    let bad: Vec<String> = packages()
        .into_iter()
        .filter(|[_, _, licence]| !allowed(licence))
        .map(|[_, package, licence]| format!("{package}: {licence}"))
        .collect();
    assert!(bad.is_empty(), "licences that are not on the list:\n{}", bad.join("\n"));
}

#[test]
fn there_is_one_crypto_stack() {
    let names: BTreeSet<String> = packages().into_iter().map(|[name, ..]| name).collect();
    let found: Vec<&&str> = BANNED.iter().filter(|name| names.contains(**name)).collect();
    assert!(found.is_empty(), "banned: {found:?}");
    assert!(names.contains("aws-lc-rs") && names.contains("rustls"));
}

#[test]
fn everything_comes_from_the_registry() {
    // A package from elsewhere is shown with its path or address in brackets.
    let elsewhere: Vec<String> = packages()
        .into_iter()
        .map(|[_, package, _]| package.replace(" (proc-macro)", ""))
        .filter(|package| package.contains('('))
        .collect();
    assert!(elsewhere.is_empty(), "not from the registry: {elsewhere:?}");
}

#[test]
fn the_licence_rule_reads_expressions() {
    assert!(allowed("MIT OR GPL-3.0"));
    assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(allowed("MIT/Apache-2.0"));
    assert!(!allowed("GPL-3.0"));
    assert!(!allowed("MIT AND GPL-3.0"));
}
