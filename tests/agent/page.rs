//! The commands of docs/agent.md, from the first to the last, in one shell as its reader types them. A comment behind a
//! command may say what it has to answer. Ports are others, and what takes a moment is waited for.

use crate::ports::free_port;
use std::path::Path;
use std::process::{Command, Stdio};

/// What stands behind a command, and has to be in what it prints.
const SAID: [&str; 3] =
    ["1 of 1 hosts have the newest version", "2 of 2 hosts have the newest version", "PrivateKeyEntry"];

const HELPERS: &str = r#"
set -e
trap 'kill $(jobs -p) 2> /dev/null; [ ! -e nginx.pid ] || kill $(cat nginx.pid)' EXIT
soon() {
    for _ in $(seq 600); do "$@" > out 2>&1 && return; sleep 0.1; done
    echo "$* never succeeds: $(cat out)"; exit 1
}
says() { words=$1; shift; "$@" > said 2>&1 && grep -q "$words" said; }
served() {
    certmint get web --pem | openssl x509 -noout -fingerprint > newest
    echo | openssl s_client -connect "localhost:$1" 2> /dev/null | openssl x509 -noout -fingerprint | cmp - newest
}
"#;

/// The blocks of a language, in their order.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    page.split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A line of the page as the shell of this test gets it.
fn line(line: &str) -> String {
    let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
    let command = command.trim_end();
    if command.starts_with("certmint serve") {
        return "certmint serve --dev --listen 127.0.0.1:8443 > server.log 2>&1 &\nsoon certmint list".to_owned();
    }
    if command.starts_with("certmint agent &") {
        return "certmint agent > agent.log 2>&1 &\nsoon test -s tls/web.pem".to_owned();
    }
    if command.starts_with("java ") {
        return "java Serve.java > java.log 2>&1 &".to_owned();
    }
    if command.starts_with("curl ") {
        let port = command.split("localhost:").nth(1).unwrap().split('/').next().unwrap();
        // The page shows that it is served; that it is the newest one is looked at besides.
        return format!("soon served {port}\nsoon {command}");
    }
    match SAID.iter().find(|said| comment.trim() == **said) {
        Some(said) => format!("soon says '{said}' {command}"),
        None => command.to_owned(),
    }
}

#[test]
fn every_command_of_the_page_works_as_it_is_written() {
    for program in ["nginx", "java", "keytool"] {
        if Command::new(program).arg("-version").output().is_err() {
            println!("skipped: {program} is not installed");
            return;
        }
    }
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/agent.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tomls: Vec<&str> = blocks(&page, "toml").into_iter().filter(|block| block.starts_with("server = ")).collect();
    let [first, second] = tomls[..] else { panic!("the page has {} configurations", tomls.len()) };
    let [api, nginx, java] = [(); 3].map(|()| free_port().to_string());
    let moved = |text: &str| text.replace("8443", &api).replace("8444", &nginx).replace("8445", &java);
    for (name, text) in [
        ("agent.toml", first),
        ("java.toml", second),
        ("site.conf", blocks(&page, "nginx")[0]),
        ("Serve.java", blocks(&page, "java")[0]),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, moved(text)).unwrap();
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    }
    let lines: Vec<String> = blocks(&page, "sh").iter().flat_map(|block| block.lines()).map(line).collect();
    let checked = lines.iter().filter(|line| line.starts_with("soon ")).count();
    assert!(checked >= 6, "the page is not read: {lines:#?}");
    let script =
        format!("{HELPERS}export CERTMINT_SERVER=https://localhost:8443\n{}\necho all was played\n", lines.join("\n"));
    std::fs::write(folder.path().join("page.sh"), moved(&script)).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_certmint")).parent().unwrap();
    let path = format!("{}:{}:/usr/sbin", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-x", "page.sh"]).current_dir(folder.path()).env("PATH", path).stdin(Stdio::null());
    for variable in ["CERTMINT_CA", "CERTMINT_VAULT", "CERTMINT_TOKEN", "CERTMINT_TOKEN_FILE"] {
        shell.env_remove(variable);
    }
    // Into a file: what goes on in the background would hold a pipe open.
    let log = std::fs::File::create(folder.path().join("played")).unwrap();
    let ended = shell.stdout(log.try_clone().unwrap()).stderr(log).status().unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let played = read("played");
    assert!(
        ended.success() && played.contains("all was played"),
        "{played}\n{}\n{}",
        read("agent.log"),
        read("java.log")
    );
}
