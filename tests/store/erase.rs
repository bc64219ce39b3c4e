//! What was deleted or replaced is in no file of the data folder any more: not in the database, not in its
//! write-ahead log, however the process ended.

use super::sqlite::{open, place};
use super::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Set for the child: the database in which it writes and deletes until it is killed.
const DATABASE: &str = "CERTMINT_TEST_ERASE_DATABASE";
/// Sizes of bodies: many in a page, so that pages are split and merged; few; and more than a page holds.
const SIZES: [&[usize]; 4] = [&[64, 96, 300], &[300, 500, 900, 1500], &[1500, 2500, 3500], &[200, 4000, 9000, 30_000]];

/// Writes, replaces and deletes at random, and remembers what must be gone.
struct Life {
    seed: TestRng,
    sizes: &'static [usize],
    living: BTreeMap<String, (Revision, String)>,
    gone: Vec<String>,
    made: u64,
}

impl Life {
    fn new(seed: u8, sizes: &'static [usize]) -> Self {
        let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        Self { seed, sizes, living: BTreeMap::new(), gone: Vec::new(), made: 0 }
    }

    fn random(&mut self, below: usize) -> usize {
        use proptest::prelude::Rng as _;
        self.seed.next_u32() as usize % below
    }

    /// A body that is told from every other one by its first bytes, and by its last ones.
    fn body(&mut self) -> (String, String) {
        self.made += 1;
        let mark = format!("<{}-{:016x}>", self.made, self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let size = self.sizes[self.random(self.sizes.len())];
        let body = mark.repeat(size.div_ceil(mark.len()));
        (mark, body)
    }

    /// One commit of a few writes.
    async fn step(&mut self, store: &dyn Store) {
        let mut batch = Batch::default();
        let mut written = Vec::new();
        for _ in 0..=self.random(3) {
            let (mark, body) = self.body();
            let place = self.random(self.living.len().max(1));
            let one = self.living.keys().nth(place).cloned();
            match one.filter(|key| batch.repeated_key().is_none() && !written.iter().any(|(one, _)| one == key)) {
                Some(key) if self.random(20) < 11 => {
                    let (revision, old) = self.living.remove(&key).unwrap();
                    self.gone.push(old);
                    if self.random(2) == 0 {
                        batch.deletes.push(delete(&key, revision));
                    } else {
                        batch.puts.push(change(&key, revision, &body));
                        written.push((key, mark));
                    }
                }
                _ => {
                    let key = format!("{:08x}", self.random(usize::MAX) ^ self.made as usize);
                    if self.living.contains_key(&key) || written.iter().any(|(one, _)| *one == key) {
                        continue;
                    }
                    batch.puts.push(new(&key, &body));
                    written.push((key, mark));
                }
            }
        }
        let revision = store.commit(batch).await.unwrap();
        self.living.extend(written.into_iter().map(|(key, mark)| (key, (revision, mark))));
    }

    async fn end(&mut self, store: &dyn Store) {
        while let Some((key, (revision, mark))) = self.living.pop_first() {
            store.commit(Batch { deletes: vec![delete(&key, revision)], ..Batch::default() }).await.unwrap();
            self.gone.push(mark);
        }
    }
}

/// Which of these texts stand in some file of the folder, and in which.
fn left_over(folder: &Path, gone: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let marks: std::collections::HashSet<&str> =
            text.split('<').filter_map(|part| part.split_once('>')).map(|(mark, _)| mark).collect();
        let of_file = gone.iter().filter(|mark| marks.contains(mark.trim_matches(['<', '>'])));
        found.extend(of_file.map(|mark| format!("{mark} in {}", path.file_name().unwrap().display())));
    }
    found
}

/// Waits until nothing is left, which the store does by itself.
async fn erased(folder: &Path, gone: &[String]) {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let left = left_over(folder, gone);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{} of {} are left: {:?}", left.len(), gone.len(), &left[..left.len().min(5)]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_is_deleted_or_replaced_is_erased_while_the_server_runs() {
    for (seed, sizes) in (1..).zip(SIZES) {
        let (folder, path) = place();
        let store = open(&path);
        let mut life = Life::new(seed, sizes);
        for _ in 0..1200 {
            life.step(&store).await;
        }
        assert!(life.gone.len() > 500 && life.living.len() > 100, "too little happened to say anything");
        erased(folder.path(), &life.gone).await;
        for (key, (_, mark)) in &life.living {
            assert!(body_of(&store, key).await.unwrap().starts_with(mark.as_str()), "{key} was harmed");
        }
        life.end(&store).await;
        erased(folder.path(), &life.gone).await;
    }
}

#[tokio::test]
async fn nothing_that_was_deleted_is_left_after_a_stop() {
    for (seed, sizes) in (11..).zip(SIZES) {
        let (folder, path) = place();
        let store = open(&path);
        let mut life = Life::new(seed, sizes);
        for _ in 0..600 {
            life.step(&store).await;
        }
        drop(store);
        assert_eq!(left_over(folder.path(), &life.gone), [""; 0]);
        let checked: String =
            Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(checked, "ok");
        let store = open(&path);
        for (key, (revision, mark)) in &life.living {
            let record = store.get(key).await.unwrap().unwrap();
            assert!(record.revision == *revision && record.body.starts_with(mark.as_bytes()), "{key} was harmed");
        }
    }
}

