//! Grants and roles that callers make and take away.

use crate::kit::{ADMIN, GRANTER, LONG, Server, Shared, facts, reason, within_a_second};
use crate::token_issuer::now;
use certmint::limits::Limits;
use certmint::proto::v1;
use certmint::service::{GrantLimits, Mode};
use std::time::{Duration, Instant};
use tonic::{Code, Status};

const OFFICER: &str = "Key Vault Certificates Officer";

fn wanted(principal: &str, role: &str, names: &[&str]) -> v1::CreateGrantRequest {
    v1::CreateGrantRequest {
        principal: principal.to_owned(),
        role: role.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

async fn make(server: &Server, caller: &str, wanted: v1::CreateGrantRequest) -> Result<v1::Grant, Status> {
    let answer = server.rights(caller).create_grant(wanted).await?;
    Ok(answer.into_inner().grant.unwrap())
}

async fn revoke(server: &Server, caller: &str, id: &str) -> Result<v1::Grant, Status> {
    let answer = server.rights(caller).delete_grant(v1::DeleteGrantRequest { grant_id: id.to_owned() }).await?;
    Ok(answer.into_inner().grant.unwrap())
}

async fn listed(server: &Server, caller: &str) -> Vec<v1::Grant> {
    let request = v1::ListGrantsRequest::default();
    server.rights(caller).list_grants(request).await.unwrap().into_inner().grants
}

/// Waits until the caller is let in, or is not; how long that took.
async fn known(server: &Server, caller: &str, request: &str, status: u16) -> Duration {
    let begun = Instant::now();
    loop {
        let reply = server.send(caller, request, "").await;
        if reply.status == status {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < LONG, "{caller} {request}: {} {}", reply.status, reply.body);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_grant_counts_until_it_is_taken_away() {
    let server = Server::start("").await;
    assert_eq!(server.send("other", "GET /certificates", "").await.status, 403);
    let made = make(
        &server,
        ADMIN,
        v1::CreateGrantRequest { note: "for a test".into(), ..wanted("token:other", OFFICER, &["web"]) },
    );
    let made = made.await.unwrap();
    assert_eq!((made.source(), made.created_by.as_str()), (v1::GrantSource::Store, "token:admin"));
    assert_eq!(
        (made.vault.as_str(), made.names.as_slice(), made.note.as_str()),
        ("default", ["web".to_owned()].as_slice(), "for a test")
    );
    assert!(made.created.is_some());
    assert_eq!(server.send("other", "GET /certificates", "").await.status, 200);
    assert_eq!(server.send("other", "GET /certificates/web", "").await.status, 404);
    assert_eq!(server.send("other", "GET /certificates/api", "").await.status, 403);
    let read = server.rights("other").get_grant(v1::GetGrantRequest { grant_id: made.id.clone() }).await.unwrap();
    assert_eq!(read.into_inner().grant.unwrap(), made);
    assert_eq!(revoke(&server, ADMIN, &made.id).await.unwrap(), made);
    assert_eq!(server.send("other", "GET /certificates", "").await.status, 403);
    let gone = revoke(&server, ADMIN, &made.id).await.unwrap_err();
    assert_eq!((gone.code(), reason(&gone).as_str()), (Code::NotFound, "GRANT_NOT_FOUND"));
}

#[tokio::test]
async fn a_repeat_with_the_same_id_is_the_same_grant() {
    let server = Server::start("").await;
    let id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301".to_owned();
    let first = v1::CreateGrantRequest { grant_id: id.clone(), ..wanted("token:other", OFFICER, &["web"]) };
    let made = make(&server, ADMIN, first.clone()).await.unwrap();
    assert_eq!(made.id, id);
    assert_eq!(make(&server, ADMIN, first.clone()).await.unwrap(), made);
    let other = v1::CreateGrantRequest { names: vec!["api".into()], ..first };
    let refused = make(&server, ADMIN, other).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::AlreadyExists, "ALREADY_EXISTS"));
    assert_eq!(listed(&server, "other").await, [made]);
}

#[tokio::test]
async fn nobody_grants_more_than_he_may_pass_on() {
    let server = Server::start(GRANTER).await;
    let two = v1::CreateVaultRequest { vault_name: "two".to_owned(), ..Default::default() };
    v1::vault_service_client::VaultServiceClient::new(server.channel(ADMIN)).create_vault(two).await.unwrap();
    let own = || wanted("token:shop", OFFICER, &["shop-1"]);
    for (because, request) in [
        ("role", v1::CreateGrantRequest { role: "Key Vault Data Access Administrator".into(), ..own() }),
        ("role", v1::CreateGrantRequest { role: "certmint Requester".into(), ..own() }),
        ("names", v1::CreateGrantRequest { names: Vec::new(), ..own() }),
        ("names", wanted("token:shop", OFFICER, &["web"])),
        ("may_grant", v1::CreateGrantRequest { may_grant: vec!["*".into()], ..own() }),
    ] {
        let refused = make(&server, "shop", request).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::PermissionDenied, "REQUEST_NOT_ALLOWED"),
            "{because}"
        );
        assert!(refused.message().contains(&format!("Property {because} ")), "{}", refused.message());
    }
    for vault in ["two", "*"] {
        let refused =
            make(&server, "shop", v1::CreateGrantRequest { vault_name: vault.into(), ..own() }).await.unwrap_err();
        assert_eq!(reason(&refused), "ACCESS_DENIED", "{vault}");
        assert_eq!(facts(&refused)["action"], "Microsoft.Authorization/roleAssignments/write");
    }
    // Who reads everything, or nothing, grants nothing.
    for caller in ["reader", "nobody"] {
        let refused = make(&server, caller, own()).await.unwrap_err();
        assert_eq!(reason(&refused), "ACCESS_DENIED", "{caller}");
    }
    assert_eq!(listed(&server, ADMIN).await.len(), 3, "nothing was made");
    // What is within his scope he may give to anybody.
    let made = make(&server, "shop", own()).await.unwrap();
    assert_eq!(made.created_by, "token:shop");
    // A role of his own would be one he chose himself.
    let request = v1::SetRoleRequest { name: "Mine".into(), actions: vec!["*".into()], ..Default::default() };
    let refused = server.rights("shop").set_role(request).await.unwrap_err();
    assert_eq!(reason(&refused), "ACCESS_DENIED");
}

