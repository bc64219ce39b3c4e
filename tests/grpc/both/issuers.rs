//! The issuer methods over both APIs.

use super::api::{Refused, refused, said};
use super::translated;
use crate::refusal;
use crate::requests::test_issuer;
use crate::server::Server;
use certmint::proto::v1::*;
use serde_json::{Value, json};

const NAME: &str = "house";

/// Without times and the host, which differ.
fn plain(mut issuer: Value) -> Value {
    for time in ["created", "updated"] {
        assert!(issuer["attributes"][time].take().as_i64().is_some_and(|seconds| seconds > 1_700_000_000));
    }
    let id = issuer["id"].as_str().unwrap();
    issuer["id"] = id.split_once("/certificates/").unwrap().1.into();
    issuer
}

fn full() -> Issuer {
    let administrator = |name: &str| AdministratorDetails {
        first_name: name.into(),
        last_name: "Doe".into(),
        email: format!("{name}@example.com"),
        phone: String::new(),
    };
    Issuer {
        provider: "Test".into(),
        credentials: Some(IssuerCredentials { account_id: "hold".into(), password: "hunter2".into() }),
        organization: Some(OrganizationDetails {
            id: "o-1".into(),
            administrators: vec![administrator("jane"), administrator("joe")],
        }),
        attributes: Some(IssuerAttributes { enabled: Some(false), ..IssuerAttributes::default() }),
        ..Issuer::default()
    }
}

const FULL: &str = r#"{"provider":"Test","credentials":{"account_id":"hold","pwd":"hunter2"},
    "org_details":{"id":"o-1","admin_details":[
        {"first_name":"jane","last_name":"Doe","email":"jane@example.com"},
        {"first_name":"joe","last_name":"Doe","email":"joe@example.com"}]},
    "attributes":{"enabled":false}}"#;

