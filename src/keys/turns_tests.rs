//! Tests of the queue: order of turns, bounds, and what happens to jobs that are late or whose caller has gone. Time is
//! a parameter, so nothing depends on how fast the machine is.

use super::*;

const BOUNDS: Bounds = Bounds { jobs: 100, time: Duration::from_secs(60), share: Duration::from_secs(45) };

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn named(name: &str) -> Owner {
    Owner::Principal(name.into())
}

/// A queue for one server, and its clock.
struct Run {
    turns: Turns<String>,
    now: Instant,
    bounds: Bounds,
    made: usize,
}

impl Run {
    fn new() -> Self {
        Self::bounded(BOUNDS)
    }

    fn bounded(bounds: Bounds) -> Self {
        Self { turns: Turns::default(), now: Instant::now(), bounds, made: 0 }
    }

    /// Asks for a job of so many seconds; gives its id, and the jobs that were displaced.
    fn ask_by(
        &mut self,
        name: &str,
        cost: Duration,
        patience: Option<Duration>,
    ) -> Result<(u64, Vec<(String, Refusal)>), Refusal> {
        self.made += 1;
        let owner = if name == "server" { Owner::Server } else { named(name) };
        let deadline = patience.map(|patience| self.now + patience);
        let asking = Asking { owner: &owner, cost, deadline, job: format!("{name}{}", self.made) };
        let entered = self.turns.enter(asking, self.bounds, self.now, 1)?;
        Ok((entered.id, entered.displaced))
    }

    fn ask(&mut self, name: &str, cost: u64) -> Result<(u64, Vec<(String, Refusal)>), Refusal> {
        self.ask_by(name, seconds(cost), None)
    }

    fn fill(&mut self, name: &str, cost: u64, times: usize) -> Vec<u64> {
        (0..times).map(|_| self.ask(name, cost).unwrap().0).collect()
    }

    /// The next job begins.
    fn begin(&mut self) -> Option<(u64, String)> {
        let turn = self.turns.take(self.now, 1)?;
        assert_eq!(turn.late, None);
        Some((turn.id, turn.job))
    }

    /// The next job runs for so long; gives the name of its owner.
    fn run(&mut self, took: u64) -> Option<String> {
        let (id, job) = self.begin()?;
        self.now += seconds(took);
        self.turns.finish(id, seconds(took));
        Some(job.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned())
    }

    fn order(&mut self, cost: impl Fn(&str) -> u64, jobs: usize) -> Vec<String> {
        let mut order = Vec::new();
        for _ in 0..jobs {
            let next = self.turns.accounts.iter().filter(|(_, account)| !account.waiting.is_empty());
            let next = next.min_by_key(|(_, it)| (it.spent, it.waiting.first_key_value().map(|(id, _)| *id)));
            let Some((owner, _)) = next else { break };
            let name = match owner {
                Owner::Server => "server".to_owned(),
                Owner::Principal(name) => name.to_string(),
            };
            order.extend(self.run(cost(&name)));
        }
        order
    }
}

#[test]
fn owners_take_turns_and_a_flood_waits_behind_itself() {
    let mut run = Run::new();
    run.fill("flood", 1, 40);
    run.fill("honest", 1, 3);
    assert_eq!(run.order(|_| 1, 7).join(" "), "flood honest flood honest flood honest flood");
}

#[test]
fn turns_are_counted_in_time_and_not_in_jobs() {
    let mut run = Run::new();
    run.fill("large", 10, 4);
    run.fill("small", 1, 20);
    let order = run.order(|name| if name == "large" { 10 } else { 1 }, 23);
    let between: Vec<usize> = order.split(|name| name == "large").map(<[String]>::len).collect();
    assert_eq!(between, [0, 10, 10, 0], "{order:?}");
}

#[test]
fn what_took_longer_than_expected_is_paid_for() {
    let mut run = Run::new();
    run.fill("hidden", 1, 3);
    run.fill("honest", 1, 20);
    // Its file was worse than it looked.
    assert_eq!(run.run(6).unwrap(), "hidden");
    assert_eq!(run.order(|_| 1, 7).join(" "), "honest honest honest honest honest honest hidden");
}

#[test]
fn idle_owners_save_up_nothing_and_returning_ones_keep_their_debt() {
    let mut run = Run::new();
    run.fill("early", 1, 20);
    run.order(|_| 1, 10);
    run.fill("idle", 1, 10);
    assert_eq!(run.order(|_| 1, 4).join(" "), "idle early idle early");

    let mut run = Run::new();
    run.fill("steady", 1, 20);
    for _ in 0..3 {
        // One long job at a time, asked for again as soon as it is done.
        run.ask("sly", 5).unwrap();
        let order = run.order(|name| if name == "sly" { 5 } else { 1 }, 6);
        assert_eq!(order.iter().filter(|name| *name == "sly").count(), 1, "{order:?}");
    }
}

#[test]
fn the_server_gets_as_much_as_all_principals_together() {
    let mut run = Run::new();
    for name in ["a", "b", "c"] {
        run.fill(name, 1, 10);
    }
    run.fill("server", 1, 10);
    let order = run.order(|_| 1, 12);
    assert_eq!(order.iter().filter(|name| *name == "server").count(), 6, "{order:?}");
}

#[test]
fn one_owner_is_refused_beyond_its_share_and_others_still_have_room() {
    let mut run = Run::new();
    run.fill("flood", 1, 45);
    let refused = run.ask("flood", 1).unwrap_err();
    assert_eq!(refused, Refusal { cause: Cause::Share, after: seconds(1) });
    assert!(run.ask("honest", 1).unwrap().1.is_empty());
    assert_eq!(run.turns.time(), seconds(46));
}

