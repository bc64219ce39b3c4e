//! Callers with client certificates, as an installation has them: with grants, over both APIs, from `curl`, the command
//! line and the agent, in the ledger and the metrics, and after their CA or certificate is gone.

use crate::caller_certificates::{CallerCa, CallerPair, svid};
use crate::clients::{CREATE, admin, rest, until};
use crate::server::{ALICE, Place, Server};
use certmint::clock::{Clock, SystemClock};
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::{ListPendingRequest, WatchPendingRequest, WatchSnapshot};
use rustix::process::Signal;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

const SHOP: &str = "spiffe://corp.example/ns/shop/sa/web";
const PENDING: &str = "/certificates/shop-web/pending?api-version=7.4";

const ACCESS: &str = r#"
[access]
administrators = ["token:alice"]
file = "access.toml"
"#;

const GRANTS: &str = r#"
[[grant]]
principal = "spiffe://corp.example/ns/shop/sa/web"
role = "Key Vault Certificates Officer"
vault = "default"
names = ["shop-*"]

[[grant]]
principal = "spiffe://corp.example/ns/shop/sa/host"
role = "certmint Agent"
vault = "default"
names = ["shop-*"]

[[grant]]
principal = "x509:own:web.clients.example"
role = "Key Vault Reader"
vault = "default"
"#;

const TRUST: &str = r#"
[auth.client_certificates]
check_every = "1s"

[[auth.spiffe]]
trust_domain = "corp.example"
roots_file = "corp.pem"

[[auth.x509]]
name = "own"
roots_file = "own.pem"
principal = "dns"
allow = ["*.clients.example"]
"#;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(SystemClock.now().seconds()).unwrap()
}

fn write(path: &Path, text: &str) {
    let part = path.with_extension("new");
    fs::write(&part, text).unwrap();
    fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&part, path).unwrap();
}

fn chain_pem(pair: &CallerPair) -> String {
    pair.chain
        .iter()
        .map(|der| der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, der).unwrap())
        .collect()
}

/// A server with a trust domain, and files `NAME.crt` and `NAME.key` of its workloads.
struct World {
    place: Place,
    server: Server,
}

impl World {
    fn start() -> Self {
        let place = Place::new("");
        place.configure(&format!("{ACCESS}{}{TRUST}", place.auth("")));
        write(&place.file("access.toml"), GRANTS);
        let corp = CallerCa::new("Corp", now());
        write(&place.file("corp.pem"), &corp.pem());
        write(&place.file("own.pem"), &CallerCa::new("Nobody", now()).pem());
        let world = Self { server: place.start(), place };
        for (name, id) in [("shop", SHOP), ("host", "spiffe://corp.example/ns/shop/sa/host")] {
            world.keep(name, &corp.sign(&svid(id, now())));
        }
        world.keep("stranger", &CallerCa::new("Corp 2", now()).sign(&svid(SHOP, now())));
        world
    }