#[test]
fn nothing_that_was_deleted_is_left_when_the_server_runs_again_after_kill_9() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(path) = std::env::var_os(DATABASE) {
        let store = open(Path::new(&path));
        runtime.block_on(async {
            let mut life = Life::new(21, SIZES[1]);
            loop {
                let told = life.gone.len();
                life.step(&store).await;
                let mut out = std::io::stdout().lock();
                for mark in &life.gone[told..] {
                    writeln!(out, "gone {mark}").unwrap();
                }
                out.flush().unwrap();
            }
        });
    }
    let (folder, path) = place();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "erase::nothing_that_was_deleted_is_left_when_the_server_runs_again_after_kill_9",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DATABASE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut gone = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        gone.extend(line.unwrap().split_once("gone ").map(|(_, mark)| mark.to_owned()));
        if gone.len() == 400 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(!left_over(folder.path(), &gone).is_empty(), "the kill came too late to say anything");
    // At once after the start, before anything else is written.
    let store = open(&path);
    assert_eq!(left_over(folder.path(), &gone), [""; 0]);
    drop(store);
    assert_eq!(left_over(folder.path(), &gone), [""; 0]);
}

/// A file as the version before left it, and what it had deleted.
async fn of_the_version_before(path: &Path) -> Vec<String> {
    let mut life = Life::new(31, SIZES[1]);
    drop(open(path));
    let old = Connection::open(path).unwrap();
    old.execute_batch("ALTER TABLE meta DROP COLUMN remnants; PRAGMA user_version = 2; PRAGMA secure_delete = OFF;")
        .unwrap();
    for number in 0..300 {
        let (mark, body) = life.body();
        old.execute("INSERT INTO records (key, revision, body) VALUES (?1, 1, ?2)", (number, body)).unwrap();
        if number % 3 > 0 {
            life.gone.push(mark);
        }
    }
    old.execute_batch("DELETE FROM records WHERE CAST(key AS INTEGER) % 3 > 0").unwrap();
    old.close().unwrap();
    assert!(!left_over(path.parent().unwrap(), &life.gone).is_empty(), "the measure itself does not work");
    life.gone
}

#[tokio::test]
async fn a_file_of_an_earlier_version_is_written_anew_once() {
    let (folder, path) = place();
    let gone = of_the_version_before(&path).await;
    let store = open(&path);
    assert_eq!(left_over(folder.path(), &gone), [""; 0]);
    assert_eq!(store.list("", "", 1000).await.unwrap().len(), 100);
    drop(store);
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    drop(open(&path));
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
}

#[tokio::test]
async fn a_large_file_of_an_earlier_version_waits_for_the_operator() {
    let (folder, path) = place();
    let gone = of_the_version_before(&path).await;
    drop(Sqlite::open(&path, SqliteOptions { rewrite: 1000, ..SqliteOptions::default() }).unwrap());
    assert!(!left_over(folder.path(), &gone).is_empty());
    drop(Sqlite::open(&path, SqliteOptions { rewrite: u64::MAX, ..SqliteOptions::default() }).unwrap());
    assert_eq!(left_over(folder.path(), &gone), [""; 0]);
}

#[tokio::test]
async fn a_reader_of_an_old_state_only_delays_the_erasing() {
    let (folder, path) = place();
    let store = open(&path);
    let made = create(&store, "a", "<a secret>").await;
    let operator = Connection::open(&path).unwrap();
    operator.execute_batch("BEGIN; SELECT count(*) FROM records").unwrap();
    store.commit(Batch { deletes: vec![delete("a", made)], ..Batch::default() }).await.unwrap();
    let begun = Instant::now();
    for number in 0..20 {
        create(&store, &format!("k{number}"), "x").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "writers waited for a reader");
    let gone = ["<a secret>".to_owned()];
    assert!(!left_over(folder.path(), &gone).is_empty(), "the measure itself does not work");
    operator.execute_batch("COMMIT").unwrap();
    erased(folder.path(), &gone).await;
}

/// Makes every COMMIT fail that writes the record `poison`: a foreign key that is checked late.
const POISON: &str = "
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER poison AFTER INSERT ON records WHEN new.key = 'poison' BEGIN INSERT INTO child VALUES (1); END;
";

#[tokio::test]
async fn what_is_written_over_the_remains_of_a_large_transaction_that_failed_is_erased_too() {
    for (seed, sizes) in (41..).zip([SIZES[0], SIZES[1]]) {
        let (folder, path) = place();
        let store = open(&path);
        Connection::open(&path).unwrap().execute_batch(POISON).unwrap();
        let mut life = Life::new(seed, sizes);
        // Pages with room between their cells, in the file and not in the log.
        for _ in 0..300 {
            life.step(&store).await;
        }
        erased(folder.path(), &life.gone).await;
        // Larger than what SQLite keeps in memory of a transaction.
        let large = (0..32).map(|i| new(&format!("z{i}"), &"x".repeat(1 << 20)));
        let lost = store.commit(puts(large.chain([new("poison", "")]).collect::<Vec<_>>())).await;
        assert!(lost.is_err(), "the COMMIT was to fail");
        for _ in 0..300 {
            life.step(&store).await;
        }
        erased(folder.path(), &life.gone).await;
    }
}
