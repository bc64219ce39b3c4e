//! Azure's role assignments and definitions: the paths and bodies that its libraries send.

use crate::kit::{ADMIN, GRANTER, Server};
use certmint::proto::v1;
use serde_json::json;

const ASSIGNMENTS: &str = "/providers/Microsoft.Authorization/roleAssignments";
const DEFINITIONS: &str = "/providers/Microsoft.Authorization/roleDefinitions";
const ONE: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const TWO: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3302";
const OFFICER: &str = "a4417e6f-fecd-4de8-b567-7b0420556985";

fn body(principal: &str, role: &str) -> String {
    let role = format!("Microsoft.KeyVault/providers/Microsoft.Authorization/roleDefinitions/{role}");
    json!({"properties": {"principalId": principal, "roleDefinitionId": role}}).to_string()
}

#[tokio::test]
async fn an_assignment_is_made_read_listed_and_deleted() {
    let server = Server::start("").await;
    let path = format!("/certificates/shop-*{ASSIGNMENTS}/{ONE}");
    let reply = server.send(ADMIN, &format!("PUT {path}"), &body("token:other", OFFICER)).await;
    let expected = json!({
        "id": path,
        "name": ONE,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "scope": "/certificates/shop-*",
            "roleDefinitionId": format!("Microsoft.KeyVault/providers/Microsoft.Authorization/roleDefinitions/{OFFICER}"),
            "principalId": "token:other",
        }
    });
    assert_eq!((reply.status, reply.json()), (201, expected.clone()));
    let again = server.send(ADMIN, &format!("PUT {path}"), &body("token:other", OFFICER)).await;
    assert_eq!((again.status, again.json()), (201, expected.clone()), "a repeat");
    let changed = server.send(ADMIN, &format!("PUT {path}"), &body("token:two", OFFICER)).await;
    assert_eq!((changed.status, changed.json()["error"]["code"].as_str()), (409, Some("Conflict")));
    assert_eq!(server.send("other", "GET /certificates/shop-1", "").await.status, 404);
    assert_eq!(server.send("other", "GET /certificates/web", "").await.status, 403);

    for caller in [ADMIN, "other"] {
        let read = server.send(caller, &format!("GET {path}"), "").await;
        assert_eq!((read.status, read.json()), (200, expected.clone()), "{caller}");
        let scope = if caller == ADMIN { "/certificates/shop-1" } else { "/" };
        let list = server.send(caller, &format!("GET {scope}{ASSIGNMENTS}"), "").await.json();
        assert!(list["value"].as_array().unwrap().contains(&expected), "{caller}: {list}");
    }
    let hidden = server.send("nobody", &format!("GET {path}"), "").await;
    assert_eq!((hidden.status, hidden.json()["error"]["code"].as_str()), (404, Some("RoleAssignmentNotFound")));
    // A part of its names is not the whole of it.
    let part = server.send(ADMIN, &format!("DELETE /certificates/shop-1{ASSIGNMENTS}/{ONE}"), "").await;
    assert_eq!(part.status, 404, "{}", part.body);
    let elsewhere = server.send(ADMIN, &format!("GET /certificates/web{ASSIGNMENTS}/{ONE}"), "").await;
    assert_eq!(elsewhere.status, 404, "it does not reach that name");
    let refused = server.send("other", &format!("DELETE {path}"), "").await;
    assert_eq!((refused.status, refused.body.contains("ForbiddenByRbac")), (403, true));

    let gone = server.send(ADMIN, &format!("DELETE {path}"), "").await;
    assert_eq!((gone.status, gone.json()), (200, expected));
    assert_eq!(server.send("other", "GET /certificates/shop-1", "").await.status, 403);
    assert_eq!(server.send(ADMIN, &format!("DELETE {path}"), "").await.status, 404);
}

