//! The arrows of ARCHITECTURE.md and the rules of the house: those of whole folders on plain text, circles, sizes of types
//! and settings by the items of each file.

mod commits;
mod imports;
mod permits;
mod settings;
mod source;
mod types;

use std::fs;
use std::path::{Path, PathBuf};

/// A file begins with what it is for, and holds one idea.
const MAX_LINES: usize = 400;

/// (folder or file, words that never stand in its code)
const NEVER: &[(&str, &[&str])] = &[
    (
        "src/domain",
        &[
            "crate::app",
            "crate::cli",
            "crate::config",
            "crate::issuer",
            "crate::keys",
            "crate::proto",
            "crate::service",
            "crate::store",
            "crate::transport",
            "crate::worker",
            "crate::clock",
            "tokio::",
            "tonic::",
            "axum::",
            "rusqlite::",
            "tokio_postgres::",
            "async fn",
            "SystemTime",
            "now_utc",
        ],
    ),
    (
        "src/store",
        &[
            "crate::service",
            "crate::transport",
            "crate::proto",
            "crate::issuer",
            "crate::keys",
            "crate::app",
            "crate::config",
            "tonic::",
            "axum::",
        ],
    ),
    ("src/store/mod.rs", &["rusqlite::", "tokio_postgres::"]),
    (
        "src/issuer",
        &[
            "crate::service",
            "crate::transport",
            "crate::proto",
            "crate::store",
            "crate::app",
            "crate::config",
            "tonic::",
            "axum::",
        ],
    ),
    (
        "src/outbound",
        &[
            "crate::app",
            "crate::cli",
            "crate::config",
            "crate::issuer",
            "crate::keys",
            "crate::proto",
            "crate::service",
            "crate::store",
            "crate::transport",
            "crate::worker",
            "tonic::",
            "axum::",
        ],
    ),
    (
        "src/keys",
        &[
            "crate::service",
            "crate::transport",
            "crate::proto",
            "crate::store",
            "crate::issuer",
            "crate::app",
            "crate::config",
            "tonic::",
            "axum::",
        ],
    ),
    (
        "src/service",
        &[
            "crate::transport",
            "crate::proto",
            "crate::app",
            "crate::config",
            "crate::worker",
            "store::postgres",
            "store::sqlite",
            "store::Sqlite",
            "issuer::self_signed",
            "issuer::local_ca",
            "issuer::test",
            "SelfSigned",
            "LocalCa",
            "TestIssuer",
            "tonic::",
            "axum::",
            "rusqlite::",
            "tokio_postgres::",
        ],
    ),
    (
        "src/limits.rs",
        &[
            "crate::app",
            "crate::config",
            "crate::issuer",
            "crate::keys",
            "crate::service",
            "crate::store",
            "crate::transport",
        ],
    ),
    (
        "src/jwt",
        &[
            "crate::app",
            "crate::cli",
            "crate::config",
            "crate::issuer",
            "crate::keys",
            "crate::proto",
            "crate::service",
            "crate::store",
            "crate::transport",
            "tonic::",
            "axum::",
        ],
    ),
    (
        "src/mtls",
        &[
            "crate::app",
            "crate::cli",
            "crate::config",
            "crate::issuer",
            "crate::proto",
            "crate::service",
            "crate::store",
            "crate::transport",
            "tonic::",
            "axum::",
        ],
    ),
    ("src/peers.rs", &["crate::"]),
    ("src/repeated.rs", &["crate::"]),
    ("src/regular_file.rs", &["crate::"]),
    ("src/line_file.rs", &["crate::"]),
    ("src/process_group.rs", &["crate::"]),
    (
        "src/worker.rs",
        &["crate::store", "crate::issuer", "crate::transport", "crate::keys", "crate::config", "tonic::", "axum::"],
    ),
    (
        "src/transport",
        &["crate::store", "crate::issuer", "crate::keys", "crate::app", "crate::config", "crate::worker", "rusqlite::"],
    ),
    ("src/metrics", &["crate::", "tokio::", "tonic::", "axum::", "rusqlite::", "async fn"]),
    (
        "src/metrics.rs",
        &[
            "crate::app",
            "crate::cli",
            "crate::domain",
            "crate::issuer",
            "crate::keys",
            "crate::service",
            "crate::store",
            "crate::transport",
            "crate::worker",
        ],
    ),
    (
        "src/cli",
        &[
            "crate::service",
            "crate::store",
            "crate::issuer",
            "crate::keys",
            "crate::transport",
            "crate::worker",
            "crate::domain",
        ],
    ),
    (
        "src/agent",
        &[
            "crate::app",
            "crate::service",
            "crate::store",
            "crate::issuer",
            "crate::outbound",
            "crate::jwt",
            "crate::worker",
            "crate::transport::grpc",
            "crate::transport::rest",
            "crate::transport::auth",
        ],
    ),
];

/// (folder, words that stand in its code although they are forbidden around it)
const EXCEPT: &[(&str, &[&str])] = &[("src/issuer/plugin", &["crate::proto", "tonic::"])];

