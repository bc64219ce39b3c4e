//! Servers that the tests start: each on free loopback ports, stopped by process id.

use crate::ports::free_port;
use certmint::outbound::{Client, ClientOptions, Exchange, Request, Timeouts};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A child that ends with its owner.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(program: &str, arguments: &[&str], environment: &[(&str, &str)], log: &Path) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; scripts/debian-packages.sh installs it"));
        Self(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a condition holds; the bound is reached by a hang alone.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..2400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

/// pebble and the DNS server that it asks.
pub(crate) struct Pebble {
    pub(crate) folder: TempDir,
    pub(crate) directory: String,
    /// The CA behind pebble's own HTTPS.
    pub(crate) ca_pem: String,
    pub(crate) http_port: u16,
    pub(crate) tls_port: u16,
    pub(crate) dns_port: u16,
    management: u16,
    environment: Vec<(String, String)>,
    own_dns: bool,
    program: String,
    dns: Option<Process>,
    server: Option<Process>,
}

#[derive(Clone, Default)]
pub(crate) struct PebbleOptions {
    /// In percent.
    pub(crate) nonce_rejects: u32,
    /// Up to so many seconds pass before a name is validated.
    pub(crate) slow_validation: Option<u32>,
    /// In percent.
    pub(crate) authorization_reuse: u32,
    pub(crate) alternate_roots: u32,
    /// Key identifier and MAC key of an external account.
    pub(crate) binding: Option<(String, String)>,
    /// A DNS server in place of pebble's own.
    pub(crate) dns_port: Option<u16>,
    /// A newer pebble than Debian's ([`newer_pebble`]): profiles, renewal information, dns-persist-01.
    pub(crate) program: Option<PathBuf>,
}

/// The name by which the newer pebble is known in records of dns-persist-01.
pub(crate) const CA_NAME: &str = "ca.example";

/// A pebble that `make setup-pebble` built: of a version that Debian does not have. Where Go is missing there is none,
/// and what needs it is skipped.
pub(crate) fn newer_pebble() -> Option<PathBuf> {
    let target = || std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join(target()).join("pebble/pebble");
    let program = std::env::var_os("CERTMINT_PEBBLE").map_or_else(built, PathBuf::from);
    if !program.exists() {
        eprintln!("skipped: there is no {}; `make setup-pebble` builds it", program.display());
        return None;
    }
    Some(program)
}

impl Pebble {
    pub(crate) async fn start(options: PebbleOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca_pem = https_certificate(folder.path());
        let ports: Vec<u16> = (0..6).map(|_| free_port()).collect();
        let [listen, management, http_port, tls_port, dns_port, dns_management] = ports[..] else { unreachable!() };
        let mut config = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{listen}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": "https.pem", "privateKey": "https.key",
            "httpPort": http_port, "tlsPort": tls_port,
            "ocspResponderURL": "", "externalAccountBindingRequired": options.binding.is_some(),
            "domainBlocklist": ["blocked.example"],
        }});
        if options.program.is_some() {
            config["pebble"]["profiles"] = json!({
                "classic": {"description": "The usual one.", "validityPeriod": 7_776_000},
                "shortlived": {"description": "Days.", "validityPeriod": 518_400},
            });
            config["pebble"]["retryAfter"] = json!({"authz": 1, "order": 1});
            config["pebble"]["caaIdentities"] = json!([CA_NAME]);
        }
        if let Some((kid, mac_key)) = &options.binding {
            config["pebble"]["externalAccountMACKeys"] = json!({kid: mac_key});
        }
        std::fs::write(folder.path().join("pebble.json"), config.to_string()).unwrap();
        let percent = |number: u32| number.to_string();
        let environment = [
            ("PEBBLE_VA_NOSLEEP", u32::from(options.slow_validation.is_none()).to_string()),
            ("PEBBLE_VA_SLEEPTIME", options.slow_validation.unwrap_or(1).to_string()),
            ("PEBBLE_WFE_NONCEREJECT", percent(options.nonce_rejects)),
            ("PEBBLE_AUTHZREUSE", percent(options.authorization_reuse)),
            ("PEBBLE_ALTERNATE_ROOTS", percent(options.alternate_roots)),
        ];
        let dns = options.dns_port.is_none().then(|| {
            let (dns, management) = (format!("127.0.0.1:{dns_port}"), format!("127.0.0.1:{dns_management}"));
            let arguments =
                ["-dns01", &dns, "-management", &management, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""];
            let off = ["-http01", "", "-https01", "", "-tlsalpn01", ""];
            let arguments: Vec<&str> = arguments.into_iter().chain(off).collect();
            Process::start("pebble-challtestsrv", &arguments, &[], &folder.path().join("dns.log"))
        });
        let mut pebble = Self {
            directory: format!("https://localhost:{listen}/dir"),
            ca_pem,
            http_port,
            tls_port,
            dns_port: options.dns_port.unwrap_or(dns_port),
            management: dns_management,
            environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            own_dns: dns.is_some(),
            program: options.program.map_or_else(|| "pebble".to_owned(), |program| program.display().to_string()),
            dns,
            server: None,
            folder,
        };
        pebble.restart().await;
        pebble
    }

    /// Starts it again: it forgets its accounts and orders, and issues from another root.
    pub(crate) async fn restart(&mut self) {
        self.server = None;
        let config = self.folder.path().join("pebble.json");
        let dns = format!("127.0.0.1:{}", self.dns_port);
        let mut environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        environment.push(("GODEBUG", "netdns=go"));
        let log = self.folder.path().join("pebble.log");
        // The certificate's files are named relative to the folder.
        let shell = format!(
            "cd '{}' && exec '{}' -config '{}' -dnsserver {dns}",
            self.folder.path().display(),
            self.program,
            config.display()
        );
        self.server = Some(Process::start("sh", &["-c", &shell], &environment, &log));
        let client = self.client();
        until("pebble answers", || async { client.exchange(Request::get(self.directory.as_str())).await.is_ok() })
            .await;
        if self.own_dns {
            let management = self.management;
            until("the DNS server answers", || async move {
                tokio::net::TcpStream::connect(("127.0.0.1", management)).await.is_ok()
            })
            .await;
        }
        assert_eq!(self.dns.is_some(), self.own_dns);
    }

    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    /// What the engine's clients are made from; pebble's CA is an option of the issuer.
    pub(crate) fn client_options() -> ClientOptions {
        let timeouts =
            Timeouts { connect: Duration::from_secs(5), head: Duration::from_secs(20), body: Duration::from_secs(20) };
        ClientOptions { timeouts, native_roots: false, plain_http: true, ..ClientOptions::default() }
    }

    fn client(&self) -> Client {
        Client::new(ClientOptions { extra_roots: Some(self.ca_pem.clone()), ..Self::client_options() }).unwrap()
    }

    /// Where records are set at pebble's own DNS server.
    pub(crate) fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.management)
    }
}

