//! Killed between intent, signature and commit: every serial number that was signed is in the log, none twice, and the
//! number of a revocation list never goes back.

use crate::world::World;
use serde_json::Value;
use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

const KILLS: u64 = 6;

#[test]
fn after_kills_every_certificate_is_in_the_log_once_and_no_list_goes_back() {
    let mut world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    world.leaf("first", "corp", "");
    let (_, authority) = world.authority("corp");
    let (_, mut number) = world.crl(&authority, 1);
    for round in 0..KILLS {
        // Creations and a revocation are under way when it dies.
        let children: Vec<_> = (0..4)
            .map(|it| {
                let words =
                    format!("create c{round}-{it} --subject CN=a.example --issuer corp --key-type ec --timeout 5s");
                world.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
            })
            .chain([world
                .command("revoke first --reason superseded")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()])
            .collect();
        std::thread::sleep(Duration::from_millis(60 * round + 40));
        world.crash();
        for mut child in children {
            child.wait().unwrap();
        }
        let (_, now) = world.crl(&authority, number);
        assert!(now >= number, "the number went from {number} to {now}");
        number = now;
    }
    // What is open comes to its end.
    let log: Value = world.eventually(|| {
        let log = world.json("ca issued --issuer corp");
        (log["summary"]["in_progress"] == 0).then_some(log)
    });
    let all = log["certificates"].as_array().unwrap();
    let serials: HashSet<&str> = all.iter().map(|it| it["serial"].as_str().unwrap()).collect();
    assert_eq!(serials.len(), all.len(), "a serial number stands there twice");
    let summary = &log["summary"];
    let sum = summary["issued"].as_u64().unwrap() + summary["abandoned"].as_u64().unwrap();
    assert_eq!(summary["asked"].as_u64().unwrap(), sum, "{summary}");
    // Every certificate of the vault is in the log, with its bytes.
    let list = world.json("list");
    let names: Vec<&str> =
        list["certificates"].as_array().unwrap().iter().map(|it| it["certificate_name"].as_str().unwrap()).collect();
    assert!(names.contains(&"first"));
    for name in names {
        let cer = world.json(&format!("get {name}"))["certificate"]["cer"].clone();
        let known = all.iter().filter(|it| it["cer"] == cer).count();
        assert!(cer == "" || known == 1, "{name}: {known}");
    }
}
