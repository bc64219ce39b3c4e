//! The commands of docs/private-ca.md, from the first to the last, in one shell as its reader types them. A comment behind
//! a command says what it has to answer. Ports are others, and where the page waits for a while, an event is waited for.

use crate::ports::free_port;
use crate::server::Place;
use std::path::Path;
use std::process::{Command, Stdio};

/// What stands behind a command, and what it then prints.
const SAID: [(&str, &str); 4] =
    [("OK", ": OK"), ("good", ": good"), ("certificate revoked", "certificate revoked"), ("revoked", ": revoked")];

const HELPERS: &str = r#"
set -e
trap 'kill $(jobs -p) 2> /dev/null' EXIT
says() {
    words=$1; shift
    out=$("$@" 2>&1) || true
    case "$out" in *"$words"*) ;; *) echo "$* does not say $words: $out"; exit 1 ;; esac
}
begun() {
    for _ in $(seq 900); do certmint issuer list > /dev/null 2>&1 && return; sleep 0.2; done
    echo "the server does not begin"; exit 1
}
listed() {
    for _ in $(seq 900); do
        curl -s "http://localhost:PUBLISH/crl/$ID.crl" | openssl crl -inform DER -noout -text 2> /dev/null \
            | grep -q "Serial Number" && return
        sleep 0.2
    done
    echo "no list has it"; exit 1
}
"#;

/// The blocks of a language, in their order.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    page.split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A line of the page as the shell of this test gets it.
fn line(line: &str) -> String {
    if line == "sleep 15" {
        return "listed".to_owned();
    }
    if line.starts_with("certmint serve") {
        return format!("{}\nbegun", line.replace("--dev", "--dev --listen 127.0.0.1:API"));
    }
    let Some((command, comment)) = line.split_once(" # ") else { return line.to_owned() };
    match SAID.iter().find(|(word, _)| comment.trim().starts_with(word)) {
        Some((_, says)) => format!("says '{says}' {}", command.trim_end()),
        None => command.to_owned(),
    }
}

#[test]
fn every_command_of_the_page_works_as_it_is_written() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/private-ca.md")).unwrap();
    let mut script = format!("{HELPERS}export CERTMINT_SERVER=https://localhost:API\n");
    for (language, file) in [("toml", "certmint.toml"), ("java", "Fetch.java")] {
        script += &format!("cat > {file} <<'END'\n{}END\n", blocks(&page, language)[0]);
    }
    // What another program had is played by OpenSSL in the tests of imports.
    let shell: Vec<&str> = blocks(&page, "sh").into_iter().filter(|block| !block.contains("ca import")).collect();
    let lines: Vec<String> = shell.iter().flat_map(|block| block.lines()).map(line).collect();
    let checked = lines.iter().filter(|line| line.starts_with("says ")).count();
    assert!(shell.len() >= 6 && checked >= 9, "the page is not read: {} blocks, {checked} checks", shell.len());
    script += &lines.join("\n");
    script += "\necho all was played\n";
    let [api, publish, tls] = [(); 3].map(|()| free_port().to_string());
    let script =
        script.replace("8080", &publish).replace("PUBLISH", &publish).replace("9443", &tls).replace("API", &api);
    let place = Place::new("");
    std::fs::write(place.file("page.sh"), script).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_certmint")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let folder = place.file("page");
    std::fs::create_dir(&folder).unwrap();
    let mut shell = Command::new("bash");
    shell.arg("-x").arg(place.file("page.sh")).current_dir(folder).env("PATH", path).stdin(Stdio::null());
    for name in ["CERTMINT_CA", "CERTMINT_TOKEN", "CERTMINT_DATA_DIR"] {
        shell.env_remove(name);
    }
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = said.lines().rev().take(40).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    assert!(output.status.success() && said.contains("all was played"), "{}", tail.join("\n"));
}
