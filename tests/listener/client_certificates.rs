//! Client certificates over real TLS: what is believed of them, when it is judged again, and what a token beside them
//! changes.

use crate::caller_certificates::{CallerCa, CallerPair, svid};
use crate::support::{FixedTime, HANG, ask, calm, text};
use certmint::clock::{Clock, ManualClock};
use certmint::domain::{Result as Answer, Serial, Timestamp};
use certmint::mtls::{
    CertificateOptions, ClientTrust, Possession, Revocations, SpiffeOptions, TrustOptions, X509Options,
};
use certmint::transport::auth::{Auth, Tokens};
use certmint::transport::listener::{ConnectionInfo, Listener};
use certmint::transport::tls::{self, DevCa, DevCertificates};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The day of the certificates of the server.
const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
const SHOP: &str = "spiffe://corp.example/ns/shop/sa/web";
const DAY: Duration = Duration::from_secs(86_400);

/// A port whose every path says who calls, or why it is nobody.
struct Port {
    address: SocketAddr,
    ca_pem: String,
    corp: CallerCa,
    trust: Arc<ClientTrust>,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    _stop: DropGuard,
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn options<T: serde::de::DeserializeOwned>(text: &str) -> T {
    toml::from_str(text).unwrap()
}

impl Port {
    /// With the trust domain `corp.example`, and the CA of the same file as `corp` with these settings.
    async fn start(x509: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let corp = CallerCa::new("Corp", NOW);
        let roots = folder.path().join("corp.pem");
        write(&roots, &corp.pem());
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(NOW.unix_timestamp())));
        let file = roots.display();
        let spiffe: SpiffeOptions = options(&format!("trust_domain = 'corp.example'\nroots_file = '{file}'"));
        let x509: X509Options = options(&format!("name = 'corp'\nroots_file = '{file}'\n{x509}"));
        let certificates = CertificateOptions { max_certificates: 3, ..CertificateOptions::default() };
        let (spiffe, x509) = ([spiffe], [x509]);
        let trust = TrustOptions { spiffe: &spiffe, x509: &x509, certificates: &certificates };
        let at: Arc<dyn Clock> = clock.clone();
        let trust = Arc::new(ClientTrust::open(trust, &at).unwrap());
        let tokens = folder.path().join("tokens");
        // SHA-256 of "token".
        write(&tokens, "ci 3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0\n");
        let tokens = Some(Arc::new(Tokens::load(&tokens).unwrap()));
        let auth = Auth::Known { tokens, issuers: None, certificates: Some(trust.clone()) };

        let ca = DevCa::load_or_create(folder.path(), NOW).unwrap();
        let ca_pem = ca.pem().to_owned();
        let own = DevCertificates::new(ca, "localhost", || NOW).unwrap();
        let tls = tls::with_clients(Arc::new(own), Arc::new(Possession::new(&certificates))).unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), calm()).await.unwrap();
        let (address, stop) = (listener.local_addr(), CancellationToken::new());
        let who = move |request: axum::extract::Request| async move {
            let on = request.extensions().get::<ConnectionInfo>().unwrap();
            match auth.authenticate(request.headers(), on.certificate.as_ref()).await {
                Ok(caller) => caller.name.to_string(),
                Err(refused) => format!("{refused:?}"),
            }
        };
        tokio::spawn(listener.serve(tls, axum::Router::new().fallback(who), stop.clone()));
        Self { address, ca_pem, corp, trust, clock, folder, _stop: stop.drop_guard() }
    }

    fn client(&self, pair: Option<&CallerPair>, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(FixedTime))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match pair {
            Some(pair) => config.with_client_auth_cert(pair.chain.clone(), pair.key()).unwrap(),
            None => config.with_no_client_auth(),
        })
    }

    /// A connection, and whether its session was resumed.
    async fn connect(&self, client: &Arc<ClientConfig>) -> std::io::Result<(Connection, bool)> {
        let tcp = TcpStream::connect(self.address).await?;
        let tls = TlsConnector::from(client.clone()).connect(ServerName::try_from("localhost").unwrap(), tcp).await?;
        let resumed = tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok((Connection(sender), resumed))
    }

    /// Who calls with this certificate, on a connection of its own.
    async fn who(&self, pair: &CallerPair) -> String {
        let client = self.client(Some(pair), rustls::ALL_VERSIONS);
        self.connect(&client).await.unwrap().0.who(&[]).await
    }

    async fn who_is(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut leaf = svid(SHOP, NOW);
        change(&mut leaf);
        self.who(&self.corp.sign(&leaf)).await
    }

    fn judged(&self, outcome: &str) -> u64 {
        self.trust.counts().iter().filter(|(_, name, _)| *name == outcome).map(|(_, _, count)| count).sum()
    }
}

