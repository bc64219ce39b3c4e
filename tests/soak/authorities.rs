//! Authorities outside, under kill -9: pebble with a name server for `http-01` and `dns-01`, and the false DigiCert,
//! GlobalSign (GCC) and GlobalSign Atlas of the other tests, over HTTPS. Two replicas on PostgreSQL are killed at
//! random; in the end every operation is completed, no CA has a second order, and nothing is stuck.

use crate::atlas_mock::{self, Atlas};
use crate::client::Caller;
use crate::cluster::{CONFIG, Cluster};
use crate::dice::{Dice, rounds};
use crate::gcc;
use crate::harness::turn;
use crate::load::request;
use crate::mock::{self, Mock};
use crate::peers::{Kind, NameServer, Pebble, PebbleOptions, TSIG};
use crate::postgres::Postgres;
use certmint::proto::v1::{
    AdministratorDetails, GetPendingRequest, Issuer, IssuerCredentials, OrganizationDetails, PendingStatus,
    SetIssuerRequest,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

/// Longest time from the last kill until everything is over; a lost answer is followed by a wait of a minute.
const SETTLES: Duration = Duration::from_secs(600);
/// Operations that are open at once.
const OPEN: usize = 20;

/// The CAs, and how their issuer objects are set.
struct Outside {
    pebble: Pebble,
    names: NameServer,
    digicert: Mock,
    gcc: Arc<gcc::Mock>,
    atlas: Arc<Atlas>,
}

impl Outside {
    async fn start() -> Self {
        let names = NameServer::start(Kind::Bind).await;
        let options = PebbleOptions { nonce_rejects: 5, dns_port: Some(names.port), ..Default::default() };
        let pebble = Pebble::start(options).await;
        let (digicert, gcc, atlas) = (Mock::start().await, gcc::Mock::start().await, Atlas::start().await);
        digicert.faults(|faults| faults.first_status = Some("processing".into()));
        gcc.faults(|faults| faults.first_status = Some("2"));
        Self { pebble, names, digicert, gcc, atlas }
    }

    fn issuers(&self) -> Vec<(&'static str, Issuer)> {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let credentials = |account: &str, password: &str| {
            Some(IssuerCredentials { account_id: account.into(), password: password.into() })
        };
        let server = format!("127.0.0.1:{}", self.names.port);
        let acme = [
            ("directory", self.pebble.directory.as_str()),
            ("ca_file", &self.pebble.ca_pem),
            ("agree_to_terms", "true"),
            ("max_orders", "50"),
        ];
        let mut by_dns = acme.to_vec();
        by_dns.extend([
            ("challenge", "dns-01"),
            ("dns_provider", "rfc2136"),
            ("dns_server", server.as_str()),
            ("dns_zone", "example.com"),
            ("dns_resolvers", &server),
            ("dns_check_servers", &server),
            ("tsig_name", TSIG.0),
        ]);
        let (gcc_url, gcc_ca) = self.gcc.url.lock().unwrap().clone();
        let gcc_url = format!("{gcc_url}/kb/ws");
        let contact = AdministratorDetails {
            first_name: "Jane".into(),
            last_name: "Doe".into(),
            email: "jane@example.com".into(),
            phone: "555 0100".into(),
        };
        let organization = |id: &str, administrators| Some(OrganizationDetails { id: id.into(), administrators });
        vec![
            ("http", Issuer { provider: "ACME".into(), options: map(&acme), ..Issuer::default() }),
            (
                "dns",
                Issuer {
                    provider: "ACME".into(),
                    options: map(&by_dns),
                    secret_options: map(&[("tsig_secret", TSIG.1)]),
                    ..Issuer::default()
                },
            ),
            (
                "digicert",
                Issuer {
                    provider: "DigiCert".into(),
                    credentials: credentials("12345", mock::KEY),
                    organization: organization("123456", Vec::new()),
                    options: map(&[("base_url", &self.digicert.base_url), ("ca_file", &self.digicert.ca_pem)]),
                    ..Issuer::default()
                },
            ),
            (
                "gcc",
                Issuer {
                    provider: "GlobalSign".into(),
                    credentials: credentials("PAR12345_ops", gcc::PASSWORD),
                    organization: organization("", vec![contact]),
                    options: map(&[("base_url", &gcc_url), ("ca_file", &gcc_ca)]),
                    ..Issuer::default()
                },
            ),
            (
                "atlas",
                Issuer {
                    provider: "GlobalSignAtlas".into(),
                    credentials: credentials(atlas_mock::KEY, atlas_mock::SECRET),
                    options: map(&[
                        ("base_url", &self.atlas.url),
                        ("ca_file", &self.atlas.ca_pem),
                        ("client_certificate_file", &self.atlas.client.0),
                    ]),
                    secret_options: map(&[("client_key", &self.atlas.client.1)]),
                    ..Issuer::default()
                },
            ),
        ]
    }

    /// What waits at the CAs is issued now and then.
    fn decide(&self) {
        self.digicert.issue_what_waits();
        self.gcc.set_status("4");
    }

    /// Certificates that pebble made.
    fn made_by_pebble(&self) -> usize {
        let log = std::fs::read_to_string(self.pebble.folder.path().join("pebble.log")).unwrap();
        log.matches("Issued certificate serial").count()
    }
}

/// What stands before the replicas for `http-01`, as a load balancer does: whoever lives gets the connection.
async fn balance(port: u16, replicas: usize) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                for number in 0..replicas {
                    if let Ok(mut to) = TcpStream::connect((format!("127.0.0.1{number}"), port)).await {
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                        return;
                    }
                }
            });
        }
    });
}