/// Writes the certificate of `localhost`, and returns that of its CA.
fn https_certificate(folder: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    std::fs::write(folder.join("https.pem"), leaf.pem()).unwrap();
    std::fs::write(folder.join("https.key"), key.serialize_pem()).unwrap();
    ca.pem()
}

/// The TSIG key of the name servers.
pub(crate) const TSIG: (&str, &str) = ("acme-update", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTMyYnl0");

/// A name server for `example.com` whose key may change TXT records of two places alone; one name
/// is delegated by an alias.
pub(crate) struct NameServer {
    pub(crate) port: u16,
    _folder: TempDir,
    _process: Process,
}

/// The servers that updates are tried with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Knot,
    Bind,
}

impl NameServer {
    pub(crate) async fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let zone = "$ORIGIN example.com.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n\
                    ns A 127.0.0.1\n@ A 127.0.0.1\n* A 127.0.0.1\n_acme-challenge.deleg CNAME x1.acme\n";
        std::fs::write(folder.path().join("example.com.zone"), zone).unwrap();
        let (program, config) = match kind {
            Kind::Knot => ("knotd", knot_config(folder.path(), port)),
            Kind::Bind => ("named", bind_config(folder.path(), port)),
        };
        let file = folder.path().join("server.conf");
        std::fs::write(&file, config).unwrap();
        let file = file.to_str().unwrap();
        let arguments: &[&str] = match kind {
            Kind::Knot => &["-c", file],
            Kind::Bind => &["-g", "-c", file],
        };
        let process = Process::start(program, arguments, &[], &folder.path().join("server.log"));
        until("the name server answers", || async move { !texts(port, "example.com", "SOA").await.is_empty() }).await;
        Self { port, _folder: folder, _process: process }
    }
}

fn knot_config(folder: &Path, port: u16) -> String {
    std::fs::create_dir(folder.join("db")).unwrap();
    let (place, (key, secret)) = (folder.display(), TSIG);
    format!(
        "server:\n    rundir: \"{place}\"\n    listen: 127.0.0.1@{port}\n\
         database:\n    storage: \"{place}/db\"\n\
         log:\n  - target: stderr\n    any: info\n\
         key:\n  - id: {key}\n    algorithm: hmac-sha256\n    secret: {secret}\n\
         acl:\n  - id: acme-txt\n    address: 127.0.0.1\n    key: {key}\n    action: update\n    update-type: [TXT]\n    \
         update-owner: name\n    update-owner-match: sub-or-equal\n    \
         update-owner-name: [_acme-challenge.example.com., acme.example.com.]\n\
         template:\n  - id: default\n    storage: \"{place}\"\n    file: \"%s.zone\"\n\
         zone:\n  - domain: example.com\n    acl: acme-txt\n    zonefile-sync: -1\n    \
         zonefile-load: difference-no-serial\n    journal-content: all\n"
    )
}

fn bind_config(folder: &Path, port: u16) -> String {
    let (place, (key, secret)) = (folder.display(), TSIG);
    format!(
        "options {{ directory \"{place}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
         pid-file \"{place}/named.pid\"; session-keyfile \"{place}/session.key\"; recursion no; dnssec-validation no;\n\
         managed-keys-directory \"{place}\"; }};\ncontrols {{ }};\n\
         key \"{key}\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n\
         zone \"example.com\" {{ type primary; file \"{place}/example.com.zone\"; update-policy {{\n\
         grant {key} name _acme-challenge.example.com TXT; grant {key} subdomain acme.example.com TXT; }}; }};\n"
    )
}

/// What `dig +short` prints.
pub(crate) async fn texts(port: u16, name: &str, kind: &str) -> String {
    let port = port.to_string();
    let output = tokio::process::Command::new("dig")
        .args(["+short", "+tries=1", "+time=2", "@127.0.0.1", "-p", &port, name, kind])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    if output.status.success() { text } else { String::new() }
}
