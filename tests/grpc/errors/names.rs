//! Addresses: hosts, versions, paths, names and identifiers.

use super::Play;
use super::outcome::Tried;
use crate::raw::{Call, framed};
use crate::requests::{self, ID, OTHER_ID, create, create_as, get, test_issuer};
use crate::server::Server;
use certmint::proto::v1::*;

const TOKEN: (&str, &str) = ("authorization", "Bearer t");

pub(super) const CASES: &[(&str, Play)] = &[
    ("no token", |server| Box::pin(no_token(server))),
    ("a host that names no vault", |server| Box::pin(no_vault(server))),
    ("no `api-version`", |server| Box::pin(no_version(server))),
    ("an unknown `api-version`", |server| Box::pin(unknown_version(server))),
    ("an unknown path or method", |server| Box::pin(unknown_path(server))),
    ("a path with another HTTP method", |server| Box::pin(wrong_method(server))),
    ("an unknown `X-HTTP-Method`", |server| Box::pin(wrong_override(server))),
    ("a name that is too long or has other characters than `0-9 a-z A-Z -`", |server| Box::pin(bad_names(server))),
    ("the names `issuers`, `contacts`, `restore`; an issuer called `Self` or `Unknown`", |server| {
        Box::pin(reserved(server))
    }),
    ("an empty name", |server| Box::pin(empty_name(server))),
    ("another `request_id`", |server| Box::pin(other_id(server))),
    ("an invalid `request_id`", |server| Box::pin(no_id(server))),
    ("a `request_id` of zeros for a create, as of a variable that nobody set", |server| Box::pin(zeros(server))),
    ("a `request_id` that was used for another create", |server| Box::pin(used_id(server))),
    ("a certificate, a pending operation, an issuer that does not exist", |server| Box::pin(missing(server))),
    ("`maxresults` out of 1 to 25; a page size out of 0 to 1000", |server| Box::pin(page_sizes(server))),
    ("an invalid page token", |server| Box::pin(page_tokens(server))),
    ("a mask with an unknown field", |server| Box::pin(mask(server))),
];

async fn no_token(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for request in ["GET /certificates/mycert1?api-version=7.4", "POST /certificates/mycert1/create", "BREW /nowhere"] {
        tried.rest(&server.rest("localhost").raw(request, &[], "{ not json").await);
    }
    tried.grpc(server.certificates().await.create_certificate(create("mycert1", "Unknown")).await);
    tried
}

async fn no_vault(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let rest = server.rest("a_b.localhost");
    tried.rest(&rest.send("GET /certificates/mycert1", "").await);
    let client = server.h2().await;
    for method in ["GetPending", "WatchPending"] {
        let call = Call::to(&format!("CertificateService/{method}")).authority("a_b.localhost");
        tried.raw(&call.whole_bytes(&client, framed(b"")).await);
    }
    let mut client = server.certificates().await;
    for vault in ["a_b", "-a", "a-", &"x".repeat(64)] {
        tried.grpc(client.get_pending(GetPendingRequest { vault_name: vault.into(), ..get("mycert1") }).await);
    }
    tried
}

async fn no_version(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for uri in ["GET /certificates/mycert1", "GET /certificates/mycert1?api-version=", "GET /nowhere"] {
        tried.rest(&server.rest("localhost").raw(uri, &[TOKEN], "").await);
    }
    tried
}

async fn unknown_version(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for version in ["2015-06-01", "7", "nonsense"] {
        let uri = format!("GET /certificates/mycert1?api-version={version}");
        tried.rest(&server.rest("localhost").raw(&uri, &[TOKEN], "").await);
    }
    tried
}

async fn unknown_path(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for request in ["GET /", "GET /nowhere/mycert1", "GET /certificates/a/b/c/d"] {
        tried.rest(&server.rest("localhost").send(request, "").await);
    }
    for method in ["CertificateService/Nonsense", "Nonsense/GetPending"] {
        tried.raw(&Call::to(method).whole_bytes(&server.h2().await, framed(b"")).await);
    }
    tried
}

