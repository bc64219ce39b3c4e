//! Every method without a token, with a wrong one and with a good one. The list of methods is the contract.

use crate::raw::{Call, framed};
use crate::refusal::{reason, status_of};
use crate::server::{Server, Setup};
use certmint::transport::auth::{Auth, Tokens};
use certmint::transport::grpc::GrpcOptions;
use std::os::unix::fs::PermissionsExt;

const TOKEN: &str = "a-good-token";

/// A server that knows one token.
async fn server() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, TOKEN.as_bytes());
    let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(&path, format!("alice {hash}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let auth = Auth::from(Tokens::load(&path).unwrap());
    Server::with(Setup { grpc: GrpcOptions { auth, ..GrpcOptions::default() }, ..Setup::default() }).await
}

#[tokio::test]
async fn no_method_answers_without_a_token_that_is_known() {
    let server = server().await;
    let client = server.h2().await;
    let methods = certmint::proto::rest_options();
    assert!(methods.len() > 40);
    for (name, _) in methods {
        let (service, method) = name.rsplit_once('.').unwrap();
        let call = || Call::to(&format!("{service}/{method}"));
        // What is wrong with the message is nobody's business who has no token.
        for message in [&b""[..], b"\xff"] {
            for call in
                [call(), call().header("authorization", "Bearer another"), call().header("authorization", TOKEN)]
            {
                let answer = call.whole_bytes(&client, framed(message)).await;
                let refused = status_of(&answer);
                assert_eq!(reason(&refused), "UNAUTHENTICATED", "{name}");
                assert!(answer.messages.is_empty());
            }
        }
        let good = call().header("authorization", format!("Bearer {TOKEN}"));
        // Of a stream the first headers say enough.
        let reading = good.send_bytes(&client, framed(b"")).await.unwrap();
        let known = match reading.headers.get("grpc-status") {
            Some(code) => code != "16",
            None => true,
        };
        assert!(known && reading.http == 200, "{name}: {:?}", reading.headers);
    }
}
