//! kill -9 of the agent at any moment: afterwards there is a whole pair, and the newest one soon.

use crate::peers::until;
use crate::world::{World, pair};
use std::time::Duration;

const CONFIG: &str = r#"
[[certificate]]
name = "web"
only_if = ["true"]
reload = ["sh", "-c", "echo $CERTMINT_VERSION > FOLDER/told.$$ && mv FOLDER/told.$$ FOLDER/told"]
[[certificate.output]]
fullchain = "web.pem"
key = "web.key"
[[certificate.output]]
directory = "tree"
"#;

#[tokio::test]
async fn after_a_kill_at_any_moment_the_pair_is_whole_and_its_program_was_told() {
    let rounds = std::env::var("AGENT_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(12_u64);
    let mut world = World::with_agent(CONFIG).await;
    world.installed("web").await;
    let tree = world.file("tree/current");
    for round in 0..rounds {
        // From before the event until long after the reload, a different moment in each round.
        let after = Duration::from_micros(round * 7_919 % 60_000);
        let renewed = std::thread::scope(|scope| {
            let renewal = scope.spawn(|| world.renew("web"));
            renewal.join()
        });
        renewed.unwrap();
        std::thread::sleep(after);
        world.stop_agent();
        // The link changes at one moment, whatever is interrupted.
        assert!(pair(&tree.join("fullchain.pem"), &tree.join("key.pem")).is_some(), "round {round}");
        world.start_agent();
        world.installed("web").await;
        let leaf = world.leaf("web");
        assert_eq!(pair(&world.file("web.pem"), &world.file("web.key")).unwrap(), leaf, "round {round}");
        assert_eq!(pair(&tree.join("fullchain.pem"), &tree.join("key.pem")).unwrap(), leaf, "round {round}");
        assert_eq!(world.read("told").trim(), world.newest("web"), "round {round}");
    }
    // How often there was something to finish; the rest was before or after it.
    println!("{rounds} kills, {} in the midst", world.read("agent.log").matches("was interrupted; it goes on").count());
    let left: Vec<_> = world
        .file("")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("certmint-new"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The check waits for `go` and then succeeds unless there is `refuse`.
const CHECKED: &str = r#"
[[certificate]]
name = "web"
timeout = "1h"
only_if = ["sh", "-c", "echo x >> FOLDER/checks; until test -e FOLDER/go; do sleep 0.05; done; test ! -e FOLDER/refuse"]
[[certificate.output]]
fullchain = "web.pem"
key = "web.key"
[[certificate.output]]
directory = "tree"
"#;

#[tokio::test]
async fn a_kill_while_the_check_runs_is_finished_or_undone_without_the_server() {
    for refuse in [false, true] {
        let mut world = World::start().await;
        world.configure(CHECKED);
        std::fs::write(world.file("go"), "").unwrap();
        world.start_agent();
        world.installed("web").await;
        let first = world.leaf("web");
        std::fs::remove_file(world.file("go")).unwrap();
        world.renew("web");
        let second = world.leaf("web");
        until("the check of the second version runs", || async { world.read("checks") == "x\nx\n" }).await;
        world.stop_agent();
        world.stop_server();
        if refuse {
            std::fs::write(world.file("refuse"), "").unwrap();
        }
        std::fs::write(world.file("go"), "").unwrap();
        world.start_agent();
        until("the check was asked again", || async { world.read("checks").lines().count() > 2 }).await;
        let expected = if refuse { &first } else { &second };
        let tree = world.file("tree/current");
        until("the files are those that it decided on", || async {
            [(world.file("web.pem"), world.file("web.key")), (tree.join("fullchain.pem"), tree.join("key.pem"))]
                .iter()
                .all(|(chain, key)| leaf_of(chain).as_ref() == Some(expected) && key.exists())
        })
        .await;
        for (chain, key) in [("web.pem", "web.key"), ("tree/current/fullchain.pem", "tree/current/key.pem")] {
            assert_eq!(pair(&world.file(chain), &world.file(key)).as_ref(), Some(expected), "refused: {refuse}");
        }
        until("it is told", || async {
            let web = &world.status()["certificates"][0];
            web["problem"].as_str().is_some_and(|said| said.contains("only_if refused")) == refuse
        })
        .await;
    }
}

#[tokio::test]
async fn places_that_are_gone_do_not_keep_those_of_another_configuration_waiting() {
    let mut world = World::start().await;
    world.configure(&CHECKED.replace("\"tree\"", "\"gone/tree\""));
    world.start_agent();
    until("the check runs", || async { world.read("checks") == "x\n" }).await;
    world.stop_agent();
    std::fs::remove_dir_all(world.file("gone")).unwrap();
    std::fs::write(world.file("gone"), "").unwrap();
    std::fs::write(world.file("go"), "").unwrap();
    world.configure(CHECKED);
    world.start_agent();
    world.installed("web").await;
    let tree = world.file("tree/current");
    assert_eq!(pair(&tree.join("fullchain.pem"), &tree.join("key.pem")).unwrap(), world.leaf("web"));
}

/// Without its key, which may be on its way.
fn leaf_of(chain: &std::path::Path) -> Option<Vec<u8>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    Some(CertificateDer::from_pem_slice(&std::fs::read(chain).ok()?).ok()?.to_vec())
}