#[tokio::test]
async fn an_issuer_is_set_read_changed_and_deleted_alike() {
    let server = Server::start().await;
    let mut grpc = server.issuers().await;
    let rest = server.rest("other.localhost");
    let uri = format!("/certificates/issuers/{NAME}");

    let set = SetIssuerRequest { issuer_name: NAME.into(), issuer: Some(full()), ..SetIssuerRequest::default() };
    let by_grpc = grpc.set_issuer(set).await.unwrap().into_inner().issuer.unwrap();
    let by_rest = rest.must(&format!("PUT {uri}"), FULL).await;
    assert_eq!(plain(translated::issuer(by_grpc)), plain(by_rest));

    let get = GetIssuerRequest { issuer_name: "HOUSE".into(), ..GetIssuerRequest::default() };
    let by_grpc = grpc.get_issuer(get.clone()).await.unwrap().into_inner().issuer.unwrap();
    let by_rest = rest.must("GET /certificates/issuers/HOUSE", "").await;
    assert_eq!(plain(translated::issuer(by_grpc)), plain(by_rest));

    let update = UpdateIssuerRequest {
        issuer_name: NAME.into(),
        issuer: Some(Issuer {
            attributes: Some(IssuerAttributes { enabled: Some(true), ..IssuerAttributes::default() }),
            ..Issuer::default()
        }),
        ..UpdateIssuerRequest::default()
    };
    let by_grpc = grpc.update_issuer(update).await.unwrap().into_inner().issuer.unwrap();
    let by_rest = rest.must(&format!("PATCH {uri}"), r#"{"attributes":{"enabled":true}}"#).await;
    assert_eq!(by_rest["attributes"]["enabled"], true);
    assert_eq!(plain(translated::issuer(by_grpc)), plain(by_rest));

    let delete = DeleteIssuerRequest { issuer_name: NAME.into(), ..DeleteIssuerRequest::default() };
    let by_grpc = grpc.delete_issuer(delete.clone()).await.unwrap().into_inner().issuer.unwrap();
    let by_rest = rest.must(&format!("DELETE {uri}"), "").await;
    assert_eq!(plain(translated::issuer(by_grpc)), plain(by_rest));

    let gone = refused(&grpc.get_issuer(get).await.unwrap_err());
    assert_eq!(Err(gone), said(&rest.send("GET /certificates/issuers/HOUSE", "").await));
    let gone = refused(&grpc.delete_issuer(delete).await.unwrap_err());
    assert_eq!(Err(gone), said(&rest.send(&format!("DELETE {uri}"), "").await));
}

#[tokio::test]
async fn a_mask_says_what_an_update_writes() {
    let server = Server::start().await;
    let mut grpc = server.issuers().await;
    let set = SetIssuerRequest { issuer_name: NAME.into(), issuer: Some(full()), ..SetIssuerRequest::default() };
    grpc.set_issuer(set).await.unwrap();
    let update = |paths: &[&str]| UpdateIssuerRequest {
        issuer_name: NAME.into(),
        issuer: Some(Issuer {
            credentials: Some(IssuerCredentials { account_id: "fail".into(), ..IssuerCredentials::default() }),
            organization: Some(OrganizationDetails { id: "o-2".into(), ..OrganizationDetails::default() }),
            ..Issuer::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        ..UpdateIssuerRequest::default()
    };
    let issuer = grpc.update_issuer(update(&["credentials.account_id"])).await.unwrap().into_inner().issuer.unwrap();
    assert_eq!(issuer.credentials.unwrap().account_id, "fail");
    assert_eq!(issuer.organization.unwrap().id, "o-1", "not in the mask");
    refusal::is(
        grpc.update_issuer(update(&["credentials", "nonsense"])).await,
        "InvalidArgument: Property update_mask has invalid value. nonsense is not a field that can be written.
         reason: BAD_PARAMETER of certmint.v1
         azureCode: BadParameter
         httpStatus: 400
         field: update_mask: nonsense is not a field that can be written.",
    );
}

#[tokio::test]
async fn issuers_are_listed_in_pages() {
    let server = Server::start().await;
    let mut grpc = server.issuers().await;
    for name in ["c", "a", "B"] {
        grpc.set_issuer(test_issuer(name, "hold")).await.unwrap();
    }
    let page = |page_token: String| ListIssuersRequest { page_size: 2, page_token, ..ListIssuersRequest::default() };
    let first = grpc.list_issuers(page(String::new())).await.unwrap().into_inner();
    let second = grpc.list_issuers(page(first.next_page_token.clone())).await.unwrap().into_inner();
    let names =
        |page: &ListIssuersResponse| page.issuers.iter().map(|item| item.issuer_name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&first), names(&second)), (vec!["a".to_owned(), "B".to_owned()], vec!["c".to_owned()]));
    assert_eq!(second.next_page_token, "");
    let listed = server.rest("localhost").must("GET /certificates/issuers", "").await;
    let by_rest: Vec<&str> =
        listed["value"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    let by_grpc: Vec<&str> = first.issuers.iter().chain(&second.issuers).map(|item| item.id.as_str()).collect();
    assert_eq!(by_rest, by_grpc);
}

#[tokio::test]
async fn what_is_wrong_with_an_issuer_is_said_alike() {
    let server = Server::start().await;
    let (mut grpc, rest) = (server.issuers().await, server.rest("localhost"));
    let uri = format!("PUT /certificates/issuers/{NAME}");
    for (issuer, body) in [
        (Issuer::default(), json!({})),
        (Issuer { provider: "Nobody".into(), ..Issuer::default() }, json!({"provider": "Nobody"})),
    ] {
        let set = SetIssuerRequest { issuer_name: NAME.into(), issuer: Some(issuer), ..SetIssuerRequest::default() };
        let by_grpc: Refused = refused(&grpc.set_issuer(set).await.unwrap_err());
        assert_eq!(said(&rest.send(&uri, body.to_string()).await), Err(by_grpc));
    }
    refusal::is(
        grpc.set_issuer(SetIssuerRequest { issuer_name: NAME.into(), ..SetIssuerRequest::default() }).await,
        "InvalidArgument: Property issuer has invalid value. It is required.
         reason: BAD_PARAMETER of certmint.v1
         azureCode: BadParameter
         httpStatus: 400
         field: issuer: It is required.",
    );
}

#[tokio::test]
async fn the_certificates_of_a_built_in_ca_come_with_the_issuer() {
    let server = Server::start().await;
    let issuer = Issuer {
        provider: "LocalCA".into(),
        organization: Some(OrganizationDetails { id: "My Root".into(), ..OrganizationDetails::default() }),
        ..Issuer::default()
    };
    let set = SetIssuerRequest { issuer_name: NAME.into(), issuer: Some(issuer), ..SetIssuerRequest::default() };
    let issuer = server.issuers().await.set_issuer(set).await.unwrap().into_inner().issuer.unwrap();
    let pem: String = issuer.ca_certificates.iter().map(|der| crate::ca::pem(der)).collect();
    let headers = [("authorization", "Bearer t")];
    let uri = format!("GET /certificates/issuers/{NAME}/ca?api-version=7.4");
    let reply = server.rest("localhost").raw(&uri, &headers, "").await;
    assert_eq!((reply.status, reply.headers["content-type"].to_str().unwrap()), (200, "application/x-pem-file"));
    assert_eq!(reply.body.replace("\r\n", "\n"), pem);
}