/// Adapters do not know each other.
const ADAPTERS: &[(&str, &[&str])] = &[
    ("src/issuer", &["acme", "atlas", "digicert", "globalsign", "local_ca", "plugin", "self_signed", "test"]),
    ("src/store", &["postgres", "sqlite"]),
];

#[test]
fn arrows_point_one_way() {
    let mut broken = Vec::new();
    for (place, never) in NEVER {
        for file in rust_files(Path::new(place)) {
            for (number, code) in code_lines(&file) {
                let excepted =
                    |word: &str| EXCEPT.iter().any(|(folder, words)| file.starts_with(folder) && words.contains(&word));
                for word in never.iter().filter(|word| code.contains(**word) && !excepted(word)) {
                    broken.push(format!("{}:{number}: {word}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "forbidden by ARCHITECTURE.md:\n{}", broken.join("\n"));
}

#[test]
fn adapters_do_not_know_each_other() {
    let mut broken = Vec::new();
    for (folder, adapters) in ADAPTERS {
        for adapter in *adapters {
            let own = [format!("{folder}/{adapter}.rs"), format!("{folder}/{adapter}/")];
            for file in rust_files(Path::new(folder)) {
                let path = file.display().to_string();
                if path == format!("{folder}/mod.rs") || own.iter().any(|own| path.starts_with(own.as_str())) {
                    continue;
                }
                for (number, code) in code_lines(&file) {
                    if code.contains(&format!("{adapter}::")) {
                        broken.push(format!("{path}:{number}: {adapter}"));
                    }
                }
            }
        }
    }
    assert!(broken.is_empty(), "adapters that know each other:\n{}", broken.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for_and_stays_small() {
    let mut bad = Vec::new();
    for file in rust_files(Path::new("src")) {
        let text = fs::read_to_string(&file).unwrap();
        if !text.starts_with("//!") {
            bad.push(format!("{}: does not begin with what it is for", file.display()));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            bad.push(format!("{}: {lines} lines, more than {MAX_LINES}", file.display()));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn every_sql_statement_names_its_function() {
    let mut bad = Vec::new();
    for file in rust_files(Path::new("src/store")) {
        for (number, code) in code_lines(&file) {
            let text = code.trim_start().trim_start_matches('"');
            let naked =
                ["SELECT ", "INSERT ", "UPDATE ", "DELETE "].iter().any(|verb| code.contains(&format!("\"{verb}")));
            if naked {
                bad.push(format!("{}:{number}: {text}", file.display()));
            }
        }
    }
    assert!(bad.is_empty(), "statements whose first line is not `-- name_of_the_function`:\n{}", bad.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let later = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("unimple", "mented!("),
        concat!("to", "do!("),
    ];
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "proto", "docs"] {
        for file in files(Path::new(folder)) {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            for (number, line) in text.lines().enumerate() {
                if later.iter().any(|word| line.contains(word)) {
                    found.push(format!("{}:{}: {line}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "unfinished work:\n{}", found.join("\n"));
}

#[test]
fn every_document_that_is_named_exists() {
    let mut missing = Vec::new();
    for folder in ["src", "tests", "benches", "proto"] {
        for file in files(Path::new(folder)) {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            for rest in text.split("docs/").skip(1) {
                let name: String =
                    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "/-_.".contains(*c)).collect();
                let name = name.trim_end_matches('.');
                if name.ends_with(".md") && !Path::new("docs").join(name).is_file() {
                    missing.push(format!("{}: docs/{name}", file.display()));
                }
            }
        }
    }
    let documents = files(Path::new("docs")).into_iter().chain(files(Path::new(".")).into_iter().filter(|file| {
        file.parent() == Some(Path::new(".")) && file.extension().is_some_and(|extension| extension == "md")
    }));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap_or_default();
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            let folder = document.parent().unwrap_or(Path::new("."));
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                missing.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "documents that are named and not there:\n{}", missing.join("\n"));
}

/// After `tests/…` each quoted name of a function is one of that file.
#[test]
fn every_test_that_a_claim_of_security_names_exists() {
    let text = fs::read_to_string("SECURITY.md").unwrap();
    let (mut source, mut named) = (String::new(), 0);
    for quoted in text.split('`').skip(1).step_by(2) {
        if quoted.starts_with("tests/") {
            source = fs::read_to_string(quoted).unwrap_or_else(|error| panic!("{quoted}: {error}"));
        } else if quoted.matches('_').count() > 2
            && !quoted.starts_with("certmint_")
            && quoted.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
        {
            assert!(source.contains(&format!("fn {quoted}(")), "no test has the name {quoted}");
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}

/// The lines of a file without comments, with their numbers; test modules count too.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default().to_owned()))
        .filter(|(_, code)| !code.trim().is_empty())
        .collect()
}

fn rust_files(place: &Path) -> Vec<PathBuf> {
    files(place).into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let Ok(entries) = fs::read_dir(place) else { return Vec::new() };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| !["node_modules", "target", ".git", ".venv"].iter().any(|folder| path.ends_with(folder)))
        .flat_map(|path| files(&path))
        .collect()
}
