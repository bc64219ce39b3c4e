//! The server is away, comes back, or never was there; and what the agent says of itself.

use crate::peers::until;
use crate::ports::free_port;
use crate::world::{World, pair, text};
use std::io::{Read, Write};
use std::net::TcpStream;

const SMALL: &str = "[[certificate]]\nname = 'web'\n[[certificate.output]]\nfullchain = 'web.pem'\nkey = 'web.key'\n";

/// The status and the body.
fn get(port: u16, path: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return (0, String::new()) };
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    if stream.write_all(request.as_bytes()).is_err() || stream.read_to_string(&mut answer).is_err() {
        return (0, String::new());
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or_default(), body.to_owned())
}

#[tokio::test]
async fn files_stay_while_the_server_is_away_and_what_was_missed_comes_with_it() {
    let mut world = World::with_agent(SMALL).await;
    world.installed("web").await;
    let first = world.leaf("web");
    until("the stream is open", || async { world.status()["connected"] == true }).await;
    world.stop_server();
    until("the agent knows", || async { world.status()["connected"] == false }).await;
    let files = (world.file("web.pem"), world.file("web.key"));
    assert_eq!(pair(&files.0, &files.1).unwrap(), first);
    // It starts without the server, too.
    world.stop_agent();
    world.start_agent();
    until("it runs on", || async { world.status()["ready"] == true && world.status()["connected"] == false }).await;
    world.start_server().await;
    world.renew("web");
    world.installed("web").await;
    assert_eq!(pair(&files.0, &files.1).unwrap(), world.leaf("web"));
    until("the stream is open again", || async { world.status()["connected"] == true }).await;
}

#[tokio::test]
async fn probes_and_metrics_say_how_it_stands() {
    let port = free_port();
    let world =
        World::with_agent(&format!("listen = '127.0.0.1:{port}'\n{SMALL}{}", SMALL.replace("web", "mail"))).await;
    world.installed("web").await;
    assert_eq!(get(port, "/livez"), (200, "ok\n".to_owned()));
    until("the other is not there", || async { get(port, "/readyz").1.contains("not found") }).await;
    assert_eq!(get(port, "/readyz").0, 503);
    world.issue("mail");
    world.installed("mail").await;
    until("both are ready", || async { get(port, "/readyz").0 == 200 }).await;
    until("the stream is counted", || async { get(port, "/metrics").1.contains("certmint_agent_connected 1") }).await;
    let metrics = get(port, "/metrics").1;
    for line in [
        "certmint_agent_installations_total{outcome=\"installed\"} 2",
        "certmint_agent_certificate_expiry_timestamp_seconds{vault=\"\",certificate=\"mail\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}:\n{metrics}");
    }
}

#[tokio::test]
async fn once_installs_everything_and_exits() {
    let mut world = World::start().await;
    world.configure(&format!("{SMALL}reload = ['sh', '-c', 'echo x >> FOLDER/reloads']\n").replace(
        "[[certificate.output]]\nfullchain = 'web.pem'\nkey = 'web.key'\nreload = ['sh', '-c', 'echo x >> FOLDER/reloads']",
        "reload = ['sh', '-c', 'echo x >> FOLDER/reloads']\n[[certificate.output]]\nfullchain = 'web.pem'\nkey = 'web.key'",
    ));
    for _ in 0..2 {
        world.done(&["agent", "--once", "--config", "agent.toml"]);
        assert_eq!(pair(&world.file("web.pem"), &world.file("web.key")).unwrap(), world.leaf("web"));
        assert_eq!(world.read("reloads"), "x\n");
        assert_eq!(world.status()["ready"], true);
    }
    // It waits for a version that is not there yet, but not for ever.
    world.configure(&SMALL.replace("web", "mail"));
    let late = world.cli(&["agent", "--once", "--timeout", "2s"]);
    assert!(
        late.status.code() == Some(1) && text(&late).contains("not installed within 2 s: mail: "),
        "{}",
        text(&late)
    );
    world.stop_server();
    let away = world.cli(&["agent", "--once", "--timeout", "2s"]);
    assert!(text(&away).contains("mail: cannot connect to https://localhost"), "{}", text(&away));
    // Nobody knows whether what is installed is the newest.
    world.configure(SMALL);
    let unknown = world.cli(&["agent", "--once", "--timeout", "2s"]);
    assert!(unknown.status.code() == Some(1), "{}", text(&unknown));
    assert!(text(&unknown).contains("web: cannot connect to https://localhost"), "{}", text(&unknown));
}

#[tokio::test]
async fn an_initial_sync_that_is_required_and_fails_ends_the_agent() {
    let world = World::start().await;
    world.configure(&format!(
        "require_initial_sync = true\ninitial_sync_timeout = '2s'\n{}",
        SMALL.replace("web", "no")
    ));
    let ended = world.cli(&["agent"]);
    assert!(
        ended.status.code() == Some(1) && text(&ended).contains("not installed within 2 s: no: "),
        "{}",
        text(&ended)
    );
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_in_words() {
    let world = World::start().await;
    world.configure("certificates = []\n");
    let ended = world.cli(&["agent"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended).contains("line 3, column 1, certificates: unknown field"), "{}", text(&ended));
    // Of the same vault, which one of them names.
    let other = SMALL.replace("name = 'web'", "name = 'WEB'\nvault = 'team-a'").replace("'web.", "'other.");
    world.configure(&format!("vault = 'team-a'\n{SMALL}{other}"));
    let ended = world.cli(&["agent", "--once"]);
    assert_eq!(ended.status.code(), Some(2), "{}", text(&ended));
    assert!(text(&ended).contains("WEB of the vault team-a is there twice"), "{}", text(&ended));
}