#[tokio::test]
async fn a_grant_is_taken_away_by_who_might_have_made_it() {
    let server = Server::start(GRANTER).await;
    let wide = make(&server, ADMIN, wanted("token:other", OFFICER, &["web", "shop-1"])).await.unwrap();
    let narrow = make(&server, ADMIN, wanted("token:other", OFFICER, &["shop-1"])).await.unwrap();
    let refused = revoke(&server, "shop", &wide.id).await.unwrap_err();
    assert_eq!(reason(&refused), "GRANT_NOT_FOUND", "it reaches further than what he may read");
    assert_eq!(reason(&revoke(&server, "reader", &narrow.id).await.unwrap_err()), "ACCESS_DENIED");
    assert_eq!(reason(&revoke(&server, "other", &narrow.id).await.unwrap_err()), "ACCESS_DENIED", "not even his own");
    revoke(&server, "shop", &narrow.id).await.unwrap();
    // His own grant stands in the file.
    let own = revoke(&server, ADMIN, "file-1").await.unwrap_err();
    assert_eq!((own.code(), reason(&own).as_str()), (Code::FailedPrecondition, "NOT_CHANGEABLE"));
    let root = revoke(&server, ADMIN, "administrator-1").await.unwrap_err();
    assert_eq!(reason(&root), "NOT_CHANGEABLE");
    assert_eq!(server.send(ADMIN, "GET /certificates", "").await.status, 200);
}

#[tokio::test]
async fn what_is_granted_ends_with_the_right_to_grant() {
    let ends = "expires = \"2999-01-01T00:00:00Z\"";
    let server =
        Server::start(&GRANTER.replacen("names = [\"shop-*\"]", &format!("names = [\"shop-*\"]\n{ends}"), 1)).await;
    let request = wanted("token:other", OFFICER, &["shop-1"]);
    let refused = make(&server, "shop", request.clone()).await.unwrap_err();
    assert!(refused.message().contains("Property expires"), "{}", refused.message());
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let end = 32_472_144_000;
    make(&server, "shop", v1::CreateGrantRequest { expires: at(end), ..request.clone() }).await.unwrap();
    make(&server, "shop", v1::CreateGrantRequest { expires: at(end + 1), ..request.clone() }).await.unwrap_err();
    let past = make(&server, "shop", v1::CreateGrantRequest { expires: at(1), ..request }).await.unwrap_err();
    assert_eq!(reason(&past), "BAD_PARAMETER");
}

