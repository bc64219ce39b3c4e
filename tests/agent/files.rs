//! The files of a certificate: their forms, their owners and modes, and that a new version is in them at once.

use crate::peers::until;
use crate::world::{World, pair, text};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// The configuration that most begin with, as it stands but for its places and its program.
const SMALL: &str = r#"
[[certificate]]
name = "web"
reload = ["sh", "-c", "echo $CERTMINT_CERTIFICATE $CERTMINT_VERSION >> FOLDER/reloads"]
[[certificate.output]]
fullchain = "FOLDER/tls/web.pem"
key = "FOLDER/tls/web.key"
"#;

fn mode(world: &World, file: &str) -> u32 {
    world.file(file).metadata().unwrap().mode() & 0o7777
}

#[tokio::test]
async fn a_new_version_is_in_the_files_and_the_reload_was_run_once() {
    let world = World::with_agent(SMALL).await;
    world.installed("web").await;
    let (chain, key) = (world.file("tls/web.pem"), world.file("tls/web.key"));
    assert_eq!(pair(&chain, &key).unwrap(), world.leaf("web"));
    assert_eq!((mode(&world, "tls/web.pem"), mode(&world, "tls/web.key")), (0o644, 0o600));
    let first = world.newest("web");
    until("the stream is open", || async { world.status()["connected"] == true }).await;
    world.renew("web");
    let begun = Instant::now();
    world.installed("web").await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(60), "not by the stream: {took:?}; a look comes after an hour");
    assert_eq!(pair(&chain, &key).unwrap(), world.leaf("web"));
    let second = world.newest("web");
    assert_eq!(world.read("reloads"), format!("web {first}\nweb {second}\n"));
    // The version before stays beside, and nothing else.
    let mut names: Vec<String> =
        world.file("tls").read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, [".web.key.certmint-old", ".web.pem.certmint-old", "web.key", "web.pem"]);
    assert_eq!(mode(&world, "tls/.web.key.certmint-old"), 0o600);
}