    fn keep(&self, name: &str, pair: &CallerPair) {
        write(&self.place.file(&format!("{name}.crt")), &chain_pem(pair));
        write(&self.place.file(&format!("{name}.key")), &pair.key.serialize_pem());
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.server.address.port())
    }

    /// The command line, with the certificate of this name.
    fn cli(&self, name: &str, arguments: &[&str]) -> Output {
        let file = |end: &str| self.place.file(&format!("{name}.{end}"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
        command.args(["--server", &self.url(), "--ca"]).arg(self.place.file("tls.crt"));
        command.env("CERTMINT_CLIENT_CERT", file("crt")).env("CERTMINT_CLIENT_KEY", file("key"));
        command.args(arguments).output().unwrap()
    }

    /// The command line, with the token of the administrator.
    fn done(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
        command.args(["--server", &self.url(), "--ca"]).arg(self.place.file("tls.crt")).env("CERTMINT_TOKEN", ALICE);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `curl`: the status and the body.
    fn curl(&self, name: &str, arguments: &[&str], path: &str) -> (String, String) {
        let file = |end: &str| self.place.file(&format!("{name}.{end}"));
        let mut command = Command::new("curl");
        command.args(["-sS", "-w", "\n%{http_code}", "--cacert"]).arg(self.place.file("tls.crt"));
        command.arg("--cert").arg(file("crt")).arg("--key").arg(file("key"));
        let output = command.args(arguments).arg(format!("{}{path}", self.url())).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{output:?}"));
        (status.to_owned(), body.to_owned())
    }

    async fn channel(&self, name: &str) -> Channel {
        let read = |end: &str| fs::read(self.place.file(&format!("{name}.{end}"))).unwrap();
        let server = Certificate::from_pem(fs::read(self.place.file("tls.crt")).unwrap());
        let tls = ClientTlsConfig::new().ca_certificate(server).identity(Identity::from_pem(read("crt"), read("key")));
        let tls = tls.domain_name("localhost");
        Endpoint::from_shared(self.url()).unwrap().tls_config(tls).unwrap().connect().await.unwrap()
    }

    /// Lines of the audit ledger, the newest last.
    fn ledger(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.done(&[&["audit", "search", "--output", "json"], arguments].concat());
        serde_json::Deserializer::from_str(&text).into_iter().map(Result::unwrap).collect()
    }
}

#[tokio::test]
async fn a_workload_does_what_its_grants_allow_over_both_apis() {
    let world = World::start();
    let create = ["-X", "POST", "-H", "content-type: application/json", "-d", CREATE];
    let (status, body) = world.curl("shop", &create, "/certificates/shop-web/create?api-version=7.4");
    assert_eq!(status, "202", "{body}");
    let (status, body) = world.curl("shop", &create, "/certificates/web/create?api-version=7.4");
    assert!(status == "403" && body.contains("Caller: name=spiffe://corp.example/ns/shop/sa/web;"), "{body}");
    let mut shop = CertificateServiceClient::new(world.channel("shop").await);
    shop.list_pending(ListPendingRequest::default()).await.unwrap();

    // One CA of the domain's name is not the domain's.
    let (status, body) = world.curl("stranger", &[], PENDING);
    assert!(status == "401" && body.contains("The client certificate is not accepted."), "{body}");
    let mut stranger = CertificateServiceClient::new(world.channel("stranger").await);
    let refused = stranger.list_pending(ListPendingRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    // With a token it may call all the same; and a page gets nothing by a certificate.
    let (status, _) = world.curl("stranger", &["-H", &format!("authorization: Bearer {ALICE}")], PENDING);
    assert_eq!(status, "200");
    for (header, expected) in [("origin: https://evil.example", "401"), ("authorization: Bearer wrong", "401")] {
        assert_eq!(world.curl("shop", &["-H", header], PENDING).0, expected, "{header}");
    }

    let who: Value =
        serde_json::from_slice(&world.cli("shop", &["access", "whoami", "--output", "json"]).stdout).unwrap();
    assert_eq!(who["principal"], SHOP);
    assert_eq!(who["credential"]["kind"], "CERTIFICATE", "{who}");
    assert_eq!(who["credential"]["provider"], "corp.example");
    assert!(who["credential"]["expires"].is_string(), "{who}");
    let who = String::from_utf8(world.cli("shop", &["access", "whoami"]).stdout).unwrap();
    assert!(who.contains("client certificate of corp.example, until "), "{who}");
    let doctor = String::from_utf8(world.cli("shop", &["doctor"]).stdout).unwrap();
    assert!(doctor.contains(SHOP), "{doctor}");

    let beside = ["-H", &format!("authorization: Bearer {ALICE}")];
    let created =
        world.curl("shop", &[&create[..], &beside[..]].concat(), "/certificates/beside/create?api-version=7.4");
    assert_eq!(created.0, "202", "{}", created.1);
    let lines = world.ledger(&["--principal", SHOP]);
    let denied = lines.iter().any(|line| line.to_string().contains("\"deny\""));
    assert!(denied && lines.iter().all(|line| line.to_string().contains("spiffe")), "{lines:?}");
    let lines = world.ledger(&["--name", "beside"]);
    assert!(lines.iter().any(|line| line.to_string().contains(SHOP)), "{lines:?}");

    let metrics = admin(&world.server, "/metrics").await.1;
    let counted = |line: &str| metrics.lines().any(|one| one.starts_with(line));
    assert!(
        counted("certmint_client_certificates_total{issuer=\"spiffe:corp.example\",outcome=\"accepted\"} "),
        "{metrics}"
    );
    assert!(counted("certmint_client_certificates_total{issuer=\"\",outcome=\"unknown_issuer\"} "), "{metrics}");
}

#[tokio::test]
async fn a_stream_ends_when_the_ca_of_its_caller_is_taken_out() {
    let world = World::start();
    let mut shop = CertificateServiceClient::new(world.channel("shop").await);
    let request = WatchPendingRequest { snapshot: WatchSnapshot::None.into(), ..WatchPendingRequest::default() };
    let mut stream = shop.watch_pending(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    // A broken file changes nothing.
    write(&world.place.file("corp.pem"), "nothing");
    world.server.signal(Signal::HUP);
    until("the broken file is told", async || world.server.log().contains("it holds no PEM certificate")).await;
    shop.list_pending(ListPendingRequest::default()).await.unwrap();

    write(&world.place.file("corp.pem"), &CallerCa::new("Next", now()).pem());
    world.server.signal(Signal::HUP);
    let ended = loop {
        match tokio::time::timeout(std::time::Duration::from_secs(120), stream.message()).await.expect("no end") {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!((ended.code(), crate::clients::reason(&ended).as_str()), (Code::Unauthenticated, "CREDENTIALS_EXPIRED"));
    let refused = shop.list_pending(ListPendingRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "on the connection that was open");
}

#[tokio::test]
async fn a_certificate_of_the_servers_own_ca_counts_until_it_is_revoked() {
    let world = World::start();
    world.done(&["issuer", "set", "corp", "--provider", "LocalCA"]);
    world.done(&[
        "create",
        "client",
        "--issuer",
        "corp",
        "--subject",
        "CN=client",
        "--san",
        "web.clients.example",
        "--wait",
    ]);
    // The certificate with its chain, and its key.
    let both = world.done(&["export", "client", "--pem"]);
    for end in ["crt", "key"] {
        write(&world.place.file(&format!("own.{end}")), &both);
    }
    write(&world.place.file("own.pem"), &world.done(&["ca", "export", "--issuer", "corp", "--root"]));
    world.server.signal(Signal::HUP);
    until("the CA is taken up", async || world.cli("own", &["list"]).status.success()).await;
    let who = String::from_utf8(world.cli("own", &["access", "whoami"]).stdout).unwrap();
    assert!(who.contains("x509:own:web.clients.example"), "{who}");

    let open = CertificateServiceClient::new(world.channel("own").await);
    open.clone().list_pending(ListPendingRequest::default()).await.unwrap();
    world.done(&[
        "ca",
        "revoke",
        "--certificate",
        world.place.file("own.crt").to_str().unwrap(),
        "--reason",
        "superseded",
    ]);
    let refused = world.cli("own", &["list"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("The client certificate is not accepted."), "{told}");
    until("the open connection is refused", async || {
        open.clone().list_pending(ListPendingRequest::default()).await.is_err()
    })
    .await;
    let metrics = admin(&world.server, "/metrics").await.1;
    assert!(metrics.contains("{issuer=\"x509:own\",outcome=\"revoked\"}"), "{metrics}");
}

#[tokio::test]
async fn the_agent_installs_with_a_certificate_in_place_of_a_token() {
    let world = World::start();
    world.done(&["create", "shop-web", "--issuer", "Self", "--subject", "CN=shop", "--san", "shop.example", "--wait"]);
    let config = format!(
        "server = '{}'\nca = 'tls.crt'\nclient_cert = 'host.crt'\nclient_key = 'host.key'\nhost = 'web-1'\n\
         [[certificate]]\nname = 'shop-web'\n[[certificate.output]]\nfullchain = 'out.pem'\nkey = 'out.key'\n",
        world.url()
    );
    write(&world.place.file("agent.toml"), &config);
    let mut agent = Command::new(env!("CARGO_BIN_EXE_certmint"));
    let log = fs::File::create(world.place.file("agent.log")).unwrap();
    let mut agent = agent.args(["agent", "--config"]).arg(world.place.file("agent.toml")).stderr(log).spawn().unwrap();
    let installed =
        async || fs::read_to_string(world.place.file("out.key")).is_ok_and(|key| key.contains("PRIVATE KEY"));
    until("the agent has installed the key", installed).await;
    let told = async || world.done(&["installations", "shop-web"]).contains("web-1");
    until("the agent has told", told).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
}

/// Whether the server asked for a certificate.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        assert!(hints.is_empty(), "it names no CAs");
        self.0.store(true, SeqCst);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

async fn is_asked(server: &Server, place: &Place) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&fs::read(place.file("tls.crt")).unwrap()).unwrap()).unwrap();
    let asked = Arc::new(Asked::default());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(asked.clone());
    let tcp = TcpStream::connect(server.address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
    asked.0.load(SeqCst)
}

#[tokio::test]
async fn nobody_is_asked_for_a_certificate_unless_one_could_be_accepted() {
    let place = Place::new("");
    let server = place.start();
    assert!(!is_asked(&server, &place).await);
    let world = World::start();
    assert!(is_asked(&world.server, &world.place).await);
    let answer = rest(&world.server, &world.place, Some(ALICE), "GET", PENDING, "").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "without a certificate: {answer}");
}

#[test]
fn a_start_without_good_cas_is_refused() {
    let place = Place::new("");
    place.configure(&format!("{ACCESS}{}{TRUST}", place.auth("")));
    write(&place.file("access.toml"), GRANTS);
    let refused = place.refused();
    assert!(refused.contains("[[auth.spiffe]] corp.example") && refused.contains("corp.pem"), "{refused}");
    // Certificates alone are a way to know callers.
    let corp = CallerCa::new("Corp", now());
    write(&place.file("corp.pem"), &corp.pem());
    write(&place.file("own.pem"), &corp.pem());
    place.configure(&format!("{}[auth]\n{TRUST}", ACCESS.replace("token:alice", SHOP)));
    drop(place.start());
}
