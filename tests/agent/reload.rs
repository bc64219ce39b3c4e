//! What uses the files: checks before it is told, reloads that fail, and signals.

use crate::peers::until;
use crate::world::{World, pair, text};

fn with(more: &str) -> String {
    format!(
        "[[certificate]]\nname = 'web'\n{more}\n[[certificate.output]]\nfullchain = 'web.pem'\nkey = 'web.key'\n\
         [[certificate.output]]\ndirectory = 'tree'\n"
    )
}

#[tokio::test]
async fn a_reload_that_fails_is_told_and_tried_again_over_restarts() {
    let mut world =
        World::with_agent(&with("reload = ['sh', '-c', 'echo tried >> FOLDER/tries; test -e FOLDER/works']")).await;
    until("the reload fails twice", || async { world.read("tries").lines().count() > 1 }).await;
    until("it is told", || async {
        let status = world.status();
        let web = &status["certificates"][0];
        web["reload"] == "failed"
            && web["ready"] == false
            && web["problem"].as_str().is_some_and(|said| said.contains("the reload failed: sh: exit status: 1"))
    })
    .await;
    // The files are the new ones all the same.
    assert_eq!(pair(&world.file("web.pem"), &world.file("web.key")).unwrap(), world.leaf("web"));
    world.stop_agent();
    std::fs::write(world.file("works"), "").unwrap();
    world.start_agent();
    world.installed("web").await;
    let tries = world.read("tries").lines().count();
    // Done is done: another start tells nobody.
    world.stop_agent();
    std::fs::remove_file(world.file(".certmint-agent/status.json")).unwrap();
    world.start_agent();
    world.installed("web").await;
    assert_eq!(world.read("tries").lines().count(), tries);
}

#[tokio::test]
async fn a_version_that_only_if_refuses_is_taken_out_again() {
    let world = World::with_agent(&with(
        "only_if = ['sh', '-c', 'test ! -e FOLDER/refuse || { echo no >&2; exit 9; }']\n\
         reload = ['sh', '-c', 'echo x >> FOLDER/reloads']",
    ))
    .await;
    world.installed("web").await;
    let first = world.leaf("web");
    std::fs::write(world.file("refuse"), "").unwrap();
    world.renew("web");
    until("the version is refused", || async {
        let status = world.status();
        let web = &status["certificates"][0];
        web["problem"].as_str().is_some_and(|said| said.contains("only_if refused version") && said.contains("9: no"))
    })
    .await;
    let tree = world.file("tree/current");
    let places = [(world.file("web.pem"), world.file("web.key")), (tree.join("fullchain.pem"), tree.join("key.pem"))];
    // It is tried again meanwhile; without the program's consent for no longer than the program runs.
    until("the files before are back", || async {
        places.iter().all(|(chain, key)| {
            std::fs::read(chain).is_ok_and(|pem| {
                use rustls::pki_types::{CertificateDer, pem::PemObject};
                CertificateDer::from_pem_slice(&pem).is_ok_and(|leaf| *leaf == *first) && key.exists()
            })
        })
    })
    .await;
    assert_eq!(world.read("reloads"), "x\n");
    std::fs::remove_file(world.file("refuse")).unwrap();
    let refreshed = world.cli(&["agent", "refresh", "web"]);
    assert!(refreshed.status.success(), "{}", text(&refreshed));
    world.installed("web").await;
    for (chain, key) in &places {
        assert_eq!(pair(chain, key).unwrap(), world.leaf("web"));
    }
    assert!(world.read("reloads").lines().count() > 1);
}

#[tokio::test]
async fn the_first_version_that_is_refused_leaves_nothing() {
    let world = World::with_agent(&with("only_if = ['false']")).await;
    until("the version is refused", || async {
        world.status()["certificates"][0]["problem"].as_str().is_some_and(|said| said.contains("only_if refused"))
    })
    .await;
    until("no file is left", || async {
        ["web.pem", "web.key", "tree/current"].iter().all(|file| world.file(file).symlink_metadata().is_err())
    })
    .await;
}

#[tokio::test]
async fn a_process_is_told_by_a_signal_and_a_stale_pid_file_is_waited_for() {
    let world = World::with_agent(&with("signal = { pid_file = 'pid', name = 'USR1' }")).await;
    until("the pid file is missed", || async {
        world.status()["certificates"][0]["problem"].as_str().is_some_and(|said| said.contains("pid: No such file"))
    })
    .await;
    let script = format!(
        "trap 'echo told > {0}/told; exit' USR1; echo $$ > {0}/pid.new; mv {0}/pid.new {0}/pid; while :; do sleep 0.1; done",
        world.file("").display()
    );
    let mut process = std::process::Command::new("sh").args(["-c", &script]).spawn().unwrap();
    world.installed("web").await;
    until("the process was told", || async { world.read("told") == "told\n" }).await;
    process.wait().unwrap();
}

#[tokio::test]
async fn a_refresh_installs_again_and_says_what_is_wrong() {
    let mut world = World::with_agent(&with("reload = ['sh', '-c', 'echo x >> FOLDER/reloads']")).await;
    world.installed("web").await;
    let said = world.done(&["agent", "refresh", "WEB"]);
    assert!(said.contains(&world.newest("web")), "{said}");
    assert_eq!(world.read("reloads"), "x\nx\n");
    let unknown = world.cli(&["agent", "refresh", "mail"]);
    assert!(text(&unknown).contains("the configuration has no such certificate"), "{}", text(&unknown));
    world.stop_server();
    let away = world.cli(&["agent", "refresh", "web"]);
    assert_eq!(away.status.code(), Some(1), "{}", text(&away));
    assert_eq!(world.read("reloads"), "x\nx\n");
    world.stop_agent();
    let none = world.cli(&["agent", "refresh", "web"]);
    assert!(text(&none).contains("no agent answers") && none.status.code() == Some(7), "{}", text(&none));
}

#[tokio::test]
async fn a_refresh_waits_no_longer_than_it_is_told() {
    let world = World::with_agent(&with(
        "timeout = '2m'\nonly_if = ['sh', '-c', 'echo x >> FOLDER/checks; until test -e FOLDER/go; do sleep 0.05; done']",
    ))
    .await;
    until("the check runs", || async { world.read("checks") == "x\n" }).await;
    let late = world.cli(&["agent", "refresh", "web", "--timeout", "1s"]);
    // Before anything is asserted: it would go on for long.
    std::fs::write(world.file("go"), "").unwrap();
    assert_eq!(late.status.code(), Some(7), "{}", text(&late));
    assert!(text(&late).contains("no answer from the agent after 1s"), "{}", text(&late));
    world.installed("web").await;
}
