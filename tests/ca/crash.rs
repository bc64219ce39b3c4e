//! Killed between intent, signature and commit: every serial number that was signed is in the log, none twice, and the
//! number of a revocation list never goes back.

use crate::postgres::Postgres;
use crate::tools::openssl;
use crate::world::World;
use serde_json::Value;
use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

const KILLS: u64 = 6;

#[test]
fn after_kills_every_certificate_is_in_the_log_once_and_no_list_goes_back() {
    let mut world = World::start();
    kill_again_and_again(&mut world);
}

#[test]
fn the_same_over_two_replicas_on_postgresql() {
    let postgres = Postgres::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(postgres.fresh());
    let mut world = World::on_postgres(&url);
    kill_again_and_again(&mut world);
}

fn kill_again_and_again(world: &mut World) {
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    let revoked: Vec<String> = (0..KILLS).map(|round| format!("revoked-{round}")).collect();
    for name in &revoked {
        world.leaf(name, "corp", "");
    }
    let (_, authority) = world.authority("corp");
    let (_, mut number) = world.crl(&authority, 1);
    for round in 0..KILLS {
        // Creations and a revocation are under way when it dies.
        let children: Vec<_> = (0..4)
            .map(|it| {
                let words =
                    format!("create c{round}-{it} --subject CN=a.example --issuer corp --key-type ec --timeout 5s");
                let mut command = if it % 2 == 0 { world.command(&words) } else { world.command_to_second(&words) };
                command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
            })
            .chain([world
                .command_to_second(&format!("revoke {} --reason superseded", revoked[usize::try_from(round).unwrap()]))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()])
            .collect();
        std::thread::sleep(Duration::from_millis(60 * round + 40));
        match (world.has_second(), round % 3) {
            (true, 0) => world.crash_second(),
            (true, 1) => {
                world.crash_second();
                world.crash();
            }
            _ => world.crash(),
        }
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
    assert!(names.contains(&"revoked-0"));
    for name in names {
        let cer = world.json(&format!("get {name}"))["certificate"]["cer"].clone();
        let known = all.iter().filter(|it| it["cer"] == cer).count();
        assert!(cer == "" || known == 1, "{name}: {known}");
    }
    // What was revoked comes into a list, and stays there once it was.
    let list = world.json("ca issued --issuer corp --state revoked");
    for it in list["certificates"].as_array().unwrap() {
        let serial = it["serial"].as_str().unwrap().to_uppercase();
        world.eventually(|| {
            let (list, now) = world.crl(&authority, number);
            assert!(now >= number, "the number went from {number} to {now}");
            openssl(&format!("crl -in {list} -noout -text")).contains(&serial).then_some(())
        });
    }
}
