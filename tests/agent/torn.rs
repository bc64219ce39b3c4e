//! A reader that loads the pair all the time while versions change never has the key of another certificate.

use crate::world::{World, pair_of};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// As a program does that resolves the link once.
fn load_tree(tree: &Path) -> Option<Vec<u8>> {
    let folder = tree.join(std::fs::read_link(tree.join("current")).ok()?);
    // A version before the one before is removed: such a reader looks again.
    let (chain, key) = (std::fs::read(folder.join("fullchain.pem")).ok()?, std::fs::read(folder.join("key.pem")).ok()?);
    Some(pair_of(&chain, &key))
}

fn load_combined(file: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    Some(pair_of(&bytes, &bytes))
}

#[tokio::test]
async fn a_reader_never_sees_a_torn_pair() {
    let world = World::with_agent(
        "[[certificate]]\nname = 'web'\n[[certificate.output]]\ndirectory = 'tree'\n[[certificate.output]]\ncombined = 'web.pem'\n",
    )
    .await;
    world.installed("web").await;
    let (tree, combined, over) = (world.file("tree"), world.file("web.pem"), AtomicBool::new(false));
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut seen, mut loads) = (std::collections::BTreeSet::new(), 0_u64);
            while !over.load(Relaxed) {
                loads += u64::from(load_tree(&tree).map(|leaf| seen.insert(leaf)).is_some());
                loads += u64::from(load_combined(&combined).map(|leaf| seen.insert(leaf)).is_some());
                std::thread::yield_now();
            }
            (seen.len(), loads)
        });
        let mut leaves = vec![world.leaf("web")];
        for _ in 0..10 {
            world.renew("web");
            let leaf = world.leaf("web");
            // Every version is seen by the reader: it is waited for in the files themselves.
            let begun = std::time::Instant::now();
            while load_tree(&tree).as_ref() != Some(&leaf) || load_combined(&combined).as_ref() != Some(&leaf) {
                assert!(begun.elapsed().as_secs() < 120, "not installed: {}", world.read("agent.log"));
                std::thread::yield_now();
            }
            leaves.push(leaf);
        }
        over.store(true, Relaxed);
        reader.join().unwrap()
    });
    assert!(seen.0 >= 2 && seen.1 > 50, "the reader did not see the changes: {seen:?}");
}