#[tokio::test]
async fn other_replicas_know_of_a_change_within_a_second() {
    let shared = Shared::default();
    let one = Server::with(Mode::Enforce, "", shared.clone()).await;
    let two = Server::with(Mode::Enforce, "", shared.clone()).await;
    assert_eq!(two.send("other", "GET /certificates", "").await.status, 403);
    within_a_second("a change is known elsewhere", async || {
        let made = make(&one, ADMIN, wanted("token:other", "certmint Watcher", &["web", "api"])).await.unwrap();
        assert_eq!(one.send("other", "GET /certificates", "").await.status, 200, "at once where it was made");
        let let_in = known(&two, "other", "GET /certificates", 200).await;

        // A stream there ends when the grant is taken away here, with a closing bookmark.
        let request = v1::WatchPendingRequest::default();
        let mut stream = two.client("other").watch_pending(request).await.unwrap().into_inner();
        stream.message().await.unwrap();
        revoke(&one, ADMIN, &made.id).await.unwrap();
        let revoked = Instant::now();
        let end = loop {
            match tokio::time::timeout(LONG, stream.message()).await.unwrap() {
                Ok(message) => assert!(message.is_some()),
                Err(end) => break end,
            }
        };
        let ended = revoked.elapsed();
        assert_eq!(reason(&end), "ACCESS_CHANGED");
        let_in.max(ended).max(known(&two, "other", "GET /certificates", 403).await)
    })
    .await;

    // One that starts later knows what is there, and one that missed many changes all of them.
    let made = make(&one, ADMIN, wanted("token:other", "certmint Watcher", &["web"])).await.unwrap();
    let three = Server::with(Mode::Enforce, "", shared).await;
    assert_eq!(three.send("other", "GET /certificates", "").await.status, 200);
    for number in 0..80 {
        make(&one, ADMIN, wanted("token:two", "certmint Watcher", &[&format!("n-{number}")])).await.unwrap();
    }
    revoke(&three, ADMIN, &made.id).await.unwrap();
    known(&two, "other", "GET /certificates", 403).await;
    known(&two, "two", "GET /certificates", 200).await;
    assert_eq!(listed(&three, "two").await.len(), 80);
}

#[tokio::test]
async fn the_file_and_the_store_make_one_table() {
    let server = Server::start(GRANTER).await;
    let made = make(&server, ADMIN, wanted("token:reader", OFFICER, &["web"])).await.unwrap();
    let sources = async || listed(&server, "reader").await.iter().map(|grant| grant.source()).collect::<Vec<_>>();
    assert_eq!(sources().await, [v1::GrantSource::Store, v1::GrantSource::File]);
    assert_eq!(server.send("reader", "DELETE /certificates/web", "").await.status, 404);
    assert_eq!(server.send("reader", "GET /certificates/api", "").await.status, 404);
    server.regrant("");
    assert_eq!(sources().await, [v1::GrantSource::Store], "the file changed, and the store did not");
    assert_eq!(server.send("reader", "GET /certificates/api", "").await.status, 403);
    server.regrant(GRANTER);
    revoke(&server, ADMIN, &made.id).await.unwrap();
    assert_eq!(sources().await, [v1::GrantSource::File]);
}

#[tokio::test]
async fn nothing_is_granted_because_refusals_are_only_written_down() {
    let server = Server::with(Mode::Report, GRANTER, Shared::default()).await;
    assert_eq!(server.send("nobody", "GET /certificates", "").await.status, 200);
    let refused = make(&server, "nobody", wanted("token:nobody", "Key Vault Administrator", &[])).await.unwrap_err();
    assert_eq!(reason(&refused), "ACCESS_DENIED");
    let made = make(&server, ADMIN, wanted("token:other", OFFICER, &[])).await.unwrap();
    assert_eq!(reason(&revoke(&server, "other", &made.id).await.unwrap_err()), "ACCESS_DENIED");
    let request = v1::SetRoleRequest { name: "Mine".into(), actions: vec!["*".into()], ..Default::default() };
    assert_eq!(reason(&server.rights("nobody").set_role(request).await.unwrap_err()), "ACCESS_DENIED");
    assert_eq!(listed(&server, ADMIN).await.len(), 4);
}