async fn wrong_method(server: &Server) -> Tried {
    let mut tried = Tried::default();
    tried.rest(&server.rest("localhost").send("PUT /certificates/mycert1/pending", "{}").await);
    tried
}

async fn wrong_override(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let headers = [TOKEN, ("x-http-method", "TRACE")];
    let uri = "POST /certificates/mycert1/create?api-version=7.4";
    tried.rest(&server.rest("localhost").raw(uri, &headers, "{}").await);
    tried
}

/// Sends a certificate's and an issuer's name by every method that takes one.
async fn certificate_names(server: &Server, tried: &mut Tried, in_path: &str, name: &str) {
    let rest = server.rest("localhost");
    for (method, below) in [("POST", "/create"), ("GET", "/pending"), ("DELETE", "/pending"), ("GET", "")] {
        tried.rest(&rest.send(&format!("{method} /certificates/{in_path}{below}"), "{}").await);
    }
    let mut client = server.certificates().await;
    tried.grpc(client.create_certificate(create(name, "Unknown")).await);
    tried.grpc(client.get_pending(get(name)).await);
    tried.grpc(client.cancel_pending(requests::cancel(name)).await);
    tried.grpc(client.delete_pending(requests::delete(name)).await);
    tried.grpc(client.merge_certificate(requests::merge(name, &[b"x"])).await);
    tried.grpc(client.get_certificate(requests::certificate(name)).await);
    tried.grpc(client.watch_pending(requests::watch(name)).await);
}

async fn issuer_names(server: &Server, tried: &mut Tried, name: &str) {
    let body = r#"{"provider":"Test"}"#;
    tried.rest(&server.rest("localhost").send(&format!("PUT /certificates/issuers/{name}"), body).await);
    tried.grpc(server.issuers().await.set_issuer(test_issuer(name, "hold")).await);
}

async fn bad_names(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let long = "x".repeat(128);
    for (in_path, name) in [("my_cert", "my_cert"), ("a%2Fb", "a/b"), ("%C3%A4", "ä"), (long.as_str(), long.as_str())]
    {
        certificate_names(server, &mut tried, in_path, name).await;
    }
    issuer_names(server, &mut tried, "my_issuer").await;
    tried
}

async fn reserved(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let mut client = server.certificates().await;
    for name in ["issuers", "Contacts", "RESTORE"] {
        tried.rest(&server.rest("localhost").send(&format!("POST /certificates/{name}/create"), "{}").await);
        tried.grpc(client.create_certificate(create(name, "Unknown")).await);
    }
    for name in ["Self", "unknown"] {
        issuer_names(server, &mut tried, name).await;
    }
    tried
}

async fn empty_name(server: &Server) -> Tried {
    let mut tried = Tried::default();
    tried.rest(&server.rest("localhost").send("POST /certificates//create", "{}").await);
    let mut client = server.certificates().await;
    tried.grpc(client.create_certificate(create("", "Unknown")).await);
    tried.grpc(client.get_pending(get("")).await);
    tried.grpc(server.issuers().await.set_issuer(test_issuer("", "hold")).await);
    tried
}