struct Connection(http1::SendRequest<crate::support::NoBody>);

impl Connection {
    async fn try_who(&mut self, headers: &[(&'static str, &'static str)]) -> Result<String, hyper::Error> {
        let mut request = ask("/");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let answer = tokio::time::timeout(HANG, self.0.send_request(request)).await.expect("no answer")?;
        Ok(text(answer).await)
    }

    async fn who(&mut self, headers: &[(&'static str, &'static str)]) -> String {
        self.try_who(headers).await.unwrap()
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

#[tokio::test]
async fn a_workload_is_known_by_its_spiffe_id_and_nobody_without_a_certificate() {
    let port = Port::start("principal = 'dns'").await;
    assert_eq!(port.who_is(|_| {}).await, SHOP);
    let nobody = port.client(None, rustls::ALL_VERSIONS);
    assert_eq!(port.connect(&nobody).await.unwrap().0.who(&[]).await, "Nothing");
    let below = port.corp.below("Issuing", NOW);
    let mut pair = below.sign(&svid(SHOP, NOW));
    assert_eq!(port.who(&pair).await, "Certificate(UnknownIssuer)", "its chain is not complete");
    pair.chain.push(below.der());
    assert_eq!(port.who(&pair).await, SHOP);
    assert_eq!((port.judged("accepted"), port.judged("unknown_issuer")), (2, 1));
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_keeps_its_caller_out() {
    let port = Port::start("principal = 'dns'").await;
    let hour = time::Duration::hours(1);
    assert_eq!(port.who_is(|it| it.not_after = NOW - hour).await, "Certificate(Expired)");
    assert_eq!(port.who_is(|it| it.not_before = NOW + hour).await, "Certificate(NotYetValid)");
    let purpose = "Certificate(Purpose)";
    assert_eq!(port.who_is(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]).await, purpose);
    assert_eq!(port.who_is(|it| it.key_usages = vec![KeyUsagePurpose::KeyEncipherment]).await, purpose);
    assert_eq!(port.who_is(|it| it.key_usages = Vec::new()).await, purpose);
    let ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    assert_eq!(port.who_is(|it| it.is_ca = ca).await, purpose);
    // Without a list of purposes it is good for every one.
    assert_eq!(port.who_is(|it| it.extended_key_usages = Vec::new()).await, SHOP);
    // Another CA of the same name.
    let other = CallerCa::new("Corp", NOW);
    let refused = port.who(&other.sign(&svid(SHOP, NOW))).await;
    assert!(refused.starts_with("Certificate("), "{refused}");
}

#[tokio::test]
async fn an_id_is_one_uri_of_a_trust_domain_that_its_own_cas_vouch_for() {
    let port = Port::start("principal = 'uri'").await;
    let names = "Certificate(Names)";
    assert_eq!(port.who_is(|it| it.subject_alt_names.push(uri("spiffe://corp.example/admin"))).await, names);
    assert_eq!(port.who_is(|it| it.subject_alt_names.push(uri("https://corp.example/"))).await, names);
    assert_eq!(port.who_is(|it| it.subject_alt_names.push(dns("web.example"))).await, SHOP);
    for bad in
        ["spiffe://corp.example", "spiffe://corp.example/a//b", "SPIFFE://corp.example/a", "spiffe://corp.example/a?b"]
    {
        assert_eq!(port.who_is(|it| it.subject_alt_names = vec![uri(bad)]).await, names, "{bad}");
    }
    // The CA of corp.example speaks for no other domain: the URI is one of [[auth.x509]] then, and no SPIFFE id.
    let other = port.who_is(|it| it.subject_alt_names = vec![uri("spiffe://other.example/web")]).await;
    assert_eq!(other, "x509:corp:spiffe://other.example/web");
}

#[tokio::test]
async fn of_several_names_one_has_to_be_accepted() {
    let port = Port::start("principal = 'dns'\nallow = ['*.clients.example']").await;
    let with = async |names: &[&str]| {
        port.who_is(|it| it.subject_alt_names = names.iter().map(|name| dns(name)).collect()).await
    };
    assert_eq!(with(&["Web.clients.example"]).await, "x509:corp:web.clients.example");
    assert_eq!(with(&["web.clients.example", "web.internal"]).await, "x509:corp:web.clients.example");
    for bad in
        [&["web.clients.example", "api.clients.example"][..], &["evilclients.example"], &["*.clients.example"], &[]]
    {
        assert_eq!(with(bad).await, "Certificate(Names)", "{bad:?}");
    }
}

#[tokio::test]
async fn a_subject_is_the_whole_of_it() {
    let port = Port::start("principal = 'subject'").await;
    let named = port
        .who_is(|it| {
            it.subject_alt_names = Vec::new();
            it.distinguished_name.push(DnType::OrganizationName, "Example Corp");
            it.distinguished_name.push(DnType::CommonName, "shop");
        })
        .await;
    assert_eq!(named, r"x509:corp:CN=shop,O=Example\20Corp");
    assert_eq!(port.who_is(|it| it.subject_alt_names = Vec::new()).await, "Certificate(Names)", "it is empty");
}

#[tokio::test]
async fn a_token_wins_and_one_that_is_wrong_is_not_replaced() {
    let port = Port::start("principal = 'dns'").await;
    let pair = port.corp.sign(&svid(SHOP, NOW));
    let client = port.client(Some(&pair), rustls::ALL_VERSIONS);
    let (mut on, _) = port.connect(&client).await.unwrap();
    assert_eq!(on.who(&[("authorization", "Bearer token")]).await, "token:ci");
    for bad in ["Bearer wrong", "Bearer", "Basic eDp5"] {
        assert_eq!(on.who(&[("authorization", bad)]).await, "Nothing", "{bad}");
    }
    // What a browser sends for a page, by itself with a certificate.
    assert_eq!(on.who(&[("origin", "https://evil.example")]).await, "Nothing");
    assert_eq!(on.who(&[("sec-fetch-site", "cross-site")]).await, "Nothing");
    assert_eq!(on.who(&[]).await, SHOP);
    // A certificate of an unknown CA shuts nobody out who brings a token.
    let other = CallerCa::new("Mesh", NOW).sign(&svid(SHOP, NOW));
    let client = port.client(Some(&other), rustls::ALL_VERSIONS);
    let (mut on, _) = port.connect(&client).await.unwrap();
    assert_eq!(on.who(&[("authorization", "Bearer token")]).await, "token:ci");
    assert_eq!(on.who(&[]).await, "Certificate(UnknownIssuer)");
}

#[tokio::test]
async fn who_does_not_have_the_key_or_shows_too_much_gets_no_connection() {
    let port = Port::start("principal = 'dns'").await;
    let (own, foreign) = (port.corp.sign(&svid(SHOP, NOW)), port.corp.sign(&svid(SHOP, NOW)));
    let stolen = CallerPair { chain: foreign.chain, key: own.key };
    let mut long = port.corp.sign(&svid(SHOP, NOW));
    long.chain.extend(std::iter::repeat_n(port.corp.der(), 3));
    let mut large = svid(SHOP, NOW);
    large.subject_alt_names.extend((0..300).map(|number| dns(&format!("{number:040}.example"))));
    for (what, pair) in [("stolen", stolen), ("long", long), ("large", port.corp.sign(&large))] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            // rustls looks at the key itself, unless the certificate brings it along unseen.
            let client = port.client_unchecked(&pair, version);
            let refused = match port.connect(&client).await {
                // In TLS 1.3 the client hears of it after its first bytes.
                Ok((mut on, _)) => on.try_who(&[]).await.is_err(),
                Err(_) => true,
            };
            assert!(refused, "{what}");
        }
    }
}

