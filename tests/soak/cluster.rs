//! Replicas as an operator would run them: one data folder (master key, CA), one database, and between all of them a
//! network that the tests can break.

use crate::client::{Caller, Fleet, ready};
use crate::dice::Dice;
use crate::process::Server;
use crate::proxy::{Network, Proxy};
use certmint::proto::v1::{Issuer, IssuerCredentials, SetIssuerRequest};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Shorter than the defaults, so that a round takes seconds and not minutes.
pub(crate) const CONFIG: &str = r#"
[limits]
work_lease = "3s"
[store]
connect_timeout = "2s"
answer_timeout = "3s"
retry_for = "4s"
"#;

/// Issuer objects that the load uses, with their provider and account.
const ISSUERS: [(&str, &str, &str); 6] = [
    ("corp", "LocalCA", "intermediate"),
    ("holds", "Test", "hold"),
    ("fails", "Test", "fail"),
    ("rejects", "Test", "reject"),
    ("signs", "Test", "complete"),
    ("sticks", "Test", "stuck"),
];

pub(crate) struct Replica {
    pub(crate) server: Server,
    /// Between clients and the replica.
    pub(crate) front: Proxy,
    /// Between the replica and its database.
    pub(crate) back: Option<Proxy>,
}

pub(crate) struct Cluster {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) fleet: Fleet,
    /// Of the database, not through a proxy; none for the embedded store.
    pub(crate) url: Option<String>,
    _folder: TempDir,
}

impl Cluster {
    /// Replicas on the database at `url`, started all at the same instant.
    pub(crate) async fn on_postgres(replicas: usize, url: String) -> Self {
        Self::start(replicas, Some(url), CONFIG, |_| Vec::new()).await
    }

    pub(crate) async fn start(
        count: usize,
        url: Option<String>,
        config: &str,
        environment: impl Fn(usize) -> Vec<(String, String)>,
    ) -> Self {
        let mut cluster = Self::prepare(count, url, config, environment).await;
        for replica in &mut cluster.replicas {
            replica.server.start();
        }
        cluster.all_ready().await;
        cluster.connect();
        cluster.set_issuers().await;
        cluster
    }

    /// Makes the issuers that the load uses.
    pub(crate) async fn set_issuers(&self) {
        let mut operator = self.caller("operator", 0);
        for (name, provider, account) in ISSUERS {
            set_issuer(&mut operator, name, provider, account).await;
        }
    }

    /// As [`Cluster::start`], without starting them.
    pub(crate) async fn prepare(
        count: usize,
        url: Option<String>,
        config: &str,
        environment: impl Fn(usize) -> Vec<(String, String)>,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("certmint-soak-").tempdir().unwrap();
        let mut replicas = Vec::new();
        for number in 0..count {
            let mut environment = environment(number);
            let mut back = None;
            if let Some(url) = &url {
                let proxy = Proxy::to(port_of(url)).await;
                environment.push(("CERTMINT_STORE".to_owned(), through(url, proxy.port)));
                back = Some(proxy);
            }
            let name = format!("replica-{number}");
            // What only one of them may have, such as an address.
            let config = config.replace("REPLICA", &number.to_string());
            let server = Server::new(&name, folder.path().join("data"), &config, environment);
            let front = Proxy::to(server.port).await;
            replicas.push(Replica { server, front, back });
        }
        let nobody = Fleet::none();
        Self { replicas, fleet: nobody, url, _folder: folder }
    }

    /// Once the CA is there.
    pub(crate) fn connect(&mut self) {
        let ports: Vec<u16> = self.replicas.iter().map(|replica| replica.front.port).collect();
        self.fleet = Fleet::new(&self.data().join("ca.pem"), &ports);
    }

    /// The same with clients that wait for every answer.
    pub(crate) fn connect_patiently(&mut self) {
        let ports: Vec<u16> = self.replicas.iter().map(|replica| replica.front.port).collect();
        self.fleet = Fleet::patient(&self.data().join("ca.pem"), &ports);
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.replicas[0].server.data.clone()
    }

    pub(crate) fn caller(&self, what: &str, number: u64) -> Caller {
        self.fleet.caller(Dice::of(what, number))
    }

    pub(crate) async fn ready(&mut self, number: usize) {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let server = &mut self.replicas[number].server;
            let Err(problem) = ready(&server.data, server.port, Duration::from_secs(2)).await else { return };
            // As a supervisor would: on a busy machine the database may be slower than its time.
            let again = server.ended().is_some() && server.last_words().contains("the store is not available");
            assert!(Instant::now() < deadline && (again || server.ended().is_none()), "{problem}\n{}", self.logs());
            if again {
                let server = &mut self.replicas[number].server;
                server.kill9();
                server.start();
            }
        }
    }

    pub(crate) async fn all_ready(&mut self) {
        for number in 0..self.replicas.len() {
            self.ready(number).await;
        }
    }

    /// Ends every fault that the tests made.
    pub(crate) async fn heal(&mut self) {
        for number in 0..self.replicas.len() {
            let Replica { server, front, back } = &mut self.replicas[number];
            front.set(Network::Whole);
            if let Some(back) = back {
                back.set(Network::Whole);
            }
            if !server.is_running() {
                server.start();
            }
        }
        self.all_ready().await;
    }

    /// The ends of all logs.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for (number, replica) in self.replicas.iter().enumerate() {
            let log = replica.server.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            text.push_str(&format!("--- replica {number} (port {}):\n{tail}\n", replica.server.port));
        }
        text
    }
}

pub(crate) async fn set_issuer(caller: &mut Caller, name: &str, provider: &str, account: &str) {
    let credentials = IssuerCredentials { account_id: account.to_owned(), ..IssuerCredentials::default() };
    let issuer = Issuer { provider: provider.to_owned(), credentials: Some(credentials), ..Issuer::default() };
    let request =
        SetIssuerRequest { issuer_name: name.to_owned(), issuer: Some(issuer), ..SetIssuerRequest::default() };
    caller.set_issuer(request).await.unwrap();
}

fn port_of(url: &str) -> u16 {
    let (_, rest) = url.rsplit_once('@').unwrap();
    rest.split([':', '/']).nth(1).unwrap().parse().unwrap()
}

fn through(url: &str, port: u16) -> String {
    url.replace(&format!(":{}/", port_of(url)), &format!(":{port}/"))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n{}", self.logs(), crate::dice::how_to_repeat());
        }
    }
}