#[tokio::test]
async fn assignments_and_grants_are_the_same_things() {
    let server = Server::start(GRANTER).await;
    let request = v1::CreateGrantRequest {
        principal: "token:other".into(),
        role: "certmint Watcher".into(),
        names: vec!["web".into(), "api-*".into()],
        issuers: vec!["Self".into()],
        ..Default::default()
    };
    let made = server.rights(ADMIN).create_grant(request).await.unwrap().into_inner().grant.unwrap();
    let list =
        server.send(ADMIN, &format!("GET {ASSIGNMENTS}?$filter=principalId%20eq%20'token:other'"), "").await.json();
    assert_eq!(list["value"][0]["name"], made.id, "{list}");
    assert_eq!(list["value"][0]["properties"]["scope"], "/certificates/api-*,web");
    assert_eq!(list["value"].as_array().unwrap().len(), 1);
    let all = server.send(ADMIN, &format!("GET {ASSIGNMENTS}?$filter=atScope()"), "").await.json();
    let names: Vec<_> = all["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"administrator-1") && names.contains(&"file-1") && names.contains(&made.id.as_str()));
    let written = server.send(ADMIN, &format!("DELETE {ASSIGNMENTS}/file-1"), "").await;
    assert_eq!((written.status, written.json()["error"]["code"].as_str()), (409, Some("Conflict")));
    let gone = server.send(ADMIN, &format!("DELETE {ASSIGNMENTS}/{}", made.id), "").await;
    assert_eq!(gone.status, 200);
    let read = server.rights(ADMIN).get_grant(v1::GetGrantRequest { grant_id: made.id }).await;
    assert!(read.is_err());
}

#[tokio::test]
async fn nobody_assigns_more_than_he_may_pass_on() {
    let server = Server::start(GRANTER).await;
    let put = async |caller: &str, scope: &str, role: &str| {
        let request = format!("PUT {scope}{ASSIGNMENTS}/{ONE}");
        let reply = server.send(caller, &request, &body("token:shop", role)).await;
        (reply.status, reply.json()["error"]["innererror"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let (by_policy, by_rbac) = ("ForbiddenByPolicy".to_owned(), "ForbiddenByRbac".to_owned());
    assert_eq!(put("shop", "", OFFICER).await, (403, by_policy.clone()), "the whole vault");
    assert_eq!(put("shop", "/certificates/web", OFFICER).await, (403, by_rbac.clone()), "another name");
    assert_eq!(put("shop", "/certificates/*", OFFICER).await, (403, by_policy.clone()));
    let granter = "8b54135c-b56d-4d72-a534-26097cfdc8d8";
    let request = format!("PUT /certificates/shop-1{ASSIGNMENTS}/{ONE}");
    let refused = server.send("shop", &request, &body("token:shop", granter)).await;
    assert!(refused.body.contains("Property properties.roleDefinitionId has a value that is not"), "{}", refused.body);
    assert_eq!(put("shop", "/certificates/shop-1", granter).await, (403, by_policy));
    assert_eq!(put("nobody", "/certificates/shop-1", OFFICER).await, (403, by_rbac));
    assert_eq!(put("shop", "/certificates/shop-1", OFFICER).await.0, 201);
}

#[tokio::test]
async fn definitions_are_listed_made_changed_and_deleted() {
    let server = Server::start("").await;
    let list = server.send("nobody", &format!("GET {DEFINITIONS}"), "").await.json();
    let built_in = list["value"].as_array().unwrap().iter().find(|role| role["name"] == OFFICER).unwrap().clone();
    assert_eq!(
        built_in,
        json!({
            "id": format!("Microsoft.KeyVault/providers/Microsoft.Authorization/roleDefinitions/{OFFICER}"),
            "name": OFFICER,
            "type": "Microsoft.Authorization/roleDefinitions",
            "properties": {
                "roleName": "Key Vault Certificates Officer",
                "description": "Everything with certificates, issuers and contacts, but neither secrets nor keys.",
                "type": "AKVBuiltInRole",
                "assignableScopes": ["/"],
                "permissions": [{
                    "actions": [],
                    "notActions": [],
                    "dataActions": [
                        "Microsoft.KeyVault/vaults/certificates/*",
                        "Microsoft.KeyVault/vaults/certificatecas/*",
                        "Microsoft.KeyVault/vaults/certificatecontacts/write",
                    ],
                    "notDataActions": [],
                }],
            }
        })
    );
    let scoped = server.send("nobody", &format!("GET /certificates/web{DEFINITIONS}"), "").await.json();
    assert_eq!(scoped, list);
    let role = |actions: &[&str]| {
        let permissions = [json!({"dataActions": actions, "notActions": []})];
        json!({"properties": {"roleName": "Looker", "assignableScopes": ["/"], "permissions": permissions}}).to_string()
    };
    let read = "Microsoft.KeyVault/vaults/certificates/read";
    let path = format!("{DEFINITIONS}/{TWO}");
    let made = server.send(ADMIN, &format!("PUT {path}"), &role(&[read])).await;
    assert_eq!((made.status, made.json()["properties"]["type"].as_str()), (201, Some("CustomRole")), "{}", made.body);
    server.must(ADMIN, &format!("PUT {ASSIGNMENTS}/{ONE}"), &body("token:other", TWO)).await;
    assert_eq!(server.send("other", "GET /certificates", "").await.status, 200);
    let delete = "Microsoft.KeyVault/vaults/certificates/delete";
    server.must(ADMIN, &format!("PUT {path}"), &role(&[delete])).await;
    assert_eq!(server.send("other", "GET /certificates", "").await.status, 403);
    assert_eq!(
        server.must("nobody", &format!("GET {path}"), "").await["properties"]["permissions"][0]["dataActions"][0],
        delete
    );
    let used = server.send(ADMIN, &format!("DELETE {path}"), "").await;
    assert_eq!((used.status, used.json()["error"]["code"].as_str()), (409, Some("RoleDefinitionHasAssignments")));
    server.must(ADMIN, &format!("DELETE {ASSIGNMENTS}/{ONE}"), "").await;
    assert_eq!(server.must(ADMIN, &format!("DELETE {path}"), "").await["properties"]["roleName"], "Looker");
    let gone = server.send(ADMIN, &format!("GET {path}"), "").await;
    assert_eq!((gone.status, gone.json()["error"]["code"].as_str()), (404, Some("RoleDefinitionDoesNotExist")));
    for caller in ["other", "nobody"] {
        let refused = server.send(caller, &format!("PUT {path}"), &role(&[read])).await;
        assert_eq!((refused.status, refused.body.contains("ForbiddenByRbac")), (403, true), "{caller}");
    }
}

#[tokio::test]
async fn lists_have_pages() {
    let server = Server::start("").await;
    for number in 10..16 {
        let id = format!("3f2504e0-4f89-41d3-9a0c-0305e82c33{number}");
        server.must(ADMIN, &format!("PUT /certificates/web{ASSIGNMENTS}/{id}"), &body("token:other", OFFICER)).await;
    }
    let mut request = format!("GET /certificates/web{ASSIGNMENTS}?maxresults=4&$filter=assignedTo('token:other')");
    let mut names = Vec::new();
    loop {
        let page = server.must(ADMIN, &request, "").await;
        names.extend(page["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["nextLink"].as_str() else { break };
        assert_eq!(page["value"].as_array().unwrap().len(), 4);
        let (_, path) = next.split_once("8443").unwrap();
        request = format!("GET {}", path.replace("api-version=7.4&", ""));
    }
    assert_eq!(names.len(), 6, "{names:?}");
}

#[tokio::test]
async fn bad_input_is_named() {
    let server = Server::start("").await;
    for (says, request, body) in [
        (
            "principalId",
            format!("PUT {ASSIGNMENTS}/{ONE}"),
            json!({"properties": {"roleDefinitionId": OFFICER}}).to_string(),
        ),
        (
            "roleDefinitionId",
            format!("PUT {ASSIGNMENTS}/{ONE}"),
            json!({"properties": {"principalId": "token:a"}}).to_string(),
        ),
        (
            "Property properties.principalId ",
            format!("PUT {ASSIGNMENTS}/{ONE}"),
            body("2c4e6a8b-0000-0000-0000-000000000000", OFFICER),
        ),
        ("Property properties.roleDefinitionId ", format!("PUT {ASSIGNMENTS}/{ONE}"), body("token:other", ONE)),
        ("roleAssignmentName", format!("PUT {ASSIGNMENTS}/one"), body("token:other", OFFICER)),
        ("scope", format!("PUT /certificates/a_b{ASSIGNMENTS}/{ONE}"), body("token:other", OFFICER)),
        ("roleDefinitionName", format!("PUT {DEFINITIONS}/one"), "{}".to_owned()),
        (
            "Property properties.permissions ",
            format!("PUT {DEFINITIONS}/{TWO}"),
            json!({"properties": {"roleName": "a"}}).to_string(),
        ),
        (
            "Property properties.roleName ",
            format!("PUT {DEFINITIONS}/{TWO}"),
            json!({"properties": {"roleName": "Key Vault Reader", "permissions": [{"dataActions": ["*"]}]}})
                .to_string(),
        ),
        (
            "Property properties.description ",
            format!("PUT {DEFINITIONS}/{TWO}"),
            json!({"properties": {"roleName": "a", "description": "a\nb", "permissions": [{"dataActions": ["*"]}]}})
                .to_string(),
        ),
        (
            "notDataActions",
            format!("PUT {DEFINITIONS}/{TWO}"),
            json!({"properties": {"permissions": [{"dataActions": ["*"], "notDataActions": ["x"]}]}}).to_string(),
        ),
        (
            "dataActions",
            format!("PUT {DEFINITIONS}/{TWO}"),
            json!({"properties": {"permissions": [{"actions": ["*"]}]}}).to_string(),
        ),
        (
            "condition",
            format!("PUT {ASSIGNMENTS}/{ONE}"),
            json!({"properties": {"principalId": "token:a", "roleDefinitionId": OFFICER, "condition": "x"}})
                .to_string(),
        ),
        ("roleDefinitionId", format!("PUT {ASSIGNMENTS}/{ONE}"), body("token:a", "a/Key Vault Administrator")),
        (
            "assignableScopes",
            format!("PUT {DEFINITIONS}/{TWO}"),
            json!({"properties": {"assignableScopes": ["/certificates/web"]}}).to_string(),
        ),
        ("$filter", format!("GET {ASSIGNMENTS}?$filter=x"), String::new()),
        ("$filter", format!("GET {DEFINITIONS}?$filter=x"), String::new()),
    ] {
        let reply = server.send(ADMIN, &request, &body).await;
        assert_eq!(reply.status, 400, "{request}: {}", reply.body);
        assert!(reply.body.contains(says), "{request}: {}", reply.body);
    }
    // A scope of keys or secrets alone is not offered: one name covers the three.
    assert_eq!(server.send(ADMIN, &format!("PUT /keys/web{ASSIGNMENTS}/{ONE}"), "{}").await.status, 404);
}
