//! What a page of a list costs on PostgreSQL: a bounded number of statements, however much the page shows.

use super::postgres_serve::{client, ready, serve, text};
use super::server::Postgres;

/// Statements of these names in what the server logged.
fn executed(log: &str, names: &[&str]) -> usize {
    let named = |line: &str| line.split_once(": -- ").is_some_and(|(_, name)| names.contains(&name.trim()));
    log.lines().filter(|line| line.contains("execute ") && named(line)).count()
}

#[tokio::test]
async fn a_page_of_a_list_is_a_handful_of_statements() {
    let server = Postgres::start_with(&["fsync=off", "log_statement=all"]);
    let url = server.fresh().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let replica = ready(serve(&data, &url));
    for number in 0..30 {
        let arguments = ["--subject", "CN=a.example", "--issuer", "Self", "--key-type", "ec", "--wait"];
        let made = client(&data, &replica, &[&["create", &format!("c{number}")], &arguments[..]].concat());
        assert!(made.status.success(), "{}", text(&made));
    }
    for number in 0..10 {
        let deleted = client(&data, &replica, &["delete", &format!("c{number}")]);
        assert!(deleted.status.success(), "{}", text(&deleted));
    }
    for (list, shown) in [(&["list"][..], "c29"), (&["deleted", "list"], "c9")] {
        let before = server.log().len();
        let listed = client(&data, &replica, list);
        assert!(listed.status.success() && text(&listed).contains(shown), "{}", text(&listed));
        let log = server.log().split_off(before);
        let (one, many) = (executed(&log, &["get"]), executed(&log, &["get_many", "list", "list_to_the_end"]));
        // The heads of the log and the claims of the worker are no part of it; readiness asks for one record.
        assert!((1..=4).contains(&many) && one <= 1, "{list:?}: {one} single reads and {many} of many\n{log}");
    }
}