#[tokio::test]
async fn every_form_has_its_owner_and_mode_after_every_write() {
    // Only root gives files to a group that is not its own.
    let own = std::fs::metadata("/proc/self").unwrap();
    let group = if own.uid() == 0 { 12_345 } else { own.gid() };
    let config = r#"
[[certificate]]
name = "web"
[[certificate.output]]
cert = "out/cert.pem"
chain = "out/chain.pem"
combined = "out/combined.pem"
pfx = "out/web.pfx"
pfx_password_file = "password"
mode = "0640"
group = "GROUP"
[[certificate.output]]
directory = "out/tree"
pfx_password_file = "password"
"#;
    let world = World::with_agent(&config.replace("GROUP", &group.to_string())).await;
    std::fs::write(world.file("password"), "geheim\nnot this\n").unwrap();
    for round in 0..2 {
        if round > 0 {
            // What somebody changed is changed back.
            std::fs::set_permissions(world.file("out/web.pfx"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
                .unwrap();
            world.renew("web");
        }
        world.installed("web").await;
        for file in ["cert.pem", "chain.pem", "combined.pem", "web.pfx"] {
            let facts = world.file("out").join(file).metadata().unwrap();
            assert_eq!((facts.mode() & 0o7777, facts.gid()), (0o640, group), "{file}");
        }
        assert_eq!(mode(&world, "out/tree/current/key.pem"), 0o600);
        assert_eq!(mode(&world, "out/tree/current/fullchain.pem"), 0o644);
        let combined = world.file("out/combined.pem");
        assert_eq!(pair(&combined, &combined).unwrap(), world.leaf("web"));
        let tree = world.file("out/tree/current");
        assert_eq!(pair(&tree.join("fullchain.pem"), &tree.join("key.pem")).unwrap(), world.leaf("web"));
        for pfx in [world.file("out/web.pfx"), tree.join("bundle.pfx")] {
            let opened = Command::new("openssl")
                .args(["pkcs12", "-nodes", "-passin", "pass:geheim", "-in"])
                .arg(&pfx)
                .output()
                .unwrap();
            assert!(opened.status.success(), "{}", text(&opened));
            let pem = world.file("opened.pem");
            std::fs::write(&pem, opened.stdout).unwrap();
            assert_eq!(pair(&pem, &pem).unwrap(), world.leaf("web"));
            let closed =
                Command::new("openssl").args(["pkcs12", "-nodes", "-passin", "pass:x", "-in"]).arg(&pfx).output();
            assert!(!closed.unwrap().status.success());
        }
    }
    // The version before, and no older one.
    world.renew("web");
    world.installed("web").await;
    let versions = world.file("out/tree/versions");
    until("older versions are removed", || async { versions.read_dir().unwrap().count() == 2 }).await;
}

#[tokio::test]
async fn files_that_somebody_removed_or_changed_come_back() {
    let world = World::with_agent(&format!("look_every = '1s'\n{SMALL}")).await;
    world.installed("web").await;
    std::fs::remove_file(world.file("tls/web.pem")).unwrap();
    let (chain, key) = (world.file("tls/web.pem"), world.file("tls/web.key"));
    until("the file is back", || async { pair(&chain, &key).is_some() }).await;
    std::fs::write(&key, "spoilt").unwrap();
    until("the key is back", || async { world.read("tls/web.key").contains("PRIVATE KEY") }).await;
    assert_eq!(pair(&chain, &key).unwrap(), world.leaf("web"));
}

#[tokio::test]
async fn a_key_that_nobody_gets_and_a_place_that_is_taken_are_told_and_nothing_is_written() {
    let mut world = World::start().await;
    let policy = ["--issuer", "Self", "--subject", "CN=x", "--san", "x.example", "--not-exportable"];
    world.done(&[&["create", "closed", "--wait"], policy.as_slice()].concat());
    std::fs::create_dir_all(world.file("taken/web.key")).unwrap();
    world.configure(
        r#"
[[certificate]]
name = "closed"
[[certificate.output]]
key = "closed.key"
cert = "closed.pem"
[[certificate]]
name = "web"
[[certificate.output]]
cert = "taken/web.pem"
key = "taken/web.key"
"#,
    );
    world.start_agent();
    until("both are told", || async {
        let status = world.status().to_string();
        status.contains("hands out no key of closed") && status.contains("taken/web.key: it is there")
    })
    .await;
    assert!(!world.file("closed.pem").exists() && !world.file("taken/web.pem").exists());
    // Another place, and the same agent.
    std::fs::remove_dir(world.file("taken/web.key")).unwrap();
    world.installed("web").await;
    let once = world.cli(&["agent", "--once"]);
    assert!(text(&once).contains("another agent works with"), "{}", text(&once));
    world.stop_agent();
    let once = world.cli(&["agent", "--once", "--timeout", "2s"]);
    assert!(text(&once).contains("closed: ") && once.status.code() == Some(1), "{}", text(&once));
}

#[tokio::test]
async fn what_cannot_be_written_is_tried_again_and_its_key_was_asked_for_once() {
    let mut world = World::start().await;
    std::fs::write(world.file("out"), "a file where a folder has to be").unwrap();
    world.configure("[[certificate]]\nname = 'web'\n[[certificate.output]]\ncombined = 'FOLDER/out/web.pem'\n");
    world.start_agent();
    let failures = |world: &World| world.read("agent.log").matches("the newest version is not installed").count();
    until("three attempts", || async { failures(&world) >= 3 }).await;
    std::fs::remove_file(world.file("out")).unwrap();
    world.installed("web").await;
    assert_eq!(pair(&world.file("out/web.pem"), &world.file("out/web.pem")).unwrap(), world.leaf("web"));
    let asked = world.done(&["audit", "search", "--action", "GetSecret"]);
    assert_eq!(asked.matches("GetSecret").count(), 1, "{asked}");
}
