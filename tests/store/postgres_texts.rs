//! The texts of the driver by which its own errors are told from a lost connection: it has no other way to tell them.
//! `store/postgres/error.rs` reads these words; a driver that changes them fails here.

use super::postgres::shared;
use super::server;

/// The words that mean a mistake of ours, for which waiting does not help.
const OURS: [&str; 5] = ["serializing", "deserializing", "column", "parameters", "rows"];

fn is_ours(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    assert!(error.code().is_none(), "the server did not say this: {text}");
    OURS.iter().any(|word| text.contains(word))
}

#[tokio::test]
async fn mistakes_with_types_columns_and_parameters_have_these_words() {
    let client = server::connect(&shared().fresh().await).await;
    let row = client.query_one("SELECT 1::int8", &[]).await.unwrap();
    for error in [
        row.try_get::<_, String>(0).unwrap_err(),
        row.try_get::<_, i64>(7).unwrap_err(),
        row.try_get::<_, i64>("none").unwrap_err(),
        client.query("SELECT $1::int8", &[&"text"]).await.unwrap_err(),
        client.query("SELECT $1::int8", &[]).await.unwrap_err(),
        client.query_one("SELECT 1 WHERE false", &[]).await.unwrap_err(),
    ] {
        assert!(is_ours(&error), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_was_lost_has_none_of_them() {
    let url = shared().fresh().await;
    let (client, killer) = (server::connect(&url).await, server::connect(&url).await);
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    killer.query("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    // The first error may be the server's last word.
    let error = loop {
        match client.query("SELECT 1", &[]).await {
            Err(error) if error.code().is_none() => break error,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(!is_ours(&error), "{error}");
    let nowhere = tokio_postgres::connect("host=127.0.0.1 port=1 user=u dbname=d", tokio_postgres::NoTls).await;
    assert!(nowhere.err().is_some_and(|error| !is_ours(&error)));
}
