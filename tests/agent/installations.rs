//! What the server knows of the installations of agents.

use crate::peers::until;
use crate::world::World;
use serde_json::Value;

fn listed(world: &World) -> Value {
    let answer: Value = serde_json::from_str(&world.done(&["installations", "web", "--output", "json"])).unwrap();
    answer["installations"].clone()
}

#[tokio::test]
async fn hosts_say_which_version_they_have_and_how_it_was_taken() {
    let mut world = World::start().await;
    let config = "host = 'web-1'\n[[certificate]]\nname = 'web'\n\
                  only_if = ['sh', '-c', 'test ! -e FOLDER/refuse || { echo refused >&2; exit 2; }']\n\
                  reload = ['sh', '-c', 'test -e FOLDER/works || { echo not yet >&2; exit 3; }']\n\
                  [[certificate.output]]\nkey = 'web.key'\ncert = 'web.pem'\n";
    world.configure(config);
    world.start_agent();
    until("the failed reload is known", || async {
        let web = &listed(&world)[0];
        web["state"] == "RELOAD_FAILED" && web["message"].as_str().is_some_and(|said| said.ends_with("3: not yet"))
    })
    .await;
    assert_eq!(
        (&listed(&world)[0]["host"], &listed(&world)[0]["certificate_version"]),
        (&Value::from("web-1"), &Value::from(world.newest("web")))
    );
    std::fs::write(world.file("works"), "").unwrap();
    until("the reload is known", || async { listed(&world)[0]["state"] == "INSTALLED" }).await;
    assert_eq!((&listed(&world)[0]["message"], &listed(&world)[0]["newest"]), (&Value::from(""), &Value::from(true)));
    std::fs::write(world.file("refuse"), "").unwrap();
    world.renew("web");
    until("the refusal is known", || async { listed(&world)[0]["state"] == "REFUSED" }).await;
    let text = world.done(&["installations", "web"]);
    assert!(text.contains("0 of 1 hosts have the newest version") && text.contains("refused"), "{text}");
    std::fs::remove_file(world.file("refuse")).unwrap();
    // The server was away, and is told afterwards.
    world.stop_agent();
    world.stop_server();
    world.start_agent();
    world.start_server().await;
    until("the newest is known", || async {
        world.done(&["installations", "web"]).contains("1 of 1 hosts have the newest version")
    })
    .await;
    // What hosts said goes with the certificate.
    world.stop_agent();
    for command in ["delete", "purge"] {
        world.done(&[command, "web"]);
    }
    until("the name is free", || async {
        let policy = ["--issuer", "Self", "--subject", "CN=x", "--san", "web.example", "--wait"];
        world.cli(&[&["create", "web"], policy.as_slice()].concat()).status.success()
    })
    .await;
    assert_eq!(listed(&world), Value::Array(Vec::new()));
}