#[tokio::test]
async fn a_resumed_session_is_judged_by_the_time_and_the_cas_of_now() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let port = Port::start("principal = 'dns'").await;
        let pair = port.corp.sign(&svid(SHOP, NOW));
        let client = port.client(Some(&pair), &[version]);
        let (mut first, resumed) = port.connect(&client).await.unwrap();
        assert_eq!((first.who(&[]).await.as_str(), resumed), (SHOP, false));
        let (mut second, resumed) = port.connect(&client).await.unwrap();
        assert_eq!((second.who(&[]).await.as_str(), resumed), (SHOP, true));

        // The CA goes, and comes back.
        write(&port.folder.path().join("corp.pem"), &CallerCa::new("Other", NOW).pem());
        assert!(port.trust.reload().unwrap());
        let (mut third, resumed) = port.connect(&client).await.unwrap();
        assert_eq!((third.who(&[]).await.as_str(), resumed), ("Certificate(UnknownIssuer)", true));
        assert_eq!(first.who(&[]).await, "Certificate(UnknownIssuer)", "a connection that stayed open");
        write(&port.folder.path().join("corp.pem"), &port.corp.pem());
        assert!(port.trust.reload().unwrap() && !port.trust.reload().unwrap());
        assert_eq!(first.who(&[]).await, SHOP);

        // The certificate ends tomorrow, with the second that it names.
        port.clock.advance(DAY);
        let (mut last, resumed) = port.connect(&client).await.unwrap();
        assert_eq!((last.who(&[]).await.as_str(), resumed), (SHOP, true));
        port.clock.advance(Duration::from_secs(1));
        assert_eq!(last.who(&[]).await, "Certificate(Expired)");
        let (mut fourth, resumed) = port.connect(&client).await.unwrap();
        assert_eq!((fourth.who(&[]).await.as_str(), resumed), ("Certificate(Expired)", true));
        assert_eq!(first.who(&[]).await, "Certificate(Expired)", "a connection that stayed open");
    }
}