#[tokio::test]
async fn roles_are_made_changed_and_deleted() {
    let shared = Shared::default();
    let server = Server::with(Mode::Enforce, "", shared.clone()).await;
    let other = Server::with(Mode::Enforce, "", shared).await;
    let set = async |name: &str, action: &str| {
        let actions = vec![format!("Microsoft.KeyVault/vaults/certificates/{action}")];
        let request = v1::SetRoleRequest { name: name.to_owned(), actions, ..Default::default() };
        server.rights(ADMIN).set_role(request).await.map(|answer| answer.into_inner().role.unwrap())
    };
    let role = set("Looker", "read").await.unwrap();
    assert_eq!((role.source(), role.built_in, role.changed_by.as_str()), (v1::RoleSource::Store, false, "token:admin"));
    make(&server, ADMIN, wanted("token:other", "looker", &["web"])).await.unwrap();
    assert_eq!(server.send("other", "GET /certificates/web", "").await.status, 404);
    assert_eq!(server.send("other", "DELETE /certificates/web", "").await.status, 403);
    known(&other, "other", "GET /certificates/web", 404).await;
    // Whoever holds it may do what it says now.
    assert_eq!(set("LOOKER", "delete").await.unwrap().id, role.id);
    assert_eq!(server.send("other", "GET /certificates/web", "").await.status, 403);
    assert_eq!(server.send("other", "DELETE /certificates/web", "").await.status, 404);
    known(&other, "other", "GET /certificates/web", 403).await;

    let delete = async |role: &str| {
        server.rights(ADMIN).delete_role(v1::DeleteRoleRequest { role: role.to_owned() }).await.map(|_| ())
    };
    let used = delete("looker").await.unwrap_err();
    assert_eq!((used.code(), reason(&used).as_str()), (Code::FailedPrecondition, "ROLE_IN_USE"));
    for grant in listed(&server, "other").await {
        revoke(&server, ADMIN, &grant.id).await.unwrap();
    }
    delete(&role.id).await.unwrap();
    assert_eq!(reason(&delete("looker").await.unwrap_err()), "ROLE_NOT_FOUND");
    let read = server.rights("nobody").get_role(v1::GetRoleRequest { role: "looker".into() }).await.unwrap_err();
    assert_eq!(reason(&read), "ROLE_NOT_FOUND");
    assert_eq!(reason(&delete("Key Vault Reader").await.unwrap_err()), "NOT_CHANGEABLE");
    assert_eq!(reason(&set("key vault reader", "read").await.unwrap_err()), "NOT_CHANGEABLE");
}

#[tokio::test]
async fn grants_are_bounded_in_number_and_in_sum() {
    let few = GrantLimits { grants: 2, roles: 1, ..GrantLimits::default() };
    let server = Server::limited(Mode::Enforce, "", Shared::default(), Limits::default(), few).await;
    let first = make(&server, ADMIN, wanted("token:other", OFFICER, &["web"])).await.unwrap();
    make(&server, ADMIN, wanted("token:two", OFFICER, &["web"])).await.unwrap();
    let refused = make(&server, ADMIN, wanted("token:shop", OFFICER, &["web"])).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "GRANT_LIMIT_EXCEEDED"));
    revoke(&server, ADMIN, &first.id).await.unwrap();
    make(&server, ADMIN, wanted("token:shop", OFFICER, &["web"])).await.unwrap();
    let set = async |name: &str| {
        let request = v1::SetRoleRequest { name: name.into(), actions: vec!["*".into()], ..Default::default() };
        server.rights(ADMIN).set_role(request).await.map(|_| ())
    };
    set("one").await.unwrap();
    set("ONE").await.unwrap();
    assert_eq!(reason(&set("two").await.unwrap_err()), "GRANT_LIMIT_EXCEEDED");

    let small = GrantLimits { bytes: 2000, ..GrantLimits::default() };
    let server = Server::limited(Mode::Enforce, "", Shared::default(), Limits::default(), small).await;
    let mut made = 0;
    let refused = loop {
        match make(&server, ADMIN, wanted("token:other", OFFICER, &[&format!("n-{made}")])).await {
            Ok(_) => made += 1,
            Err(refused) => break refused,
        }
        assert!(made < 20, "nothing stops it");
    };
    assert!(made > 1 && refused.message().contains("bytes"), "{made}: {}", refused.message());
}

