//! Certificates by dns-01: updates of a real name server, hooks, and an HTTP service.

use crate::peers::{Kind, NameServer, Pebble, PebbleOptions, Process, TSIG, texts, until};
use crate::play::{Play, input, order};
use crate::ports::free_port;
use certmint::issuer::Step;
use certmint::issuer::acme::{Hook, HookForm};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

async fn with_server(kind: Kind) -> (NameServer, Pebble) {
    let server = NameServer::start(kind).await;
    let pebble = Pebble::start(PebbleOptions { dns_port: Some(server.port), ..Default::default() }).await;
    (server, pebble)
}

async fn with_knot() -> (NameServer, Pebble) {
    with_server(Kind::Knot).await
}

async fn by_update(knot: &NameServer, pebble: &Pebble, more: &[(&str, &str)]) -> Play {
    let server = format!("127.0.0.1:{}", knot.port);
    let own = [
        ("challenge", "dns-01"),
        ("dns_provider", "rfc2136"),
        ("dns_server", server.as_str()),
        ("dns_resolvers", &server),
        ("dns_check_servers", &server),
        ("tsig_name", TSIG.0),
        ("tsig_secret", TSIG.1),
    ];
    let all: Vec<(&str, &str)> = own.into_iter().chain(more.iter().copied()).collect();
    Play::new(&input(pebble, &all)).await
}

#[tokio::test]
async fn a_wildcard_and_its_host_are_proved_with_two_values_at_one_name() {
    for kind in [Kind::Knot, Kind::Bind] {
        let (server, pebble) = with_server(kind).await;
        let mut play = by_update(&server, &pebble, &[]).await;
        play.forgetful = true;
        play.issue(&order(&["*.example.com", "example.com"])).await;
        assert_eq!(texts(server.port, "_acme-challenge.example.com", "TXT").await, "", "removed, {kind:?}");
    }
}

#[tokio::test]
async fn values_of_others_at_the_same_name_stay() {
    let (knot, pebble) = with_knot().await;
    let other = certmint::outbound::dns::Updater {
        server: ([127, 0, 0, 1], knot.port).into(),
        zone: certmint::outbound::dns::name("example.com").unwrap(),
        key: Some(certmint::outbound::dns::TsigKey::new(TSIG.0, "hmac-sha256", TSIG.1).unwrap()),
        timeout: Duration::from_secs(60),
    };
    let at = certmint::outbound::dns::name("_acme-challenge.example.com").unwrap();
    let mut play = by_update(&knot, &pebble, &[]).await;
    other.append(&at, "somebody else", 60, certmint::clock::Clock::now(&*play.clock)).await.unwrap();
    play.issue(&order(&["example.com"])).await;
    assert_eq!(texts(knot.port, "_acme-challenge.example.com", "TXT").await, "\"somebody else\"\n");
}

#[tokio::test]
async fn an_alias_leads_to_the_zone_that_may_be_written() {
    for kind in [Kind::Knot, Kind::Bind] {
        let (server, pebble) = with_server(kind).await;
        let mut play = by_update(&server, &pebble, &[("dns_zone", "example.com")]).await;
        play.issue(&order(&["deleg.example.com"])).await;
        assert_eq!(texts(server.port, "x1.acme.example.com", "TXT").await, "", "{kind:?}");
    }
}

#[tokio::test]
async fn a_key_that_the_server_does_not_accept_needs_a_person() {
    for (kind, name, secret) in [
        (Kind::Knot, TSIG.0, "d3Jvbmc="),
        (Kind::Knot, "other", TSIG.1),
        (Kind::Bind, TSIG.0, "d3Jvbmc="),
        (Kind::Bind, "other", TSIG.1),
    ] {
        let (server, pebble) = with_server(kind).await;
        let mut play = by_update(&server, &pebble, &[("tsig_name", name), ("tsig_secret", secret)]).await;
        let order = order(&["example.com"]);
        for _ in 0..3 {
            play.step(&order).await;
        }
        let engine = certmint::issuer::provider::Provider::advance;
        let error = engine(play.engine(), &order, &play.state, &play.checkpoint).await.unwrap_err();
        assert!(matches!(error, certmint::issuer::IssuerError::Misconfigured { .. }), "{error}");
        assert!(error.to_string().contains("TSIG") && !error.to_string().contains(secret), "{error}");
    }
}

