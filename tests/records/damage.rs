//! Damaged and missing rows: the lists go on without them, and what is left can be deleted and purged.

use crate::records::place::{A, Place};

#[tokio::test]
async fn lists_show_everything_else() {
    let place = Place::new();
    place.filled().await;
    place.write(&place.version(A, "web"), "damaged");
    place.write("certificates/team-a/locked", "damaged");
    place.write("pending/team-a/other", "damaged");
    place.write("issuers/team-a/ca", "damaged");
    let life = place.open().await;
    // The entry of `web` says all that a list of certificates shows.
    assert_eq!(life.names(A, "/certificates").await, ["manual", "other", "web"]);
    assert_eq!(life.names(A, "/secrets").await, ["other"]);
    assert_eq!(life.names(A, "/keys").await, ["other"]);
    assert_eq!(life.names(A, "/certificates/issuers").await, Vec::<String>::new());
    assert_eq!(life.names(A, "/deletedcertificates").await, ["gone", "kept"]);
    let versions = life.ok(A, "GET /certificates/web/versions", "").await;
    assert_eq!(versions["value"], serde_json::json!([]));
}

#[tokio::test]
async fn a_certificate_whose_newest_version_is_damaged_or_lost_is_deleted_recovered_and_purged() {
    for lost in [false, true] {
        let place = Place::new();
        place.filled().await;
        let key = place.version(A, "web");
        if lost {
            place.remove(&key)
        } else {
            place.write(&key, "damaged")
        }
        let life = place.open().await;
        assert_eq!(life.send(A, "GET /certificates/web", "").await.status, 500);
        life.ok(A, "DELETE /certificates/web", "").await;
        life.ok(A, "POST /deletedcertificates/web/recover", "").await;
        life.ok(A, "DELETE /certificates/web", "").await;
        life.ok(A, "DELETE /deletedcertificates/web", "").await;
        assert_eq!(place.keys("").into_iter().filter(|key| key.contains("team-a/web")).collect::<Vec<_>>(), [""; 0]);
        life.issued(A, "web").await;
    }
}

#[tokio::test]
async fn a_certificate_whose_operation_is_damaged_is_deleted_and_purged() {
    let place = Place::new();
    place.filled().await;
    place.write("pending/team-a/manual", "damaged");
    let life = place.open().await;
    life.refuses(A, "GET /certificates/manual/pending", "pending/team-a/manual").await;
    life.ok(A, "DELETE /certificates/manual", "").await;
    life.ok(A, "DELETE /deletedcertificates/manual", "").await;
    life.issued(A, "manual").await;
}

#[tokio::test]
async fn a_backup_without_one_of_the_versions_is_refused() {
    for newest in [true, false] {
        let place = Place::new();
        place.filled().await;
        let life = place.open().await;
        life.issued(A, "web").await;
        life.ok(A, "POST /certificates/web/backup", "").await;
        let id = life.ok(A, "GET /certificates/web", "").await["id"].as_str().unwrap().to_owned();
        let newest_id = id.rsplit('/').next().unwrap();
        drop(life);
        let keys = place.keys("versions/team-a/web/");
        let lost = keys.iter().find(|key| key.ends_with(newest_id) == newest).unwrap();
        place.remove(lost);
        let reply = place.open().await.send(A, "POST /certificates/web/backup", "").await;
        let named = if newest { lost.as_str() } else { "versions/team-a/web/" };
        assert!(reply.status == 500 && reply.body.contains(named), "{} {}", reply.status, reply.body);
    }
}

#[tokio::test]
async fn a_step_of_a_damaged_operation_is_not_an_error_again_and_again() {
    let place = Place::new();
    place.filled().await;
    place.write("pending/team-a/manual", "damaged");
    place.sql("UPDATE records SET due = 1 WHERE key = 'pending/team-a/manual'");
    let life = place.open().await;
    assert_eq!(life.work().await, Vec::<String>::new());
}

#[tokio::test]
async fn every_view_of_a_newest_version_that_is_lost_names_its_record() {
    let place = Place::new();
    place.filled().await;
    let key = place.version(A, "web");
    place.remove(&key);
    let life = place.open().await;
    let version = key.rsplit('/').next().unwrap();
    for object in ["certificates", "secrets", "keys"] {
        for path in [format!("{object}/web"), format!("{object}/web/{version}")] {
            let reply = life.send(A, &format!("GET /{path}"), "").await;
            assert!(reply.status == 500 && reply.body.contains(&key), "{path}: {} {}", reply.status, reply.body);
        }
        let other = life.send(A, &format!("GET /{object}/web/0123456789abcdef0123456789abcdef"), "").await;
        assert_eq!(other.status, 404, "{object}: {}", other.body);
    }
}
