//! Measures group commit against plain inserts in the same run. Not part of the tests: run it by name with
//! `--ignored --nocapture`.

use super::postgres::open;
use super::server::{self, Postgres as Server};
use super::*;
use futures_util::future::join_all;
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(4);

/// How many times a second `act` gets done by `tasks` at once.
async fn rate(tasks: usize, act: impl AsyncFn(usize, usize)) -> f64 {
    let begun = Instant::now();
    let task = async |number: usize| {
        let mut done = 0;
        while begun.elapsed() < TIME {
            act(number, done).await;
            done += 1;
        }
        done
    };
    let done: usize = join_all((0..tasks).map(task)).await.into_iter().sum();
    done as f64 / begun.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn commits_a_second_beside_bare_inserts() {
    let own = Server::start_with(&["fsync=on"]);
    let body = vec![b'x'; 2000];
    let url = own.fresh().await;
    let store = open(&url).await;
    let bare_url = own.fresh().await;
    let admin = server::connect(&bare_url).await;
    admin
        .batch_execute(
            "CREATE TABLE records (key text PRIMARY KEY, revision bigint, due bigint, body bytea);
             CREATE TABLE events (revision bigserial PRIMARY KEY, at bigint, body bytea)",
        )
        .await
        .unwrap();
    for tasks in [1, 64] {
        let clients = join_all((0..tasks).map(|_| async {
            let client = server::connect(&bare_url).await;
            let sql =
                "WITH r AS (INSERT INTO records VALUES ($1, 1, NULL, $2)) INSERT INTO events (at, body) VALUES (1, $2)";
            let insert = client.prepare(sql).await.unwrap();
            (client, insert)
        }))
        .await;
        let bare = rate(tasks, async |number, i| {
            let (client, insert) = &clients[number];
            client.execute(insert, &[&format!("{tasks}/{number}/{i}"), &body]).await.unwrap();
        })
        .await;
        let ours = rate(tasks, async |number, i| {
            let put = Put { body: body.clone(), ..new(&format!("{tasks}/{number}/{i}"), "") };
            store.commit(Batch { events: vec![body.clone()], ..puts([put]) }).await.unwrap();
        })
        .await;
        println!("{tasks:3} tasks: store {ours:7.0} commits/s, bare inserts {bare:7.0}/s, ratio {:.2}", ours / bare);
    }
    let reads = rate(64, async |number, _| {
        store.get(&format!("64/{number}/0")).await.unwrap().unwrap();
    })
    .await;
    println!(" 64 tasks: store {reads:7.0} reads/s");
}