#[tokio::test]
async fn a_crash_before_the_commit_of_any_step_leaves_no_record() {
    let (knot, pebble) = with_knot().await;
    let mut play = by_update(&knot, &pebble, &[]).await;
    play.issue(&order(&["example.com"])).await;
    for lost in 0..play.steps() {
        let mut play = by_update(&knot, &pebble, &[]).await;
        play.lose = Some(lost);
        play.issue(&order(&["example.com"])).await;
        assert_eq!(texts(knot.port, "_acme-challenge.example.com", "TXT").await, "", "step {lost}");
    }
}

#[tokio::test]
async fn the_ca_is_not_asked_before_the_record_can_be_seen() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let folder = tempfile::tempdir().unwrap();
    // A hook that does nothing.
    let hook = script(folder.path(), "idle", "#!/bin/sh\nexit 0\n");
    let mut play = with_hook(&pebble, HookForm::Lego, hook, &[]).await;
    let order = order(&["www.example.com"]);
    for _ in 0..6 {
        assert!(matches!(play.step(&order).await, Some(Step::Pending { .. })));
    }
    let last = play.details.last().unwrap();
    assert!(last.contains("_acme-challenge.www.example.com") && last.contains("not at the server"), "{last}");
    let asked = play.wire.bodies.lock().unwrap().iter().filter(|(url, _)| url.contains("/chalZ/")).count();
    assert_eq!(asked, 0);
}

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn with_hook(pebble: &Pebble, form: HookForm, program: PathBuf, more: &[(&str, &str)]) -> Play {
    let environment = BTreeMap::from([("DNS_API".to_owned(), pebble.management_url())]);
    let cleanup = (form == HookForm::Certbot).then(|| program.with_file_name("cleanup"));
    let hook = Hook { form, program, cleanup, environment, timeout: Duration::from_secs(20) };
    let dns = format!("127.0.0.1:{}", pebble.dns_port);
    let own = [
        ("challenge", "dns-01"),
        ("dns_provider", "exec"),
        ("dns_hook", "hook"),
        ("dns_resolvers", dns.as_str()),
        ("dns_check_servers", &dns),
    ];
    let all: Vec<(&str, &str)> = own.into_iter().chain(more.iter().copied()).collect();
    Play::with_hooks(&input(pebble, &all), BTreeMap::from([("hook".to_owned(), hook)])).await
}

#[tokio::test]
async fn scripts_written_for_lego_and_certbot_publish_the_records() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let lego = script(
        folder.path(),
        "lego",
        "#!/bin/sh\ncase $1 in present) c=set-txt;; cleanup) c=clear-txt;; esac\n\
         exec curl -sf \"$DNS_API/$c\" -d \"{\\\"host\\\":\\\"$2\\\",\\\"value\\\":\\\"$3\\\"}\"\n",
    );
    let certbot = script(
        folder.path(),
        "auth",
        "#!/bin/sh\nexec curl -sf \"$DNS_API/set-txt\" -d \
         \"{\\\"host\\\":\\\"_acme-challenge.$CERTBOT_DOMAIN.\\\",\\\"value\\\":\\\"$CERTBOT_VALIDATION\\\"}\"\n",
    );
    script(
        folder.path(),
        "cleanup",
        "#!/bin/sh\nexec curl -sf \"$DNS_API/clear-txt\" -d \"{\\\"host\\\":\\\"_acme-challenge.$CERTBOT_DOMAIN.\\\"}\"\n",
    );
    for (form, program) in [(HookForm::Lego, lego), (HookForm::Certbot, certbot)] {
        let mut play = with_hook(&pebble, form, program, &[]).await;
        play.issue(&order(&["*.example.com"])).await;
        assert_eq!(texts(pebble.dns_port, "_acme-challenge.example.com", "TXT").await, "", "{form:?}");
    }
}

#[tokio::test]
async fn a_hook_that_fails_is_tried_again_and_its_output_stays_in_the_log() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let hook = script(folder.path(), "fails", "#!/bin/sh\necho geheim >&2\nexit 3\n");
    let mut play = with_hook(&pebble, HookForm::Lego, hook, &[]).await;
    let order = order(&["www.example.com"]);
    for _ in 0..5 {
        play.step(&order).await;
    }
    let last = play.details.last().unwrap();
    assert!(last.contains("failed to present") && last.contains("exit status: 3"), "{last}");
    assert!(!last.contains("geheim"));
}