async fn by_id(server: &Server, tried: &mut Tried, request_id: &str) {
    for method in ["GET", "PATCH", "DELETE"] {
        let uri = format!("{method} /certificates/mycert1/pending?request_id={request_id}");
        tried.rest(&server.rest("localhost").send(&uri, r#"{"cancellation_requested":true}"#).await);
    }
    let (mut client, request_id) = (server.certificates().await, request_id.to_owned());
    let expected = request_id.clone();
    tried.grpc(client.get_pending(GetPendingRequest { request_id: expected, ..get("mycert1") }).await);
    let expected = request_id.clone();
    let cancel = CancelPendingRequest { request_id: expected, ..requests::cancel("mycert1") };
    tried.grpc(client.cancel_pending(cancel).await);
    let expected = request_id.clone();
    let delete = DeletePendingRequest { request_id: expected, ..requests::delete("mycert1") };
    tried.grpc(client.delete_pending(delete).await);
    let merge = MergeCertificateRequest { request_id, ..requests::merge("mycert1", &[b"x"]) };
    tried.grpc(client.merge_certificate(merge).await);
}

async fn other_id(server: &Server) -> Tried {
    server.certificates().await.create_certificate(create_as("mycert1", "Unknown", ID)).await.unwrap();
    let mut tried = Tried::default();
    by_id(server, &mut tried, OTHER_ID).await;
    tried
}

async fn no_id(server: &Server) -> Tried {
    server.certificates().await.create_certificate(create_as("mycert1", "Unknown", ID)).await.unwrap();
    let mut tried = Tried::default();
    for id in ["nonsense", "0", "0000000000000000000000000000000"] {
        by_id(server, &mut tried, id).await;
    }
    tried.grpc(server.certificates().await.create_certificate(create_as("web", "Unknown", "nonsense")).await);
    tried
}

async fn zeros(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let id = "0".repeat(32);
    tried.grpc(server.certificates().await.create_certificate(create_as("web", "Unknown", &id)).await);
    tried
}

async fn used_id(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let mut client = server.certificates().await;
    client.create_certificate(create_as("mycert1", "Unknown", ID)).await.unwrap();
    tried.grpc(client.create_certificate(create_as("mycert1", "Self", ID)).await);
    tried.grpc(client.create_certificate(create_as("other", "Unknown", ID)).await);
    tried
}

async fn missing(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for path in ["nobody", "nobody/pending", "issuers/nobody"] {
        tried.rest(&server.rest("localhost").send(&format!("GET /certificates/{path}"), "").await);
    }
    let mut client = server.certificates().await;
    tried.grpc(client.get_certificate(requests::certificate("nobody")).await);
    tried.grpc(client.get_pending(get("nobody")).await);
    let issuer = GetIssuerRequest { issuer_name: "nobody".into(), ..GetIssuerRequest::default() };
    tried.grpc(server.issuers().await.get_issuer(issuer).await);
    tried
}

async fn page_sizes(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for size in ["0", "26", "-1", "x"] {
        let uri = format!("GET /certificates/issuers?maxresults={size}");
        tried.rest(&server.rest("localhost").send(&uri, "").await);
    }
    for page_size in [-1, 1001, i32::MIN, i32::MAX] {
        let list = ListPendingRequest { page_size, ..ListPendingRequest::default() };
        tried.grpc(server.certificates().await.list_pending(list).await);
        let list = ListIssuersRequest { page_size, ..ListIssuersRequest::default() };
        tried.grpc(server.issuers().await.list_issuers(list).await);
    }
    tried
}

async fn page_tokens(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for token in ["no%20name", "%F0%9F%94%92"] {
        let uri = format!("GET /certificates/issuers?$skiptoken={token}");
        tried.rest(&server.rest("localhost").send(&uri, "").await);
    }
    for token in ["no name", "\u{1f512}"] {
        let page_token = token.to_owned();
        let list = ListPendingRequest { page_token: page_token.clone(), ..ListPendingRequest::default() };
        tried.grpc(server.certificates().await.list_pending(list).await);
        let list = ListIssuersRequest { page_token, ..ListIssuersRequest::default() };
        tried.grpc(server.issuers().await.list_issuers(list).await);
    }
    tried
}

async fn mask(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let mut client = server.issuers().await;
    client.set_issuer(test_issuer("house", "hold")).await.unwrap();
    for path in ["nonsense", "id", "credentials.nonsense", ""] {
        let update = UpdateIssuerRequest {
            issuer_name: "house".into(),
            issuer: Some(Issuer::default()),
            update_mask: Some(prost_types::FieldMask { paths: vec!["provider".into(), path.into()] }),
            ..UpdateIssuerRequest::default()
        };
        tried.grpc(client.update_issuer(update).await);
    }
    tried
}
