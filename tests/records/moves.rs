//! A row under the key of another object: another vault's, or another name's.

use crate::permit::{ask, new_certificate};
use crate::records::place::{A, B, Life, Place, policy, vault};
use certmint::domain::RequestId;
use certmint::service::{AllVaults, CreateRequest, NewVault};

#[tokio::test]
async fn a_version_of_another_vault_gives_no_key() {
    let place = Place::new();
    place.filled().await;
    let mine = place.version(B, "web");
    place.moved(&place.version(A, "web"), &mine);
    let life = place.open().await;
    for request in ["GET /secrets/web", "GET /keys/web", "GET /certificates/web", "POST /certificates/web/backup"] {
        life.refuses(B, request, &mine).await;
    }
    life.ok(A, "GET /secrets/web", "").await;
}

#[tokio::test]
async fn a_version_of_another_name_or_of_another_time_gives_no_key() {
    let place = Place::new();
    place.filled().await;
    {
        let life = place.open().await;
        life.issued(A, "other").await;
    }
    let mine = place.version(A, "web");
    let versions = place.keys(&format!("versions/{A}/other/"));
    place.moved(&versions[0], &mine);
    place.moved(&versions[0], &versions[1]);
    let life = place.open().await;
    life.refuses(A, "GET /secrets/web", &mine).await;
    let id = versions[1].rsplit('/').next().unwrap();
    life.refuses(A, &format!("GET /secrets/other/{id}"), &versions[1]).await;
}

#[tokio::test]
async fn an_entry_an_operation_an_issuer_and_contacts_of_another_vault_are_refused() {
    let place = Place::new();
    place.filled().await;
    for key in ["certificates/V/web", "pending/V/manual", "issuers/V/ca", "contacts/V"] {
        place.moved(&key.replace('V', A), &key.replace('V', B));
    }
    let life = place.open().await;
    for (request, key) in [
        ("GET /certificates/web", "certificates/team-b/web"),
        ("GET /secrets/web", "certificates/team-b/web"),
        ("GET /certificates/web/policy", "certificates/team-b/web"),
        ("GET /certificates/manual/pending", "pending/team-b/manual"),
        ("DELETE /certificates/manual/pending", "pending/team-b/manual"),
        ("GET /certificates/issuers/ca", "issuers/team-b/ca"),
        ("GET /certificates/contacts", "contacts/team-b"),
        ("DELETE /certificates/contacts", "contacts/team-b"),
    ] {
        life.refuses(B, request, key).await;
    }
}

#[tokio::test]
async fn an_issuer_of_another_vault_signs_nothing() {
    let place = Place::new();
    place.filled().await;
    place.open().await.ok(B, "POST /certificates/leaf/create", &policy("ca", "")).await;
    place.moved(&format!("issuers/{A}/ca"), &format!("issuers/{B}/ca"));
    let life = place.open().await;
    life.work().await;
    let operation = life.ok(B, "GET /certificates/leaf/pending", "").await;
    assert_eq!(operation["status"], "inProgress", "{operation}");
    let refused = life.send(B, "POST /certificates/next/create", &policy("ca", "")).await;
    assert!(refused.body.contains("The record issuers/team-b/ca does not verify"), "{}", refused.body);
}

#[tokio::test]
async fn a_deleted_certificate_and_its_operation_stay_those_of_their_vault() {
    let place = Place::new();
    place.filled().await;
    place.moved(&format!("deleted/{A}/gone"), &format!("deleted/{B}/gone"));
    place.moved(&format!("kept/{A}/kept"), &format!("kept/{B}/kept"));
    let life = place.open().await;
    assert_eq!(life.names(B, "/deletedcertificates").await, ["kept"], "what does not verify is not listed");
    life.refuses(B, "POST /deletedcertificates/kept/recover", "kept/team-b/kept").await;
    // It is still purged at the end of its retention, as the entry says.
    place.clock.advance(std::time::Duration::from_secs(91 * 86_400));
    life.work().await;
    assert_eq!(place.keys(&format!("certificates/{B}/gone")), Vec::<String>::new());
}

#[tokio::test]
async fn a_due_time_that_was_moved_purges_nothing_early() {
    let place = Place::new();
    place.filled().await;
    place.sql("UPDATE records SET due = 1 WHERE key = 'deleted/team-b/gone'");
    let life = place.open().await;
    life.work().await;
    life.ok(B, "POST /deletedcertificates/gone/recover", "").await;
}