/// Makes a grant that is over within seconds, and waits for its end.
async fn make_over(server: &Server, principal: &str, role: &str) -> v1::Grant {
    let caller = principal.strip_prefix("token:").unwrap();
    for seconds in [2, 10, 60] {
        let expires = Some(prost_types::Timestamp { seconds: now() + seconds, nanos: 0 });
        let request = v1::CreateGrantRequest { expires, ..wanted(principal, role, &["over"]) };
        // A machine that is very busy may not make it in time.
        let Ok(made) = make(server, ADMIN, request).await else { continue };
        let begun = Instant::now();
        while server.who(caller).await.unwrap().grants.iter().any(|grant| grant.id == made.id) {
            assert!(begun.elapsed() < LONG, "it does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        return made;
    }
    panic!("no grant is made in time");
}

#[tokio::test]
async fn grants_that_are_over_take_no_room_and_hold_no_role() {
    let few = GrantLimits { grants: 2, ..GrantLimits::default() };
    let server = Server::limited(Mode::Enforce, "", Shared::default(), Limits::default(), few).await;
    let role = v1::SetRoleRequest { name: "Mine".into(), actions: vec!["*".into()], ..Default::default() };
    server.rights(ADMIN).set_role(role).await.unwrap();
    make(&server, ADMIN, wanted("token:two", OFFICER, &["web"])).await.unwrap();
    let over = make_over(&server, "token:other", "Mine").await;
    server.rights(ADMIN).delete_role(v1::DeleteRoleRequest { role: "Mine".into() }).await.unwrap();
    let ids = async || listed(&server, ADMIN).await.into_iter().map(|grant| grant.id).collect::<Vec<_>>();
    assert!(ids().await.contains(&over.id), "it is shown for a while");
    let new = make(&server, ADMIN, wanted("token:shop", OFFICER, &["web"])).await.unwrap();
    let left = ids().await;
    assert!(left.contains(&new.id) && !left.contains(&over.id), "{left:?}");
    let refused = make(&server, ADMIN, wanted("token:shop", OFFICER, &["api"])).await.unwrap_err();
    assert_eq!(reason(&refused), "GRANT_LIMIT_EXCEEDED", "nothing of these is over");
}

#[tokio::test]
async fn grants_of_a_principal_that_are_over_make_room_for_its_next() {
    let server = Server::start("").await;
    let over = make_over(&server, "token:two", OFFICER).await;
    for number in 0..499 {
        make(&server, ADMIN, wanted("token:two", OFFICER, &[&format!("n-{number}")])).await.unwrap();
    }
    make(&server, ADMIN, wanted("token:two", OFFICER, &["n-499"])).await.unwrap();
    let gone = server.rights(ADMIN).get_grant(v1::GetGrantRequest { grant_id: over.id }).await.unwrap_err();
    assert_eq!(reason(&gone), "GRANT_NOT_FOUND");
    let refused = make(&server, ADMIN, wanted("token:two", OFFICER, &["n-500"])).await.unwrap_err();
    assert_eq!(reason(&refused), "GRANT_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn grants_are_removed_a_while_after_their_end() {
    let shared = Shared::default();
    let one = Server::with(Mode::Enforce, "", shared.clone()).await;
    let two = Server::with(Mode::Enforce, "", shared).await;
    let kept = make(&one, ADMIN, wanted("token:other", OFFICER, &["web"])).await.unwrap();
    let over = make_over(&one, "token:other", OFFICER).await;
    let day = Duration::from_secs(86_400);
    assert_eq!(one.service.grants().remove_over(day).await, Ok(0));
    assert_eq!(one.service.grants().remove_over(Duration::ZERO).await, Ok(1));
    assert_eq!(one.service.grants().remove_over(Duration::ZERO).await, Ok(0));
    let begun = Instant::now();
    while listed(&two, ADMIN).await.iter().any(|grant| grant.id == over.id) {
        assert!(begun.elapsed() < LONG, "the other one does not hear of it");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(listed(&two, ADMIN).await.iter().any(|grant| grant.id == kept.id));
}

#[tokio::test]
async fn many_changes_at_once_follow_one_another() {
    let shared = Shared::default();
    let one = Server::with(Mode::Enforce, "", shared.clone()).await;
    let two = Server::with(Mode::Enforce, "", shared).await;
    let all = (0..64).map(|_| make(&one, ADMIN, wanted("token:other", OFFICER, &[])));
    let made = futures_util::future::try_join_all(all).await.unwrap();
    assert_eq!((made.len(), listed(&one, "other").await.len()), (64, 64));
    known(&two, "other", "GET /certificates", 200).await;
    // The 501st of one principal is one too many.
    for number in 0..500 {
        make(&one, ADMIN, wanted("token:two", OFFICER, &[&format!("n-{number}")])).await.unwrap();
    }
    let refused = make(&one, ADMIN, wanted("token:two", OFFICER, &["n-500"])).await.unwrap_err();
    assert_eq!(reason(&refused), "GRANT_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn who_may_change_nothing_learns_that_before_his_message_is_judged() {
    // One who may set roles in a vault may not: they count in all.
    const SETTER: &str = r#"
        [[role]]
        name = "Setter"
        actions = ["Microsoft.Authorization/*"]

        [[grant]]
        principal = "token:shop"
        role = "Setter"
        vault = "default"
        may_grant = ["*"]
    "#;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let twice = v1::SubjectRule { attribute: "O".into(), values: vec!["a".into()] };
    let rules = Some(v1::RequestRules { subject: vec![twice.clone(), twice], ..Default::default() });
    let good = || wanted("token:other", OFFICER, &["web"]);
    for mode in [Mode::Enforce, Mode::Report] {
        let server = Server::with(mode, SETTER, Shared::default()).await;
        for vault in ["", "default", "*"] {
            for bad in [
                v1::CreateGrantRequest { grant_id: "1".into(), ..good() },
                v1::CreateGrantRequest { rules: rules.clone(), ..good() },
                v1::CreateGrantRequest { expires: at(i64::MAX), ..good() },
                v1::CreateGrantRequest { principal: "x".into(), role: "x".into(), ..good() },
            ] {
                let bad = v1::CreateGrantRequest { vault_name: vault.into(), ..bad };
                let refused = make(&server, "nobody", bad.clone()).await.unwrap_err();
                assert_eq!(reason(&refused), "ACCESS_DENIED", "{mode:?} {bad:?}");
                let refused = make(&server, ADMIN, bad.clone()).await.unwrap_err();
                assert_eq!(reason(&refused), "BAD_PARAMETER", "{mode:?} {bad:?}");
            }
        }
        for caller in ["nobody", "shop"] {
            let bad = || v1::SetRoleRequest { role_id: "1".into(), name: "Mine".into(), ..Default::default() };
            let refused = server.rights(caller).set_role(bad()).await.unwrap_err();
            assert_eq!(reason(&refused), "ACCESS_DENIED", "{mode:?} {caller}");
            let refused = server.rights(ADMIN).set_role(bad()).await.unwrap_err();
            assert_eq!(reason(&refused), "BAD_PARAMETER", "{mode:?}");
            let path = "/providers/Microsoft.Authorization/roleDefinitions/3f2504e0-4f89-41d3-9a0c-0305e82c3301";
            let put = async |caller: &str| server.send(caller, &format!("PUT {path}"), r#"{"properties":1}"#).await;
            assert_eq!((put(caller).await.status, put(ADMIN).await.status), (403, 400), "{mode:?} {caller}");
        }
    }
}

#[tokio::test]
async fn bad_input_names_the_member() {
    let server = Server::start("").await;
    let good = || wanted("token:other", OFFICER, &["web"]);
    for (member, request) in [
        ("grant_id", v1::CreateGrantRequest { grant_id: "1".into(), ..good() }),
        ("grant_id", v1::CreateGrantRequest { grant_id: "00000000-0000-0000-0000-000000000000".into(), ..good() }),
        ("principal", v1::CreateGrantRequest { principal: "other".into(), ..good() }),
        ("role", v1::CreateGrantRequest { role: "Officer".into(), ..good() }),
        ("names", v1::CreateGrantRequest { names: vec!["*x".into()], ..good() }),
        ("may_grant", v1::CreateGrantRequest { may_grant: vec!["x".into()], ..good() }),
        ("note", v1::CreateGrantRequest { note: "a\nb".into(), ..good() }),
        (
            "expires",
            v1::CreateGrantRequest { expires: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), ..good() },
        ),
    ] {
        let refused = make(&server, ADMIN, request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "BAD_PARAMETER"), "{member}");
        assert!(refused.message().contains(&format!("Property {member} ")), "{member}: {}", refused.message());
    }
    let unknown = v1::CreateGrantRequest { vault_name: "nowhere".into(), ..good() };
    assert_eq!(reason(&make(&server, ADMIN, unknown).await.unwrap_err()), "VAULT_NOT_FOUND");
}
