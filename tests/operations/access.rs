//! Grants from a file, as an installation has them.

use crate::clients::{CREATE, channel, create, get, grpc, reason, rest, until};
use crate::postgres::Postgres;
use crate::server::{ALICE, BOB, Place, Server};
use certmint::proto::v1;
use certmint::proto::v1::access_service_client::AccessServiceClient;
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tonic::{Code, Request};

const ACCESS: &str = r#"
[access]
administrators = ["token:alice"]
file = "access.toml"
"#;

fn write(path: &Path, text: &str) {
    let part = path.with_extension("new");
    fs::write(&part, text).unwrap();
    fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&part, path).unwrap();
}

fn grant(names: &str) -> String {
    format!(
        "[[grant]]\nprincipal = \"token:bob\"\nrole = \"Key Vault Certificates Officer\"\nvault = \"default\"\n\
         names = [\"{names}\"]\n"
    )
}

#[tokio::test]
async fn a_team_gets_its_names_by_a_file_that_is_followed_and_never_by_a_broken_one() {
    let place = Place::new(ACCESS);
    let file = place.file("access.toml");
    write(&file, &grant("shop-*"));
    // From another folder: the path begins at that of the configuration.
    let mut command = place.command();
    command.current_dir("/");
    let server = crate::server::Server::start(command, place.file("log"));
    let make = async |token: &str, name: &str| {
        let path = format!("/certificates/{name}/create?api-version=7.4");
        let answer = rest(&server, &place, Some(token), "POST", &path, CREATE).await;
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(make(BOB, "shop-web").await, "202");
    assert_eq!(make(BOB, "web").await, "403");
    assert_eq!(make(ALICE, "web").await, "202");
    let refused = grpc(&server, &place, Some(BOB)).await.create_certificate(create("api")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "ACCESS_DENIED"));

    // Without a signal.
    write(&file, &grant("pay-*"));
    until("the new grant is in force", async || make(BOB, "pay-web").await != "403").await;
    assert_eq!(make(BOB, "shop-2").await, "403");

    for (broken, problem) in [
        ("[[grant]]\nprincipal = 1", "invalid type: integer `1`"),
        ("[[grant]]\nprincipal = \"token:bob\"\nrole = \"Boss\"\nvault = \"*\"", "There is no role `Boss`"),
        ("[[grant]]\nprincipal = \"token:bob\"\nrole = \"Key Vault Reader\"", "missing field `vault`"),
        ("[[grants]]\n", "unknown field `grants`"),
        ("", "it is empty"),
    ] {
        write(&file, broken);
        server.signal(Signal::HUP);
        until(problem, async || server.log().contains(problem)).await;
        assert_ne!(make(BOB, "pay-2").await, "403", "{problem}");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    server.signal(Signal::HUP);
    until("the mode is named", async || server.log().contains("Run: chmod go-w")).await;
    let metric = "certmint_reloads_total{file=\"access\",outcome=\"failed\"} 6";
    let (_, metrics) = crate::clients::admin(&server, "/metrics").await;
    assert!(metrics.contains(metric), "{metrics}");
    assert!(metrics.contains("certmint_access_denied_total{decision=\"deny\"}"), "{metrics}");
}

#[tokio::test]
async fn every_refusal_leaves_a_line_over_both_apis() {
    let place = Place::new("[access]\nadministrators = [\"token:alice\"]\n");
    let server = place.start();
    get(&server, &place, Some(BOB), "/certificates/web?api-version=7.4").await;
    let wanted = certmint::proto::v1::GetPendingRequest { certificate_name: "api".into(), ..Default::default() };
    grpc(&server, &place, Some(BOB)).await.get_pending(wanted).await.unwrap_err();
    grpc(&server, &place, Some(BOB)).await.create_certificate(create("new")).await.unwrap_err();
    rest(&server, &place, Some(ALICE), "POST", "/certificates/web/create?api-version=7.4", CREATE).await;
    let lines = || {
        let log = server.log();
        let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let audit = lines.filter(|line| line["target"] == "certmint::audit");
        let fields = ["principal", "api", "vault", "name", "decision", "grant", "outcome"];
        audit
            .map(|line| fields.map(|field| line[field].as_str().unwrap_or("-").to_owned()).join(" "))
            .collect::<Vec<_>>()
    };
    until("four lines", async || lines().len() == 4).await;
    assert_eq!(
        lines(),
        [
            "token:bob rest default web deny - 403",
            "token:bob grpc default api deny - PERMISSION_DENIED",
            "token:bob grpc default new deny - PERMISSION_DENIED",
            "token:alice rest default web allow administrator-1 202",
        ]
    );
}

#[tokio::test]
async fn a_refusal_by_rules_is_no_allowed_request_in_the_log() {
    let place = Place::new(ACCESS);
    write(&place.file("access.toml"), &format!("{}rules = {{ dns = [\"shop.example\"] }}\n", grant("*")));
    let server = place.start();
    rest(&server, &place, Some(BOB), "POST", "/certificates/web/create?api-version=7.4", CREATE).await;
    let refused = grpc(&server, &place, Some(BOB)).await.create_certificate(create("new")).await.unwrap_err();
    assert_eq!(reason(&refused), "REQUEST_NOT_ALLOWED");
    let decisions = || {
        let log = server.log();
        let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let audit = lines.filter(|line| line["target"] == "certmint::audit");
        audit.map(|line| format!("{} {}", line["api"], line["decision"])).collect::<Vec<_>>()
    };
    until("two lines", async || decisions().len() == 2).await;
    assert_eq!(decisions(), [r#""rest" "deny""#, r#""grpc" "deny""#]);
}

#[tokio::test]
async fn in_report_mode_nothing_is_refused_and_what_would_be_leaves_one_line_a_minute() {
    let place = Place::new("[access]\nmode = \"report\"\n");
    let server = place.start();
    rest(&server, &place, Some(BOB), "POST", "/certificates/web/create?api-version=7.4", CREATE).await;
    for _ in 0..5 {
        let answer = get(&server, &place, Some(BOB), "/certificates/web/pending?api-version=7.4").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    until("two lines", async || server.log().matches("would_deny").count() == 2).await;
    let (_, metrics) = crate::clients::admin(&server, "/metrics").await;
    let count = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let line = metrics.lines().find(|line| line.starts_with("certmint_access_denied_total{decision=\"would_deny\"}"));
    assert!(line.map(count).unwrap() >= 6, "{line:?}");
}

/// A request of the access service with the token of its caller.
fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

async fn rights(server: &Server, place: &Place) -> AccessServiceClient<tonic::transport::Channel> {
    AccessServiceClient::new(channel(server, place).await)
}

#[tokio::test]
async fn refused_changes_of_rights_name_the_grant_or_role() {
    const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    const READER: &str = "21090545-7ca7-4776-b22c-e363652d74d2";
    let place = Place::new("[access]\nadministrators = [\"token:alice\"]\n");
    let server = place.start();
    for token in [BOB, ALICE] {
        let mut rights = rights(&server, &place).await;
        // Without a role, or of one that is built in: the administrator is refused, too.
        let wanted = v1::CreateGrantRequest { grant_id: ID.into(), ..Default::default() };
        rights.create_grant(by(token, wanted)).await.unwrap_err();
        rights.delete_grant(by(token, v1::DeleteGrantRequest { grant_id: ID.into() })).await.unwrap_err();
        for (role_id, name) in [(ID, "Mine"), ("", "Key Vault Reader")] {
            let wanted = v1::SetRoleRequest { role_id: role_id.into(), name: name.into(), ..Default::default() };
            rights.set_role(by(token, wanted)).await.unwrap_err();
        }
        for role in [ID, "Key Vault Reader", "Nobody's"] {
            rights.delete_role(by(token, v1::DeleteRoleRequest { role: role.into() })).await.unwrap_err();
        }
        for (method, of) in [
            ("PUT", "roleAssignments"),
            ("DELETE", "roleAssignments"),
            ("PUT", "roleDefinitions"),
            ("DELETE", "roleDefinitions"),
        ] {
            let path = format!("/providers/Microsoft.Authorization/{of}/{ID}?api-version=7.4");
            let answer = rest(&server, &place, Some(token), method, &path, "{}").await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{method} {of}: {answer}");
        }
    }
    let names = || {
        let log = server.log();
        let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let audit = lines.filter(|line| line["target"] == "certmint::audit");
        audit.map(|line| line["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("all lines", async || names().len() >= 22).await;
    let of_one = [ID, ID, ID, READER, ID, READER, "", ID, ID, ID, ID];
    assert_eq!(names(), [of_one, of_one].concat());
}

#[tokio::test]
async fn a_grant_that_is_made_at_one_process_counts_at_the_other_one_over_postgresql() {
    let postgres = Postgres::start();
    let url = postgres.fresh().await;
    let (one, two) = (Place::new(""), Place::new(""));
    let key = one.file("master.key");
    fs::write(&key, "one AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    for place in [&one, &two] {
        place.configure(&format!(
            "[store]\nurl = '{url}'\n[keys]\nmaster_key_file = '{}'\n[access]\nadministrators = ['token:alice']\n",
            key.display()
        ));
    }
    let (first, second) = (one.start(), two.start());
    let path = "/certificates?api-version=7.4";
    let status = async |server: &Server, place: &Place| {
        let answer = get(server, place, Some(BOB), path).await;
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!((status(&first, &one).await, status(&second, &two).await), ("403".to_owned(), "403".to_owned()));
    let wanted =
        v1::CreateGrantRequest { principal: "token:bob".into(), role: "Key Vault Reader".into(), ..Default::default() };
    let made = rights(&first, &one).await.create_grant(by(ALICE, wanted)).await.unwrap().into_inner().grant.unwrap();
    assert_eq!(status(&first, &one).await, "200", "at once where it was made");
    until("the grant counts at the other one", async || status(&second, &two).await == "200").await;

    // A stream of the other one ends when the grant is taken away here.
    let mut bob = grpc(&second, &two, Some(BOB)).await;
    let (mut stream, _) = crate::clients::watch(&mut bob, "").await.unwrap();
    let revoke = v1::DeleteGrantRequest { grant_id: made.id };
    rights(&first, &one).await.delete_grant(by(ALICE, revoke)).await.unwrap();
    let end = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        loop {
            if let Err(end) = stream.message().await {
                return end;
            }
        }
    });
    assert_eq!(reason(&end.await.expect("an end")), "ACCESS_CHANGED");
    assert_eq!(status(&second, &two).await, "403");
}
