//! nginx under load while its certificate is renewed again and again: no handshake fails, and the newest version is served
//! in the end. `AGENT_RENEWALS` (8) renewals; `make soak-agent` has 1,000.

use crate::peers::until;
use crate::ports::free_port;
use crate::world::World;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Clients at the same time.
const CLIENTS: usize = 4;

/// Takes every certificate, but no wrong signature: the key has to be that of the certificate.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn client() -> Arc<ClientConfig> {
    let provider = aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let mut config = config;
    // Each a whole handshake.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// A handshake, a request and its answer; the leaf that was shown.
fn fetch(port: u16, config: &Arc<ClientConfig>) -> std::io::Result<Vec<u8>> {
    let tcp = TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_read_timeout(Some(Duration::from_secs(60)))?;
    let tls = ClientConnection::new(config.clone(), ServerName::try_from("web.example").unwrap()).unwrap();
    let mut stream = StreamOwned::new(tls, tcp);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 204") {
        return Err(std::io::Error::other(format!("the answer is {answer:?}")));
    }
    let certificates = stream.conn.peer_certificates().unwrap_or_default();
    certificates.first().map(|leaf| leaf.to_vec()).ok_or_else(|| std::io::Error::other("no certificate"))
}

/// nginx in the folder of a test; ended with it.
struct Nginx<'a>(&'a World);

impl Nginx<'_> {
    fn run(&self, arguments: &[&str]) -> bool {
        let folder = self.0.file("");
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-c", "site.conf", "-p"]).arg(&folder).args(arguments);
        command.env("PATH", path()).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Nginx<'_> {
    fn drop(&mut self) {
        self.run(&["-s", "quit"]);
    }
}

fn path() -> String {
    format!("{}:/usr/sbin", std::env::var("PATH").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_handshake_fails_while_the_certificate_is_renewed() {
    if Command::new("nginx").arg("-v").env("PATH", path()).output().is_err() {
        println!("skipped: nginx is not installed");
        return;
    }
    let renewals = std::env::var("AGENT_RENEWALS").ok().and_then(|count| count.parse().ok()).unwrap_or(8_usize);
    let (mut world, port) = (World::start().await, free_port());
    let site = format!(
        "pid nginx.pid;\nworker_processes 2;\nerror_log nginx.log notice;\nevents {{ }}\nhttp {{\naccess_log off;\n\
         server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate web.pem;\nssl_certificate_key web.key;\n\
         return 204;\n}}\n}}\n"
    );
    std::fs::write(world.file("site.conf"), site).unwrap();
    world.configure(
        r#"
[[certificate]]
name = "web"
only_if = ["/bin/sh", "-c", "PATH=$PATH:/usr/sbin exec nginx -e stderr -t -q -c site.conf -p FOLDER"]
reload = ["/bin/sh", "-c", "PATH=$PATH:/usr/sbin exec nginx -e stderr -s reload -c site.conf -p FOLDER"]
[[certificate.output]]
fullchain = "web.pem"
key = "web.key"
"#,
    );
    world.start_agent();
    until("the first version is in its files", || async { world.file("web.pem").exists() }).await;
    let nginx = Nginx(&world);
    until("nginx starts", || async { nginx.run(&[]) }).await;
    world.installed("web").await;

    let (over, handshakes, config) = (AtomicBool::new(false), AtomicU64::new(0), client());
    let (failures, seen) = (Mutex::new(Vec::new()), Mutex::new(BTreeSet::new()));
    let mut served = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    match fetch(port, &config) {
                        Ok(leaf) => _ = seen.lock().unwrap().insert(leaf),
                        Err(error) => failures.lock().unwrap().push(error.to_string()),
                    }
                    handshakes.fetch_add(1, Relaxed);
                }
            });
        }
        for number in 0..renewals {
            world.renew("web");
            let (leaf, begun) = (world.leaf("web"), Instant::now());
            // Until a client has seen it: the old workers of nginx end while they answer.
            while !seen.lock().unwrap().contains(&leaf) {
                if begun.elapsed() > Duration::from_secs(120) || !failures.lock().unwrap().is_empty() {
                    over.store(true, Relaxed);
                    panic!("version {number}: {:?}: {}", failures.lock().unwrap(), world.read("agent.log"));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            served.push(begun.elapsed());
        }
        over.store(true, Relaxed);
    });
    served.sort();
    println!(
        "{renewals} renewals, {} handshakes, {} failed; from the end of `renew --wait` until served: median {:?}, most {:?}",
        handshakes.load(Relaxed),
        failures.lock().unwrap().len(),
        served[served.len() / 2],
        served[served.len() - 1],
    );
    assert!(failures.lock().unwrap().is_empty(), "{:?}", failures.lock().unwrap());
    assert!(seen.lock().unwrap().len() > renewals);
}