#[tokio::test]
async fn a_made_up_record_of_a_removal_removes_nothing() {
    let place = Place::new();
    place.filled().await;
    place.write("leaving/team-b/web", r#"{"format":1,"value":{"vault":"team-b","name":"web"}}"#);
    place.sql("UPDATE records SET due = 1 WHERE key = 'leaving/team-b/web'");
    let life = place.open().await;
    life.work().await;
    life.ok(B, "GET /secrets/web", "").await;
    assert_eq!(place.keys("leaving/"), Vec::<String>::new());
}

#[tokio::test]
async fn settings_of_another_vault_are_not_taken() {
    let mut place = Place::new();
    place.limits.vaults.on_demand = None;
    place.filled().await;
    place.moved(&format!("vaults/{A}"), &format!("vaults/{B}"));
    let life = place.open().await;
    assert!(life.service.vaults().vault(&vault(A)).is_ok());
    assert!(life.service.vaults().vault(&vault(B)).is_err());
    let error = life.service.vaults().find(&vault(B)).await.unwrap_err();
    assert_eq!(error.reason, certmint::domain::Reason::VaultNotFound);
}

#[tokio::test]
async fn a_list_of_vaults_goes_on_behind_a_damaged_one_wherever_its_pages_end() {
    let mut place = Place::new();
    place.limits.vaults.on_demand = None;
    place.filled().await;
    {
        let life = place.open().await;
        let team_z = NewVault { name: vault("team-z"), retention_days: None, purge_protection: None };
        ask!(life.service, vault_objects.create_vault(team_z)).unwrap();
    }
    place.moved(&format!("vaults/{A}"), &format!("vaults/{B}"));
    let life = place.open().await;
    for size in 1..5 {
        let (mut token, mut names) = (String::new(), Vec::new());
        loop {
            let page = ask!(life.service, vault_objects.list_vaults(AllVaults, size, &token)).unwrap();
            names.extend(page.vaults.into_iter().map(|vault| vault.name.to_string()));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(names, ["default", A, "team-z"], "{size}");
    }
}

fn request(life: &Life, vault_name: &str, name: &str, id: &str) -> impl Future<Output = certmint::domain::Result<()>> {
    let request_id = Some(RequestId::parse(id).unwrap());
    let request = CreateRequest { request_id, ..new_certificate(vault(vault_name), name, "Unknown") };
    let service = life.service.clone();
    async move { ask!(service, creations.create(request)).map(|_| ()) }
}

#[tokio::test]
async fn what_is_remembered_of_requests_stays_that_of_its_vault() {
    let place = Place::new();
    place.filled().await;
    let id = "a76827a18b63421c917da80f28e9913d";
    {
        let life = place.open().await;
        request(&life, A, "asked", id).await.unwrap();
        request(&life, B, "asked", id).await.unwrap();
    }
    let repeats = [A, B].map(|vault| place.keys(&format!("repeats/{vault}/"))[0].clone());
    place.moved(&format!("requests/{A}/{id}"), &format!("requests/{B}/{id}"));
    place.moved(&repeats[0], &repeats[1]);
    let life = place.open().await;
    let refused = request(&life, B, "asked", id).await.unwrap_err();
    assert!(refused.message.starts_with(&format!("The record requests/team-b/{id} does not verify")), "{refused}");
    request(&life, A, "asked", id).await.unwrap();
}

#[tokio::test]
async fn an_order_that_was_moved_is_not_sent_to_an_issuer() {
    let place = Place::new();
    place.filled().await;
    {
        let life = place.open().await;
        for vault in [A, B] {
            life.ok(vault, "POST /certificates/leaf/create", &policy("ca", "")).await;
            life.ok(vault, "DELETE /certificates/leaf/pending", "").await;
        }
    }
    let [ours] = &place.keys(&format!("orders/{B}/"))[..] else { panic!("no order") };
    place.moved(&place.keys(&format!("orders/{A}/"))[0], ours);
    let life = place.open().await;
    assert_eq!(life.work().await, Vec::<String>::new());
    assert_eq!(place.keys("orders/"), [ours.as_str()], "the good order has ended, the other one waits for somebody");
}
