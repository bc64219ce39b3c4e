//! The management commands against a real server.

use crate::fake::{Ended, bare, ended};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A development server on a free port; it ends with the test.
struct Server {
    folder: tempfile::TempDir,
    process: Child,
    url: String,
}

impl Server {
    fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("certmint.toml"), settings).unwrap();
        let mut process =
            bare(&["serve", "--dev", "--data-dir", "data", "--listen", "127.0.0.1:0", "--config", "certmint.toml"])
                .current_dir(folder.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("https://")).expect(&line).to_owned();
        Self { folder, process, url }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = bare(&arguments.split_whitespace().collect::<Vec<_>>());
        command
            .current_dir(self.folder.path())
            .env("CERTMINT_SERVER", &self.url)
            .env("CERTMINT_CA", self.path("data/ca.pem"));
        command
    }

    async fn run(&self, arguments: &str) -> Ended {
        ended(self.command(arguments)).await
    }

    /// Standard output of what must succeed.
    async fn text(&self, arguments: &str) -> String {
        let ended = self.run(arguments).await;
        assert_eq!(ended.code, 0, "{arguments}: {ended:?}");
        ended.out
    }

    async fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.text(&format!("{arguments} --output json")).await).unwrap()
    }

    async fn refused(&self, arguments: &str, code: i32, words: &str) {
        let ended = self.run(arguments).await;
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{arguments}: {ended:?}");
        assert!(ended.err.contains(words), "{arguments}: {}", ended.err);
    }

    async fn issue(&self, name: &str) {
        self.text(&format!("create {name} --subject CN={name} --issuer Self --key-type ec --wait")).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The words of each line but for those that no test can know.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_listed_changed_deleted_and_brought_back() {
    let server = Server::start("");
    server.issue("web").await;
    server.issue("web").await;
    server.text("create early --subject CN=early").await;
    let list = server.text("list").await;
    let table = rows(&list);
    assert_eq!(table.len(), 2, "{list}");
    assert_eq!((&table[0][..2], table[1][0], table[1][2]), (&["NAME", "VERSION"][..], "web", "enabled"));
    let all = server.json("list --pending").await;
    assert_eq!(all["certificates"][0]["certificate_name"], "early");
    assert_eq!(all["certificates"][0].as_object().unwrap().len(), 7);
    let versions = server.json("versions web").await;
    let newest = server.json("get web").await["certificate"]["certificate_version"].clone();
    assert_eq!(
        (versions["certificates"].as_array().unwrap().len(), &versions["certificates"][0]["certificate_version"]),
        (2, &newest)
    );

    let updated = server.json("update web --disable --tag team=a --tag note=b=c").await["certificate"].clone();
    assert_eq!(
        (&updated["tags"], &updated["attributes"]["enabled"]),
        (&json!({"team": "a", "note": "b=c"}), &json!(false))
    );
    let updated = server.json("update web --enable").await["certificate"].clone();
    assert_eq!((&updated["tags"]["team"], &updated["attributes"]["enabled"]), (&json!("a"), &json!(true)));
    assert_eq!(server.json("update web --no-tags").await["certificate"]["tags"], json!({}));
    server.refused("update web", 2, "there is nothing to change").await;

    let deleted = server.text("delete web").await;
    assert!(deleted.starts_with("deleted") && deleted.contains("/deletedcertificates/web\n"), "{deleted}");
    server.refused("get web", 3, "web was not found").await;
    server
        .refused(
            "create web --subject CN=web",
            4,
            "certmint recover web; or purge it to free the name: certmint purge web",
        )
        .await;
    let listed = server.text("deleted list").await;
    assert_eq!(rows(&listed)[1][..2], ["web", "enabled"], "{listed}");
    let shown = server.json("deleted show web").await["deleted_certificate"].clone();
    assert_eq!(shown["certificate"]["certificate_version"], newest);
    let members: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(members, ["certificate", "deleted_time", "recovery_id", "scheduled_purge_time"]);
    assert_eq!(server.json("recover web").await["certificate"]["certificate_version"], newest);
    server.text("delete web").await;
    assert_eq!(server.json("purge web").await, json!({"certificate_name": "web", "purged": true}));
    server.refused("purge web", 3, "Deleted Certificate not found: web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_printed_and_changed() {
    let server = Server::start("");
    server.issue("web").await;
    let text = server.text("policy get web").await;
    for line in [
        "subject             CN=web\n",
        "key                 EC 256\n",
        "action              renew at 80 % of the lifetime\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let policy = server.json("policy set web --validity-months 3 --san a.example --reuse-key").await["policy"].clone();
    assert_eq!(policy["x509_properties"]["validity_months"], 3);
    assert_eq!(policy["x509_properties"]["subject"], "CN=web");
    assert_eq!(policy["x509_properties"]["subject_alternative_names"]["dns_names"], json!(["a.example"]));
    assert_eq!(policy["key_properties"]["reuse_key"], true);
    server.refused("policy set web", 2, "there is nothing to change").await;
    let policy = server.json("policy set web --issuer nobody").await["policy"].clone();
    assert_eq!(policy["issuer"]["name"], "nobody");
    server.refused("create web", 1, "There is no issuer named nobody").await;
    server.refused("policy get none", 3, "none was not found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_a_file_of_its_owner_that_is_restored_elsewhere() {
    let server = Server::start("");
    server.issue("web").await;
    let written = server.json("backup web").await;
    assert_eq!(written, json!({"certificate_name": "web", "file": "web.certmint-backup"}));
    let mode = |file: &Path| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.path("web.certmint-backup")), 0o600);
    server.refused("backup web", 2, "cannot write web.certmint-backup").await;
    server.refused("backup none --out none.backup", 3, "none was not found").await;
    assert!(!server.path("none.backup").exists());
    server.refused("restore web.certmint-backup", 4, "already in use in this vault").await;
    let restored = server.json("restore web.certmint-backup --vault other").await["certificate"].clone();
    assert_eq!((&restored["vault_name"], &restored["certificate_name"]), (&json!("other"), &json!("web")));
    std::fs::write(server.path("garbage"), "garbage").unwrap();
    server.refused("restore garbage", 1, "Backup blob is corrupt.").await;
    server.refused("restore nowhere", 2, "cannot read nowhere").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_set_printed_and_deleted() {
    let server = Server::start("");
    server.refused("contacts show", 3, "set them: certmint contacts set EMAIL").await;
    let mut set = server.command("contacts set ann@example.com");
    set.arg("Bob Lee <bob@example.com> +1 555");
    let set = ended(set).await;
    assert_eq!(
        set.out, "EMAIL            NAME     PHONE\nann@example.com\nbob@example.com  Bob Lee  +1 555\n",
        "{set:?}"
    );
    let shown = server.json("contacts show").await;
    assert_eq!(
        shown["contacts"]["contacts"][1],
        json!({"email": "bob@example.com", "name": "Bob Lee", "phone": "+1 555"})
    );
    assert_eq!(server.json("contacts delete").await, shown);
    server.refused("contacts set nobody", 2, "NAME <EMAIL> PHONE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vaults_are_made_and_keep_their_settings() {
    let server = Server::start(
        "[vaults]\non_demand = false\nretention_days = 30\n[vaults.named.team-a]\npurge_protection = true\n",
    );
    server.refused("list --vault team-b", 3, "or create it: certmint vault create team-b").await;
    let made = server.json("vault create team-b --retention-days 7").await["vault"].clone();
    assert_eq!((&made["retention_days"], &made["purge_protection"]), (&json!(7), &json!(false)));
    server.text("list --vault team-b").await;
    server.refused("vault create team-b", 4, "A vault named team-b already exists").await;
    server.refused("vault create team-c --retention-days 91", 1, "use 7 to 90").await;
    let list = server.text("vault list").await;
    let table: Vec<Vec<&str>> = rows(&list).into_iter().map(|row| row[..3].to_vec()).skip(1).collect();
    assert_eq!(table, [["default", "30", "no"], ["team-a", "30", "yes"], ["team-b", "7", "no"]], "{list}");
    assert!(server.text("vault show").await.starts_with("vault             default\nretention         30 days\n"));
    server.text("create web --subject CN=a --vault team-a").await;
    server.text("delete web --vault team-a").await;
    server.refused("purge web --vault team-a", 4, "certmint deleted show web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_ledger_is_searched_copied_and_verified() {
    let server = Server::start("");
    server.issue("web").await;
    server.text("export web --out web.pem").await;
    let found = server.text("audit search --action GetSecret").await;
    let words = rows(&found);
    assert_eq!(
        (words.len(), &words[0][1..5]),
        (1, &["dev", "SecretService/GetSecret", "default/web", "OK"][..]),
        "{found}"
    );
    let line: Value =
        serde_json::from_str(server.text("audit search --name WEB --output json").await.lines().next().unwrap())
            .unwrap();
    assert_eq!((&line["outcome"], &line["kind"]), (&json!("created"), &json!("request")));
    assert_eq!(server.text("audit search --principal token:nobody").await, "");
    server.refused("audit search --since yesterday", 2, "not a date such as").await;

    std::fs::write(server.path("audit.pem"), server.text("audit key").await).unwrap();
    let begun = std::time::Instant::now();
    let lines = loop {
        // Lines that are younger than ten seconds are held back.
        let lines = server.text("audit export").await;
        if lines.contains("/GetSecret") {
            break lines;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{lines}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    std::fs::write(server.path("audit.jsonl"), &lines).unwrap();
    let whole = server.json("audit verify --key audit.pem audit.jsonl").await;
    assert_eq!((&whole["ok"], &whole["writers"], &whole["problems"]), (&json!(true), &json!(1), &json!([])), "{whole}");
    let changed = lines.replace("\"name\":\"web\"", "\"name\":\"wob\"");
    std::fs::write(server.path("changed.jsonl"), changed).unwrap();
    let ended = server.run("audit verify --key audit.pem changed.jsonl").await;
    assert!(ended.code == 1 && ended.out.contains("was changed"), "{ended:?}");
    server.refused("audit verify missing.jsonl", 1, "missing.jsonl: No such file").await;
    server.refused("audit verify --key audit.jsonl audit.jsonl", 1, "has no PEM block PUBLIC KEY").await;
}
