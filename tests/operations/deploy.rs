//! The files of `deploy/` against the program: configuration that loads, flags and variables that exist, and no
//! secret that somebody could use by accident.

use certmint::cli::Cli;
use certmint::config::{AdminListen, Config};
use clap::CommandFactory;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy"), &mut found);
    found
}

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)).unwrap()
}

fn load(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certmint.toml");
    fs::write(&file, text).unwrap();
    Config::load(Some(&file), |_| {}).unwrap()
}

/// The configuration inside the ConfigMap: the indented lines after `certmint.toml: |`.
fn config_map() -> String {
    let text = text("kubernetes/certmint.yaml");
    let (_, rest) = text.split_once("  certmint.toml: |\n").unwrap();
    rest.lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| format!("{}\n", line.trim()))
        .collect()
}

#[test]
fn configurations_load_and_have_what_a_server_for_others_needs() {
    for (name, text) in [("compose", text("compose/certmint.toml")), ("kubernetes", config_map())] {
        let config = load(&text);
        let (tls, access) = config.for_others().unwrap();
        let tokens = config.auth.tokens_file.as_ref().unwrap();
        assert!(tls.key.is_absolute() && tokens.is_absolute(), "{name}");
        assert!(access.file.is_some() || !access.administrators.is_empty(), "{name}: somebody gets in");
        assert!(!config.dev && !config.listen.ip().is_loopback(), "{name}");
        assert!(matches!(config.admin.listen, AdminListen::At(_)), "{name}: probes come from outside");
        assert!(config.keys.master_key_file.is_some(), "{name}: replicas share their master keys");
    }
}

/// Environment variables that the program reads besides those of its options.
const OTHERS: [&str; 3] = ["CERTMINT_LOG", "CERTMINT_MASTER_KEYS", "CERTMINT_STORE_PASSWORD"];

#[test]
fn variables_and_options_exist() {
    let mut command = Cli::command();
    command.build();
    let (mut variables, mut options) = (BTreeSet::new(), BTreeSet::new());
    let mut commands = vec![&command];
    while let Some(next) = commands.pop() {
        for argument in next.get_arguments() {
            variables.extend(argument.get_env().map(|name| name.to_str().unwrap().to_owned()));
            options.extend(argument.get_long().map(|name| format!("--{name}")));
        }
        commands.extend(next.get_subcommands());
    }
    variables.extend(OTHERS.map(str::to_owned));
    let mut seen = 0;
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            if word.starts_with("CERTMINT_") {
                seen += 1;
                assert!(variables.contains(word), "{}: {word} is no variable of the program", file.display());
            }
        }
        // The command lines of ours: an array that begins with the program or one of its commands.
        for line in text.lines().filter(|line| line.contains("\"certmint\"") || line.contains("\"serve\"")) {
            for word in line.split('"').filter(|word| word.starts_with("--")) {
                seen += 1;
                let name = word.split('=').next().unwrap();
                assert!(options.contains(name), "{}: {name} is no option of the program", file.display());
            }
        }
    }
    assert!(seen > 3, "the files say nothing to the program");
}

#[test]
fn containers_have_no_rights_that_they_do_not_need() {
    let kubernetes = text("kubernetes/certmint.yaml");
    for expected in [
        "runAsNonRoot: true",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "automountServiceAccountToken: false",
        "drop: [\"ALL\"]",
        "type: RuntimeDefault",
    ] {
        assert!(kubernetes.contains(expected), "{expected}");
    }
    let compose = text("compose/compose.yaml");
    for expected in ["read_only: true", "cap_drop: [\"ALL\"]", "no-new-privileges:true"] {
        assert!(compose.contains(expected), "{expected}");
    }
    let container = text("Containerfile");
    assert!(container.contains("\nUSER 65532") && container.contains("HEALTHCHECK"), "{container}");
}

#[test]
fn the_time_to_stop_is_longer_than_the_server_takes() {
    let config = load(&config_map());
    // The delay, the open requests, the steps of the worker.
    let takes = config.shutdown.delay(false) + config.listener.hard_stop + std::time::Duration::from_secs(10);
    let given = |text: &str, key: &str| -> u64 {
        let (_, rest) = text.split_once(key).unwrap();
        rest.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    assert!(given(&text("kubernetes/certmint.yaml"), "terminationGracePeriodSeconds:") >= takes.as_secs());
    assert!(given(&text("compose/compose.yaml"), "stop_grace_period:") >= takes.as_secs());
}

#[test]
fn examples_of_secrets_are_none() {
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("PRIVATE KEY-----\n"), "{}", file.display());
        // A SHA-256 in hex or a master key in base64 would be one that somebody has.
        let long = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c))).find(|word| {
            word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()) || word.len() == 44 && word.ends_with('=')
        });
        assert_eq!(long, None, "{}", file.display());
    }
}