/// The common name of an operation: `http` and `dns` have zones of their own.
fn name_at(issuer: &str, number: usize) -> String {
    match issuer {
        "dns" => format!("n{number}.acme.example.com"),
        _ => format!("{issuer}{number}.example.com"),
    }
}

/// Makes operations until it is told to stop, some open at a time. Answers them: the name, the id and the issuer.
async fn orders(mut caller: Caller, stop: Arc<AtomicBool>) -> Vec<(String, String, &'static str)> {
    let issuers = ["http", "dns", "digicert", "gcc", "atlas"];
    let (mut made, mut open): (Vec<(String, String, &str)>, Vec<usize>) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::SeqCst) {
        let mut still = Vec::new();
        for number in open {
            let (name, id, _) = &made[number];
            if status(&mut caller, name, id).await.0 == PendingStatus::InProgress {
                still.push(number);
            }
        }
        open = still;
        while open.len() < OPEN && !stop.load(Ordering::SeqCst) {
            let number = made.len();
            let issuer = issuers[number % issuers.len()];
            let (name, id) = (format!("{issuer}-{number}"), caller.dice.request_id());
            let mut create = request(&name, &id, issuer);
            let properties = create.policy.as_mut().unwrap().x509_properties.as_mut().unwrap();
            properties.subject = format!("CN={}", name_at(issuer, number));
            caller.create_certificate(create).await.unwrap();
            open.push(made.len());
            made.push((name, id, issuer));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    made
}

async fn status(caller: &mut Caller, name: &str, id: &str) -> (PendingStatus, String) {
    let wanted = GetPendingRequest { certificate_name: name.into(), request_id: id.into(), ..Default::default() };
    let operation = caller.get_pending(wanted).await.unwrap().operation.unwrap();
    let error = operation.error.map(|error| error.message).unwrap_or_default();
    let status = PendingStatus::try_from(operation.status).unwrap();
    (status, format!("{name}: {} {error}", operation.status_details))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_killed_while_real_authorities_issue_and_no_order_is_made_twice_or_lost() {
    let _turn = turn().await;
    let outside = Arc::new(Outside::start().await);
    let port = outside.pebble.http_port;
    let postgres = Postgres::start();
    let config = format!("{CONFIG}[acme]\nhttp_listen = \"127.0.0.1REPLICA:{port}\"\n");
    let mut cluster = Cluster::start(2, Some(postgres.fresh().await), &config, |_| Vec::new()).await;
    balance(port, 2).await;
    let mut operator = cluster.caller("operator", 1);
    for (name, issuer) in outside.issuers() {
        let issuer_name = name.to_owned();
        let set = SetIssuerRequest { issuer_name, issuer: Some(issuer), ..SetIssuerRequest::default() };
        operator.set_issuer(set).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let ordering = tokio::spawn(orders(cluster.caller("orders", 0), Arc::clone(&stop)));
    let deciding = {
        let outside = Arc::clone(&outside);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(700)).await;
                outside.decide();
            }
        })
    };
    let mut dice = Dice::of("authorities", 0);
    let kills = 2 * rounds(5);
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(200 + dice.below(1_800))).await;
        let victim = dice.index(2);
        cluster.replicas[victim].server.kill9();
        tokio::time::sleep(Duration::from_millis(dice.below(400))).await;
        cluster.replicas[victim].server.start();
        cluster.ready(victim).await;
    }
    stop.store(true, Ordering::SeqCst);
    let made = ordering.await.unwrap();
    let deadline = Instant::now() + SETTLES;
    let mut open: BTreeSet<usize> = (0..made.len()).collect();
    while !open.is_empty() {
        let mut said = Vec::new();
        for number in open.clone() {
            let (name, id, _) = &made[number];
            match status(&mut operator, name, id).await {
                (PendingStatus::Completed, _) => {
                    open.remove(&number);
                }
                (PendingStatus::InProgress, details) => said.push(details),
                (other, details) => panic!("{other:?} {details}\n{}", cluster.logs()),
            }
        }
        assert!(Instant::now() < deadline, "stuck: {said:#?}\n{}", cluster.logs());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    deciding.abort();
    judge(&outside, &made);
    for replica in &cluster.replicas {
        assert!(!replica.server.log().contains("panicked at"), "{}", cluster.logs());
    }
    eprintln!("soak: real authorities: {kills} kills, {} operations completed, each with one order", made.len());
}

/// One order for each operation at the CAs that bill, one certificate at the others.
fn judge(outside: &Outside, made: &[(String, String, &'static str)]) {
    let of = |issuer: &str| made.iter().filter(|(_, _, at)| *at == issuer).count();
    let mut references: BTreeMap<String, usize> = BTreeMap::new();
    for order in outside.digicert.account().orders.values() {
        *references.entry(order.alternative.clone()).or_default() += 1;
    }
    for order in outside.gcc.orders.lock().unwrap().iter() {
        *references.entry(order.reference.clone()).or_default() += 1;
    }
    let twice: Vec<&String> = references.iter().filter(|(_, count)| **count > 1).map(|(id, _)| id).collect();
    assert!(twice.is_empty(), "second orders: {twice:?}");
    let wanted: BTreeSet<&str> =
        made.iter().filter(|(_, _, at)| ["digicert", "gcc"].contains(at)).map(|(_, id, _)| id.as_str()).collect();
    assert_eq!(references.keys().map(String::as_str).collect::<BTreeSet<_>>(), wanted, "orders that nobody asked for");
    assert_eq!(outside.atlas.placed(), of("atlas"), "certificates of Atlas");
    assert_eq!(outside.made_by_pebble(), of("http") + of("dns"), "certificates of pebble");
}