#[test]
fn a_job_above_every_share_is_taken_by_itself_and_no_second_one() {
    let mut run = Run::new();
    run.fill("other", 1, 2);
    run.begin().unwrap();
    run.ask("large", 50).unwrap();
    assert_eq!(run.ask("large", 50).unwrap_err().cause, Cause::Share);
}

#[test]
fn a_full_queue_takes_from_those_with_the_most_and_never_from_those_with_less() {
    let mut run = Run::new();
    run.fill("a", 1, 40);
    run.fill("b", 1, 20);
    // Both have more than the newcomer: the one with the most loses its newest job.
    let (_, displaced) = run.ask("c", 2).unwrap();
    let names: Vec<&str> = displaced.iter().map(|(job, _)| job.as_str()).collect();
    assert_eq!(names, ["a40", "a39"]);
    assert!(
        displaced.iter().all(|(_, why)| why.cause == Cause::Displaced && why.after >= seconds(40)),
        "{displaced:?}"
    );
    assert_eq!(run.turns.time(), seconds(60));
    // The one with the most gets nothing of the others.
    assert_eq!(run.ask("a", 1).unwrap_err(), Refusal { cause: Cause::Full, after: seconds(1) });
}

#[test]
fn the_number_of_jobs_is_bounded_too_whatever_they_cost() {
    let mut run = Run::bounded(Bounds { jobs: 3, ..BOUNDS });
    run.fill("a", 1, 3);
    assert_eq!(run.ask("a", 1).unwrap_err().cause, Cause::Full);
    let (_, displaced) = run.ask("b", 1).unwrap();
    assert_eq!((displaced.len(), displaced[0].0.as_str()), (1, "a3"));
    assert_eq!(run.turns.waiting(), 3);
}

#[test]
fn no_number_of_names_makes_the_queue_longer() {
    let mut run = Run::new();
    for number in 0..1000 {
        let _ = run.ask(&format!("name{number}-"), 1);
        assert!(run.turns.time() <= BOUNDS.time && run.turns.waiting() <= BOUNDS.jobs);
    }
    assert_eq!(run.turns.time(), seconds(60));
}

#[test]
fn the_steps_of_the_server_find_a_place_in_a_full_queue() {
    let mut run = Run::bounded(Bounds { jobs: 2, time: seconds(2), share: seconds(2) });
    run.fill("a", 1, 2);
    run.fill("server", 1, 5);
    assert_eq!(run.turns.waiting(), 7);
}

#[test]
fn what_cannot_be_done_before_the_deadline_is_refused_at_once() {
    let mut run = Run::new();
    run.fill("a", 1, 20);
    run.begin().unwrap();
    // 19 wait, 1 has just begun: 20 s of its own, then 1 s for the job.
    assert!(run.ask_by("a", seconds(1), Some(seconds(21))).is_ok());
    let late = run.ask_by("a", seconds(1), Some(seconds(15))).unwrap_err();
    assert_eq!(late, Refusal { cause: Cause::Late, after: seconds(7) });
    // Another owner is next in turn, behind what runs and one job of the flood.
    assert!(run.ask_by("b", seconds(1), Some(seconds(3))).is_ok());
    assert_eq!(run.ask_by("c", seconds(1), Some(seconds(3))).unwrap_err().cause, Cause::Late);
}

#[test]
fn a_job_that_can_begin_at_once_is_tried_whatever_its_deadline() {
    let mut run = Run::new();
    run.ask_by("a", seconds(5), Some(seconds(1))).unwrap();
    assert_eq!(run.run(5).unwrap(), "a");
}

#[test]
fn a_job_that_became_late_in_the_queue_is_not_begun_and_not_charged() {
    let mut run = Run::new();
    run.fill("a", 1, 1);
    let (id, _) = run.begin().unwrap();
    run.ask_by("b", seconds(2), Some(seconds(4))).unwrap();
    run.now += seconds(3);
    run.turns.finish(id, seconds(3));
    let turn = run.turns.take(run.now, 1).unwrap();
    assert_eq!((turn.job.as_str(), turn.late.map(|it| it.cause)), ("b2", Some(Cause::Late)));
    assert_eq!((run.turns.running(), run.turns.accounts.len()), (0, 0));
}

#[test]
fn the_place_of_a_caller_that_has_gone_is_free_at_once() {
    let mut run = Run::new();
    let ids = run.fill("a", 1, 45);
    assert_eq!(run.ask("a", 1).unwrap_err().cause, Cause::Share);
    assert_eq!(run.turns.leave(&named("a"), ids[7]).as_deref(), Some("a8"));
    assert_eq!(run.turns.leave(&named("a"), ids[7]), None);
    run.ask("a", 1).unwrap();
    let (begun, _) = run.begin().unwrap();
    assert_eq!(run.turns.leave(&named("a"), begun), None, "it has begun");
    assert_eq!(run.turns.time(), seconds(44));
}

#[test]
fn nothing_is_remembered_of_owners_that_owe_nothing() {
    let mut run = Run::new();
    for round in 0..50 {
        run.fill(&format!("name{round}-"), 1, 1);
        run.run(1).unwrap();
        assert!(run.turns.accounts.is_empty());
    }
    run.fill("steady", 1, 45);
    for round in 0..20 {
        run.fill(&format!("name{round}-"), 1, 1);
        run.order(|_| 1, 2);
        assert!(run.turns.accounts.len() <= 3, "{}", run.turns.accounts.len());
    }
}
