//! `certmint reseal` and `certmint keys`: what is sent and what is printed.

use crate::fake::Fake;
use certmint::proto::v1::{MasterKey, MasterKeys, Replica, Reseal, ResealState, UnresealedRecord};
use std::time::Duration;
use tokio::time::Instant;

fn keys(state: ResealState, old: Option<i64>) -> MasterKeys {
    let key = |id: &str, newest, records| MasterKey { id: id.into(), known: true, newest, records };
    MasterKeys {
        keys: vec![key("old", false, old), key("new", true, Some(41))],
        count_time: old.map(|_| prost_types::Timestamp { seconds: 1_796_000_000, nanos: 0 }),
        reseal: Some(Reseal {
            state: state.into(),
            master_key_id: "new".into(),
            pass: 2,
            looked_at: 41,
            resealed: 40,
            principal: "token:admin".into(),
            end_time: (state != ResealState::Running).then(prost_types::Timestamp::default),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reseal_begins_and_says_how_it_stands() {
    let fake = Fake::start().await;
    fake.part().master_keys.push_back(keys(ResealState::Running, None));
    let ended = fake.run(&["reseal"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!fake.part().resealed.pop().unwrap().counts_only);
    assert!(ended.out.contains("running, to new") && ended.out.contains("by token:admin"), "{}", ended.out);
    assert!(ended.out.contains("old         ?\n") && ended.out.contains("counted  never\n"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_wait_it_ends_when_the_work_has_and_says_which_key_can_go() {
    let fake = Fake::start().await;
    fake.part().master_keys = [keys(ResealState::Running, None), keys(ResealState::Done, Some(0))].into();
    let ended = fake.run(&["reseal", "--wait"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.out.contains("old         0        nothing in the store needs it; backups made with it do\n"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("new         41       encrypts\n"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_has_its_exit_code() {
    let fake = Fake::start().await;
    for (state, code) in [(ResealState::Incomplete, 5), (ResealState::Stopped, 6)] {
        fake.part().master_keys = [keys(state, Some(3))].into();
        let ended = fake.run(&["reseal", "--wait"]).await;
        assert_eq!(ended.code, code, "{ended:?}");
    }
    fake.part().master_keys = [keys(ResealState::Running, None)].into();
    let begun = Instant::now();
    let ended = fake.run(&["reseal", "--wait", "--timeout", "1s"]).await;
    assert!(ended.code == 7 && begun.elapsed() >= Duration::from_secs(1), "{ended:?}");
    assert!(ended.err.contains("it goes on without this command"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stayed_as_it_is_is_named_and_no_key_is_said_to_be_unused() {
    let fake = Fake::start().await;
    let mut now = keys(ResealState::Done, Some(0));
    let left = UnresealedRecord { key: "contacts/shop".into(), problem: "its code does not match".into() };
    now.unread_records = 2;
    now.keys.push(MasterKey { id: "lost".into(), known: false, newest: false, records: Some(1) });
    now.replicas.push(Replica { id: "ab12".into(), master_key_ids: vec!["old".into(), "new".into()] });
    let work = now.reseal.as_mut().unwrap();
    (work.damaged, work.unknown) = (1, 1);
    work.left.push(left);
    fake.part().master_keys.push_back(now);
    let ended = fake.run(&["keys", "status"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for line in [
        "no record that could be read needs it",
        "the server does not have it",
        "contacts/shop: its code does not match",
        "ab12 has old, new",
        "1 damaged, 1 not looked into",
    ] {
        assert!(ended.out.contains(line), "{line}: {}", ended.out);
    }
    assert!(ended.err.contains("1 records are damaged"), "{}", ended.err);
    let ended = fake.run(&["doctor"]).await;
    assert!(ended.code == 1 && ended.out.contains("fail  master keys: records need lost"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_replica_writes_with_is_not_said_to_be_unused() {
    let fake = Fake::start().await;
    let mut now = keys(ResealState::Done, Some(0));
    now.replicas.push(Replica { id: "ab12".into(), master_key_ids: vec!["new".into(), "old".into()] });
    fake.part().master_keys.push_back(now);
    let ended = fake.run(&["keys", "status"]).await;
    assert!(ended.out.contains("old         0        a replica writes with it\n"), "{}", ended.out);
    let ended = fake.run(&["doctor"]).await;
    assert!(ended.out.contains("ok    master keys: 2 known, new encrypts"), "{}", ended.out);
    assert!(!ended.out.contains("no record needs"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_is_waited_for_and_doctor_names_keys_that_nothing_needs() {
    let fake = Fake::start().await;
    fake.part().master_keys = [keys(ResealState::Running, None), keys(ResealState::Done, Some(0))].into();
    let ended = fake.run(&["keys", "status", "--count", "--output", "json"]).await;
    assert!(fake.part().resealed.pop().unwrap().counts_only);
    assert_eq!(ended.json()["master_keys"]["keys"][0]["records"], 0, "{ended:?}");
    let ended = fake.run(&["doctor"]).await;
    assert!(ended.out.contains("ok    master keys: 2 known, new encrypts; no record needs old"), "{}", ended.out);
}
