//! Input of a merge.

use super::Play;
use super::outcome::Tried;
use crate::ca::{Ca, pem, x5c};
use crate::requests::{create, get, merge};
use crate::server::Server;
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::proto::v1::*;

const MERGE: &str = "POST /certificates/by-rest/pending/merge";

pub(super) const CASES: &[(&str, Play)] = &[
    ("`x5c` missing or empty", |server| Box::pin(nothing(server))),
    ("`x5c` not base64, or no certificate", |server| Box::pin(no_certificate(server))),
    ("a certificate with another key, or only that of the CA", |server| Box::pin(other_keys(server))),
    ("several certificates, none with the key", |server| Box::pin(no_leaf(server))),
    ("an expired certificate", |server| Box::pin(expired(server))),
    ("a chain that does not link", |server| Box::pin(not_linked(server))),
    (
        "PEM text, base64 DER (DER over gRPC), one PKCS#7 or one PKCS#12 in the place of a chain, in any order",
        |server| Box::pin(forms(server)),
    ),
];

/// An operation for each API; their signing requests in base64.
async fn begin(server: &Server) -> [String; 2] {
    let mut csrs = Vec::new();
    for name in ["by-rest", "by-grpc"] {
        let created = server.certificates().await.create_certificate(create(name, "Unknown")).await.unwrap();
        csrs.push(STANDARD.encode(created.into_inner().operation.unwrap().csr));
    }
    csrs.try_into().unwrap()
}

/// Merges what `bring` makes of a signing request, over both APIs.
async fn brought(server: &Server, csrs: &[String; 2], tried: &mut Tried, bring: impl Fn(&str) -> Vec<Vec<u8>>) {
    let entries = bring(&csrs[0]);
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    tried.rest(&server.rest("localhost").send(MERGE, x5c(&entries)).await);
    let entries = bring(&csrs[1]);
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    tried.grpc(server.certificates().await.merge_certificate(merge("by-grpc", &entries)).await);
}

/// A refused merge leaves the operation as it is.
async fn still_open(server: &Server) {
    for name in ["by-rest", "by-grpc"] {
        let found = server.certificates().await.get_pending(get(name)).await.unwrap().into_inner();
        assert_eq!(found.operation.unwrap().status(), PendingStatus::InProgress);
    }
}

async fn nothing(server: &Server) -> Tried {
    begin(server).await;
    let mut tried = Tried::default();
    for body in ["", "{}", r#"{"x5c":null}"#, r#"{"x5c":[]}"#] {
        tried.rest(&server.rest("localhost").send(MERGE, body).await);
    }
    tried.grpc(server.certificates().await.merge_certificate(merge("by-grpc", &[])).await);
    still_open(server).await;
    tried
}

async fn no_certificate(server: &Server) -> Tried {
    let csrs = begin(server).await;
    let ca = Ca::new();
    let mut tried = Tried::default();
    tried.rest(&server.rest("localhost").send(MERGE, r#"{"x5c":["no base64!"]}"#).await);
    for form in ["nonsense", "empty", "request", "half", "broken pem"] {
        brought(server, &csrs, &mut tried, |csr| {
            let leaf = ca.sign(csr, 30);
            vec![match form {
                "nonsense" => b"test".to_vec(),
                "empty" => Vec::new(),
                "request" => STANDARD.decode(csr).unwrap(),
                "half" => leaf[..leaf.len() / 2].to_vec(),
                _ => pem(&leaf).replace("-----END", "-----FIN").into_bytes(),
            }]
        })
        .await;
    }
    still_open(server).await;
    tried
}

async fn other_keys(server: &Server) -> Tried {
    let csrs = begin(server).await;
    let ca = Ca::new();
    let mut tried = Tried::default();
    brought(server, &csrs, &mut tried, |_| vec![ca.stranger()]).await;
    brought(server, &csrs, &mut tried, |_| vec![ca.certificate()]).await;
    still_open(server).await;
    tried
}

async fn no_leaf(server: &Server) -> Tried {
    let csrs = begin(server).await;
    let ca = Ca::new();
    let mut tried = Tried::default();
    brought(server, &csrs, &mut tried, |_| vec![ca.stranger(), ca.certificate()]).await;
    still_open(server).await;
    tried
}

async fn expired(server: &Server) -> Tried {
    let csrs = begin(server).await;
    let ca = Ca::new();
    let mut tried = Tried::default();
    brought(server, &csrs, &mut tried, |csr| vec![ca.sign(csr, -1)]).await;
    still_open(server).await;
    tried
}

async fn not_linked(server: &Server) -> Tried {
    let csrs = begin(server).await;
    let ca = Ca::new();
    let mut tried = Tried::default();
    brought(server, &csrs, &mut tried, |csr| vec![ca.sign(csr, 30), ca.stranger()]).await;
    still_open(server).await;
    tried
}

async fn forms(server: &Server) -> Tried {
    let ca = Ca::new();
    let authority = ca.certificate();
    let mut tried = Tried::default();
    for form in ["der", "backwards", "pem", "pkcs7", "pkcs12"] {
        let csrs = begin(server).await;
        brought(server, &csrs, &mut tried, |csr| {
            let leaf = ca.sign(csr, 30);
            match form {
                "der" => vec![leaf, authority.clone()],
                "backwards" => vec![authority.clone(), leaf],
                "pem" => vec![(pem(&leaf) + &pem(&authority)).into_bytes()],
                "pkcs7" => vec![ca.pkcs7(&leaf)],
                _ => vec![ca.pkcs12(&leaf)],
            }
        })
        .await;
    }
    // Over REST PEM comes as it is, too.
    let csrs = begin(server).await;
    let text = pem(&ca.sign(&csrs[0], 30));
    tried.rest(&server.rest("localhost").send(MERGE, serde_json::json!({"x5c": [text]}).to_string()).await);
    tried
}