/// An HTTP service that takes records and hands them on to pebble's DNS server. `post` is Python that says of a `body`
/// whether it is `good`, and what the `call` and the `record` are.
async fn serve(folder: &Path, post: &str, api: &str) -> (Process, u16) {
    let text = format!(
        "import http.server, sys, urllib.request, json\n\
         class Handler(http.server.BaseHTTPRequestHandler):\n\
         \x20   def do_POST(self):\n\
         \x20       body = json.loads(self.rfile.read(int(self.headers['content-length'])))\n\
         {post}\
         \x20       if good: urllib.request.urlopen(sys.argv[2] + '/' + call, json.dumps(record).encode())\n\
         \x20       self.send_response(200 if good else 401); self.send_header('content-length', '0'); self.end_headers()\n\
         \x20   def log_message(self, *arguments): pass\n\
         http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()\n"
    );
    let (program, port) = (script(folder, "server.py", &text), free_port());
    let arguments = [program.to_str().unwrap(), &port.to_string(), api];
    let server = Process::start("python3", &arguments, &[], &folder.join("log"));
    until("the service answers", || async move { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() })
        .await;
    (server, port)
}

/// The API of acme-dns (its README): an account for a name, to which `_acme-challenge` is delegated.
#[tokio::test]
async fn acme_dns_gets_the_text_for_the_account_of_the_name() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let api = pebble.management_url();
    let folder = tempfile::tempdir().unwrap();
    let post = "\
         \x20       good = (self.headers['x-api-user'], self.headers['x-api-key']) == ('user-1', 'key-1') and self.path == '/update'\n\
         \x20       good = good and body['subdomain'] == 'sub-1' and len(body['txt']) == 43\n\
         \x20       call, record = 'set-txt', {'host': 'sub-1.auth.example.', 'value': body['txt']}\n";
    let (_server, port) = serve(folder.path(), post, &api).await;
    // Delegated once, by hand.
    let delegate = r#"{"host":"_acme-challenge.www.example.com.","target":"sub-1.auth.example."}"#;
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["-sf", &format!("{api}/set-cname"), "-d", delegate]);
    assert!(curl.status().await.unwrap().success());
    let (dns, url) = (format!("127.0.0.1:{}", pebble.dns_port), format!("http://127.0.0.1:{port}"));
    let account = |key: &str| {
        format!(
            r#"{{"example.com": {{"username": "user-1", "password": "{key}", "fulldomain": "sub-1.auth.example", "subdomain": "sub-1", "allowfrom": []}}}}"#
        )
    };
    let options = |accounts: &str| {
        let own = [
            ("challenge", "dns-01"),
            ("dns_provider", "acme-dns"),
            ("acmedns_url", url.as_str()),
            ("acmedns_accounts", accounts),
            ("dns_resolvers", &dns),
            ("dns_check_servers", &dns),
        ];
        input(&pebble, &own)
    };
    let mut play = Play::new(&options(&account("key-1"))).await;
    play.issue(&order(&["www.example.com"])).await;
    // A password that the service refuses needs a person, and is not shown.
    let mut play = Play::new(&options(&account("wrong-key"))).await;
    let order = order(&["www.example.com"]);
    for _ in 0..3 {
        play.step(&order).await;
    }
    let engine = certmint::issuer::provider::Provider::advance;
    let error = engine(play.engine(), &order, &play.state, &play.checkpoint).await.unwrap_err();
    assert!(error.to_string().contains("401") && !error.to_string().contains("wrong-key"), "{error}");
}

#[tokio::test]
async fn an_http_service_written_for_lego_publishes_the_records() {
    let pebble = Pebble::start(PebbleOptions::default()).await;
    let (folder, api) = (tempfile::tempdir().unwrap(), pebble.management_url());
    let post = "\
         \x20       good = self.headers['authorization'] == 'Basic dXNlcjpwYXNz'\n\
         \x20       call = {'/dns/present': 'set-txt', '/dns/cleanup': 'clear-txt'}[self.path]\n\
         \x20       record = {'host': body['fqdn'], 'value': body['value']}\n";
    let (_server, port) = serve(folder.path(), post, &api).await;
    let (dns, url) = (format!("127.0.0.1:{}", pebble.dns_port), format!("http://127.0.0.1:{port}/dns/"));
    let options = [
        ("challenge", "dns-01"),
        ("dns_provider", "httpreq"),
        ("httpreq_url", url.as_str()),
        ("httpreq_user", "user"),
        ("httpreq_password", "pass"),
        ("dns_resolvers", &dns),
        ("dns_check_servers", &dns),
    ];
    let mut play = Play::new(&input(&pebble, &options)).await;
    play.issue(&order(&["www.example.com"])).await;
}
