//! Plug-ins over TCP: certificates on both sides, read anew for each connection.

use crate::mock::{Manner, Mock, input, provider, serve_tls};
use certmint::issuer::plugin::PluginTls;
use certmint::issuer::provider::{Health, Provider};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Chain and key, PEM.
fn leaf(ca: &Ca, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    (leaf.pem(), key.serialize_pem())
}

fn files(folder: &Path, roots: &str, (chain, key): &(String, String)) -> PluginTls {
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        file
    };
    PluginTls { ca: write("ca.pem", roots), certificate: write("chain.pem", chain), key: write("key.pem", key) }
}

#[tokio::test]
async fn both_sides_show_certificates_and_renewed_files_need_no_restart() {
    let (ca, stranger, folder) = (ca(), self::ca(), tempfile::tempdir().unwrap());
    let (chain, key) = leaf(&ca, "localhost");
    let config =
        ServerTlsConfig::new().identity(Identity::from_pem(chain, key)).client_ca_root(Certificate::from_pem(ca.pem()));
    let mock = Mock::new(Manner::Good);
    let (_running, port) = serve_tls(&mock, config);
    let address = format!("https://localhost:{port}");
    let ours = leaf(&ca, "certmint");

    // A server that is under another CA, and a client that is.
    for (roots, shown) in [(stranger.pem(), ours.clone()), (ca.pem(), leaf(&stranger, "certmint"))] {
        let plugin = provider(&address, Some(files(folder.path(), &roots, &shown)), Duration::from_secs(10));
        let state = plugin.configure(&input(), None).await.unwrap();
        let Health::Unknown(text) = plugin.check(&state).await else { panic!() };
        assert!(text.contains("cannot be reached"), "{text}");
        // The files change, as after a renewal.
        files(folder.path(), &ca.pem(), &ours);
        let health = plugin.check(&state).await;
        assert_eq!(health, Health::Good("The CA knows the token.".to_owned()));
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_without_their_place() {
    let (ca, folder) = (ca(), tempfile::tempdir().unwrap());
    let broken = files(folder.path(), "no PEM", &leaf(&ca, "certmint"));
    let plugin = provider("https://localhost:1", Some(broken), Duration::from_secs(10));
    let state = plugin.configure(&input(), None).await.unwrap();
    let Health::Unknown(text) = plugin.check(&state).await else { panic!() };
    assert!(text.contains("the file ca holds no PEM block CERTIFICATE"), "{text}");
    assert!(!text.contains(&folder.path().display().to_string()), "{text}");
}
