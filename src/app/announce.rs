//! Terminal output of `serve` and of the store commands.

use super::credentials;
use crate::config::Config;
use std::io::Write;
use std::net::SocketAddr;

/// What a person copies to begin. Written once, after the port is open.
pub(super) fn announce(
    address: SocketAddr,
    config: &Config,
    credentials: &credentials::Credentials,
    admin: Option<SocketAddr>,
) {
    let (version, data) = (env!("CARGO_PKG_VERSION"), config.data_dir.display());
    let base = format!("https://{}:{}", config.base_domain.as_str(), address.port());
    let mut text = match &credentials.dev_ca {
        Some(ca) => for_development(&base, address.port(), &ca.display().to_string(), &data.to_string()),
        None => format!("certmint {version} listens on {address} for {base} (data in {data})\n"),
    };
    if let Some(admin) = admin {
        text.push_str(&format!("operators: http://{admin}/readyz and /metrics\n"));
    }
    say(&text);
}

pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed standard output is no reason not to serve.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn for_development(base: &str, port: u16, ca: &str, data: &str) -> String {
    format!(
        "certmint {version} listens on {base} (development mode, data in {data})\n\n\
         curl:     curl --cacert {ca} -H 'Authorization: Bearer dev' -H 'Content-Type: application/json' '{base}/certificates/web/create?api-version=7.4' -d '{{\"policy\":{{\"x509_props\":{{\"subject\":\"CN=web.example\",\"sans\":{{\"dns_names\":[\"web.example\"]}}}},\"issuer\":{{\"name\":\"Self\"}}}}}}'\n\
         grpcurl:  grpcurl -cacert {ca} -d '{{\"certificate_name\":\"web\"}}' localhost:{port} certmint.v1.CertificateService/GetPending\n\
         certmint: certmint --server {base} --ca {ca} watch\n\
         vault:    {vault} for programs built on Key Vault, with IDENTITY_ENDPOINT={vault}/identity/token IDENTITY_HEADER=dev\n\
        \x20         where that host does not resolve, add it to the hosts file; Go and Python also take https://127.0.0.1:{port}\n\n",
        version = env!("CARGO_PKG_VERSION"),
        // Clients of Key Vault want a host with a name before the base domain.
        vault = base.replacen("https://", "https://default.", 1),
    )
}
