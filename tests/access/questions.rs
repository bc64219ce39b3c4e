//! What callers may know of rights.

use crate::kit::{ADMIN, Server, reason};
use certmint::proto::v1;
use certmint::proto::v1::access_service_client::AccessServiceClient;

const GRANTS: &str = r#"
    [[role]]
    name = "Renewer"
    actions = ["Microsoft.KeyVault/vaults/certificates/create/action"]

    [[grant]]
    principal = "token:shop"
    role = "Key Vault Certificates Officer"
    vault = "default"
    names = ["shop-*"]
    note = "shop team"
    rules = { dns = ["*.shop.example"], max_validity_months = 3 }

    [[grant]]
    principal = "token:two"
    role = "Renewer"
    vault = "default"
    names = ["two"]

    [[grant]]
    principal = "token:reader"
    role = "certmint Auditor"
    vault = "default"
    names = ["shop-*"]

    [[grant]]
    principal = "token:other"
    role = "Key Vault Administrator"
    vault = "default"
"#;

const CREATE: &str = "Microsoft.KeyVault/vaults/certificates/create/action";

#[tokio::test]
async fn a_caller_learns_who_he_is_and_what_he_may_do() {
    let server = Server::start(GRANTS).await;
    let who = async |caller: &str| {
        let mut client = AccessServiceClient::new(server.channel(caller));
        client.who_am_i(v1::WhoAmIRequest::default()).await.unwrap().into_inner()
    };
    let shop = who("shop").await;
    assert_eq!((shop.principal.as_str(), shop.mode()), ("token:shop", v1::AccessMode::Enforce));
    let grant = &shop.grants[0];
    assert_eq!((grant.id.as_str(), grant.role.as_str()), ("file-1", "Key Vault Certificates Officer"));
    assert_eq!((grant.names.as_slice(), grant.note.as_str()), (["shop-*".to_owned()].as_slice(), "shop team"));
    assert_eq!((grant.vault.as_str(), grant.source()), ("default", v1::GrantSource::File));
    assert_eq!(grant.rules.as_ref().unwrap().max_validity_months, 3);
    assert!(who("nobody").await.grants.is_empty());
    assert_eq!(who(ADMIN).await.grants[0].source(), v1::GrantSource::Configuration);
}

#[tokio::test]
async fn a_question_is_answered_as_a_request_would_be_and_about_others_to_who_may_read_grants() {
    let server = Server::start(GRANTS).await;
    let check = async |caller: &str, principal: &str, action: &str, name: &str| {
        let request = v1::CheckAccessRequest {
            principal: principal.to_owned(),
            action: action.to_owned(),
            name: name.to_owned(),
            ..Default::default()
        };
        let answer = AccessServiceClient::new(server.channel(caller)).check_access(request).await;
        answer.map(|answer| answer.into_inner()).map(|answer| (answer.allowed, answer.grant_id))
    };
    let no = (false, String::new());
    assert_eq!(check("shop", "", CREATE, "shop-1").await.unwrap(), (true, "file-1".to_owned()));
    assert_eq!(check("shop", "", CREATE, "web").await.unwrap(), no);
    assert_eq!(check("shop", "", CREATE, "").await.unwrap(), (true, "file-1".to_owned()), "on some name");
    assert_eq!(check("nobody", "", CREATE, "shop-1").await.unwrap(), no);
    let secrets = "Microsoft.KeyVault/vaults/secrets/getSecret/action";
    assert_eq!(check("shop", "token:shop", secrets, "shop-1").await.unwrap(), no);
    assert_eq!(check(ADMIN, "token:two", CREATE, "two").await.unwrap(), (true, "file-2".to_owned()));
    assert_eq!(check("reader", "token:shop", CREATE, "shop-1").await.unwrap(), (true, "file-1".to_owned()));
    assert_eq!(reason(&check("reader", "token:two", CREATE, "two").await.unwrap_err()), "ACCESS_DENIED");
    assert_eq!(reason(&check("shop", "token:two", CREATE, "two").await.unwrap_err()), "ACCESS_DENIED");
    // What concerns the whole vault, or all of them, does so with a name, too.
    let contacts = "Microsoft.KeyVault/vaults/certificatecontacts/write";
    let make_vaults = "Microsoft.KeyVault/vaults/write";
    assert_eq!(check("shop", "", contacts, "").await.unwrap(), no, "its role has the action, on shop-* alone");
    assert_eq!(check("shop", "", contacts, "shop-1").await.unwrap(), no);
    assert_eq!(check("other", "", contacts, "").await.unwrap(), (true, "file-4".to_owned()));
    assert_eq!(check("other", "", make_vaults, "").await.unwrap(), no, "its role has the action, in one vault alone");
    assert!(check(ADMIN, "", make_vaults, "").await.unwrap().0);
    assert_eq!(reason(&check("shop", "", "certificates/create", "a").await.unwrap_err()), "BAD_PARAMETER");
    assert_eq!(reason(&check("shop", "", CREATE, "a_b").await.unwrap_err()), "BAD_PARAMETER");
}

#[tokio::test]
async fn grants_are_listed_as_far_as_their_reader_may_know_of_them() {
    let server = Server::start(GRANTS).await;
    let list = async |caller: &str, principal: &str| {
        let mut client = AccessServiceClient::new(server.channel(caller));
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListGrantsRequest { principal: principal.to_owned(), page_size: 1, page_token };
            let page = client.list_grants(request).await.unwrap().into_inner();
            ids.extend(page.grants.into_iter().map(|grant| grant.id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return ids.join(" ");
            }
        }
    };
    assert_eq!(list(ADMIN, "").await, "administrator-1 file-1 file-2 file-3 file-4");
    assert_eq!(list(ADMIN, "token:two").await, "file-2");
    assert_eq!(list("shop", "").await, "file-1");
    assert_eq!(list("shop", "token:two").await, "");
    assert_eq!(list("reader", "").await, "file-1 file-3", "what lies within his scope");
    assert_eq!(list("nobody", "").await, "");
    let mut client = AccessServiceClient::new(server.channel("nobody"));
    let roles = client.list_roles(v1::ListRolesRequest::default()).await.unwrap().into_inner().roles;
    let renewer = roles.iter().find(|role| role.name == "Renewer").unwrap();
    assert!(!renewer.built_in && renewer.actions == [CREATE], "{renewer:?}");
    assert!(roles.iter().any(|role| role.id == "a4417e6f-fecd-4de8-b567-7b0420556985" && role.built_in));
}
