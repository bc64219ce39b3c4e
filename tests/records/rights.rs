//! Grants and roles whose records were changed, moved or removed in the database: they allow nothing, the others go on,
//! and `certmint doctor --store` names them.

use crate::records::place::{Life, Place};
use certmint::domain::Timestamp;
use certmint::service::{Inspection, Repair};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const ASSIGNMENTS: &str = "/providers/Microsoft.Authorization/roleAssignments";
const DEFINITIONS: &str = "/providers/Microsoft.Authorization/roleDefinitions";
const ONE: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const TWO: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3302";
const ROLE: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad2";
const LAST: &str = "rights-changes/latest";

async fn assign(life: &Life, id: &str, principal: &str, role: &str) {
    let body = json!({"properties": {"principalId": principal, "roleDefinitionId": role}}).to_string();
    life.ok("default", &format!("PUT /certificates/web{ASSIGNMENTS}/{id}"), &body).await;
}

/// Two grants, the second of a role of its own.
async fn filled() -> Place {
    let place = Place::new();
    let life = place.open().await;
    let permissions = json!([{"dataActions": ["Microsoft.KeyVault/vaults/certificates/read"]}]);
    let role = json!({"properties": {"roleName": "Looker", "permissions": permissions}}).to_string();
    life.ok("default", &format!("PUT {DEFINITIONS}/{ROLE}"), &role).await;
    assign(&life, ONE, "token:one", "a4417e6f-fecd-4de8-b567-7b0420556985").await;
    assign(&life, TWO, "token:two", ROLE).await;
    place
}

async fn grants(life: &Life) -> Vec<String> {
    let list = life.ok("default", &format!("GET {ASSIGNMENTS}"), "").await;
    let items = list["value"].as_array().unwrap();
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

async fn findings(place: &Place) -> Vec<(String, Repair)> {
    let store = place.store();
    let inspection = Inspection::new(&store, Arc::new(Place::sealer()), Duration::ZERO, Timestamp(0)).await.unwrap();
    let (_, findings) = inspection.findings().await.unwrap();
    findings.into_iter().map(|finding| (finding.key, finding.repair)).collect()
}

#[tokio::test]
async fn a_grant_that_was_changed_moved_or_stripped_of_its_code_allows_nothing() {
    let (one, two) = (format!("grants/{ONE}"), format!("grants/{TWO}"));
    let edits: [fn(&Place, &str, &str); 4] = [
        |place, one, _| place.edit(one, "token:one", "token:xyz"),
        |place, one, two| place.moved(two, one),
        |place, one, _| place.strip(one),
        |place, one, _| place.write(one, "damaged"),
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        let place = filled().await;
        assert_eq!(grants(&place.open().await).await, [ONE, TWO]);
        edit(&place, &one, &two);
        let life = place.open().await;
        assert_eq!(grants(&life).await, [TWO], "edit {number}");
        assert_eq!(life.send("default", &format!("GET {ASSIGNMENTS}/{ONE}"), "").await.status, 404);
        drop(life);
        assert_eq!(findings(&place).await, [(one.clone(), Repair::Remove)], "edit {number}");
    }
}

#[tokio::test]
async fn a_grant_whose_role_is_gone_is_shown_and_can_be_taken_away() {
    let place = filled().await;
    place.remove(&format!("roles/{ROLE}"));
    let life = place.open().await;
    assert_eq!(grants(&life).await, [ONE, TWO]);
    let shown = life.ok("default", &format!("GET {ASSIGNMENTS}/{TWO}"), "").await;
    assert!(shown["properties"]["roleDefinitionId"].as_str().unwrap().ends_with(ROLE), "{shown}");
    life.ok("default", &format!("DELETE {ASSIGNMENTS}/{TWO}"), "").await;
    assert_eq!(grants(&life).await, [ONE]);
}

#[tokio::test]
async fn without_the_record_of_the_last_changes_everything_is_read_and_changes_go_on() {
    let place = filled().await;
    place.remove(LAST);
    let life = place.open().await;
    assert_eq!(grants(&life).await, [ONE, TWO]);
    life.ok("default", &format!("DELETE {ASSIGNMENTS}/{ONE}"), "").await;
    assert_eq!(grants(&life).await, [TWO]);
}

#[tokio::test]
async fn where_that_record_was_damaged_it_is_named_and_the_next_change_makes_another() {
    let damages: [fn(&Place); 2] =
        [|place| place.edit(LAST, "\"number\":3", "\"number\":9"), |place| place.write(LAST, "damaged")];
    for damage in damages {
        let place = filled().await;
        damage(&place);
        assert_eq!(findings(&place).await, [(LAST.to_owned(), Repair::Remove)]);
        let life = place.open().await;
        assert_eq!(grants(&life).await, [ONE, TWO]);
        life.ok("default", &format!("DELETE {ASSIGNMENTS}/{ONE}"), "").await;
        assert_eq!(grants(&life).await, [TWO]);
        drop(life);
        assert!(findings(&place).await.is_empty());
        assert_eq!(grants(&place.open().await).await, [TWO]);
    }
}