#[tokio::test]
async fn a_ca_that_has_ended_vouches_for_nobody() {
    let port = Port::start("principal = 'dns'").await;
    let pair = port.corp.sign(&{
        let mut leaf = svid(SHOP, NOW);
        leaf.not_after = NOW + time::Duration::days(1000);
        leaf
    });
    let client = port.client(Some(&pair), rustls::ALL_VERSIONS);
    let (mut on, _) = port.connect(&client).await.unwrap();
    assert_eq!(on.who(&[]).await, SHOP);
    port.clock.advance(DAY * 101);
    assert_eq!(on.who(&[]).await, "Certificate(UnknownIssuer)");
}

/// What the CAs of a server say of every certificate.
struct Said(AtomicU8);

#[async_trait::async_trait]
impl Revocations for Said {
    async fn has_revoked(&self, _: &[u8], _: &Serial) -> Answer<bool> {
        match self.0.load(SeqCst) {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(certmint::domain::Error::internal()),
        }
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_on_a_connection_that_stays_open() {
    let port = Port::start("principal = 'dns'").await;
    let said = Arc::new(Said(AtomicU8::new(0)));
    port.trust.ask(said.clone());
    let pair = port.corp.sign(&svid(SHOP, NOW));
    let client = port.client(Some(&pair), rustls::ALL_VERSIONS);
    let (mut on, _) = port.connect(&client).await.unwrap();
    assert_eq!(on.who(&[]).await, SHOP);
    said.0.store(1, SeqCst);
    assert_eq!(on.who(&[]).await, SHOP, "it is not asked for each request");
    port.clock.advance(port.trust.check_every());
    assert_eq!(on.who(&[]).await, "Certificate(Revoked)");
    let (mut again, _) = port.connect(&client).await.unwrap();
    assert_eq!(again.who(&[]).await, "Certificate(Revoked)");
    said.0.store(2, SeqCst);
    let (mut unknown, _) = port.connect(&client).await.unwrap();
    assert_eq!(unknown.who(&[]).await, "Certificate(Unavailable)");
    said.0.store(0, SeqCst);
    assert_eq!(unknown.who(&[]).await, SHOP, "what could not be known is not kept");
}

#[test]
fn files_of_cas_hold_cas_that_nobody_else_can_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_seconds(NOW.unix_timestamp())));
    let open = |name: &str| {
        let x509: X509Options =
            options(&format!("name = '{name}'\nprincipal = 'dns'\nroots_file = '{}'", file.display()));
        let certificates = CertificateOptions::default();
        let x509 = [x509];
        let options = TrustOptions { spiffe: &[], x509: &x509, certificates: &certificates };
        ClientTrust::open(options, &clock).map(drop).map_err(|error| error.to_string())
    };
    let corp = CallerCa::new("Corp", NOW);
    let leaf = corp.sign(&svid(SHOP, NOW));
    let pem = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, &leaf.chain[0]).unwrap();
    for (text, problem) in [
        (format!("{}{pem}", corp.pem()), "certificate 2: it is not that of a CA"),
        (String::new(), "it holds no PEM certificate"),
        ("-----BEGIN CERTIFICATE-----\n!\n".to_owned(), "cannot be used"),
        (corp.pem().repeat(101), "more than 100 certificates"),
    ] {
        write(&file, &text);
        let refused = open("corp").unwrap_err();
        assert!(refused.starts_with("[[auth.x509]] corp: ") && refused.contains(problem), "{refused}");
    }
    write(&file, &corp.pem());
    assert_eq!(open("corp"), Ok(()));
    assert!(open("Corp").unwrap_err().contains("name: write up to 32"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o662)).unwrap();
    assert!(open("corp").unwrap_err().contains("writable by others"));
}

impl Port {
    /// Like [`Port::client`], without the client's own look at whether the key is the certificate's.
    fn client_unchecked(&self, pair: &CallerPair, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mut config = Arc::unwrap_or_clone(self.client(None, &[version]));
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&pair.key()).unwrap();
        let certified = rustls::sign::CertifiedKey::new(pair.chain.clone(), key);
        config.client_auth_cert_resolver = Arc::new(Always(Arc::new(certified)));
        Arc::new(config)
    }
}

#[derive(Debug)]
struct Always(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
