//! Each rule of the plan, by what it does to a due time.

use super::plan::{Because, NotRenewed, Plan, Step, ask_again, first_ask, plan};
use super::{Held, Renewal, RenewalRules, RenewalTrigger, Renews, Window};
use crate::domain::blob::Blob;
use crate::domain::policy::{Action, LifetimeAction, Trigger};
use crate::domain::{
    CertificateEntry, CertificateName, EntryState, Pause, PolicyInput, Timestamp, VaultName, Version, VersionSummary,
};
use std::time::Duration;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const BEGIN: i64 = 1_000 * DAY;

fn percentage(percentage: u32) -> Trigger {
    Trigger::LifetimePercentage(percentage)
}

/// A certificate that lives for so many milliseconds from `BEGIN` on, with such an AutoRenew.
fn entry(life: i64, trigger: Trigger) -> CertificateEntry {
    entry_of("b76827a18b63421c917da80f28e9913d", life, trigger)
}

fn entry_of(version: &str, life: i64, trigger: Trigger) -> CertificateEntry {
    let input = PolicyInput { subject: Some("CN=a".into()), issuer_name: Some("ca".into()), ..PolicyInput::default() };
    let mut policy = input.complete(Timestamp(BEGIN)).unwrap();
    policy.lifetime_actions = vec![LifetimeAction { trigger, action: Action::AutoRenew }];
    let version = Version::parse(version).unwrap();
    let at = Timestamp(BEGIN);
    CertificateEntry {
        vault: VaultName::default_vault(),
        name: CertificateName::parse("web").unwrap(),
        policy,
        tags: None,
        latest: Some(version),
        first_version: version,
        preserve_cert_order: None,
        created: at,
        updated: at,
        summary: Some(VersionSummary {
            version,
            thumbprint: Blob::default(),
            enabled: true,
            not_before: at,
            expires: Timestamp(BEGIN + life),
            created: at,
            updated: at,
            tags: None,
        }),
        state: EntryState::Live,
        versions: Some(1),
        renewal: None,
    }
}

fn planned(entry: &CertificateEntry) -> Plan {
    plan(entry, RenewalRules::default()).unwrap()
}

/// The part of the life, in percent, at which it is renewed.
fn at_percent(entry: &CertificateEntry) -> f64 {
    let plan = planned(entry);
    let life = (plan.valid.end.0 - plan.valid.begin.0) as f64;
    (plan.renew_at.0 - plan.valid.begin.0) as f64 * 100.0 / life
}

fn renewal(entry: &mut CertificateEntry) -> &mut Renewal {
    let version = entry.latest.unwrap();
    entry.renewal.get_or_insert_with(|| Renewal::new(version))
}

fn is_about(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 2.01
}

#[test]
fn by_percentage_of_the_life_that_was_issued() {
    let found = at_percent(&entry(90 * DAY, percentage(80)));
    assert!(is_about(found, 80.0) && found != 80.0, "{found}");
    assert_eq!(planned(&entry(90 * DAY, percentage(80))).because, Because::Percentage(80));
}

#[test]
fn a_short_life_is_renewed_at_half_of_it_or_where_the_setting_says() {
    let short = entry(6 * DAY, percentage(80));
    assert!(is_about(at_percent(&short), 50.0));
    let rules = RenewalRules { short_lived_percentage: 66 };
    let plan = plan(&short, rules).unwrap();
    assert_eq!(plan.because, Because::Percentage(66));
    assert!(is_about(at_percent(&entry(10 * DAY, percentage(80))), 80.0), "ten days are no short life");
    assert!(is_about(at_percent(&entry(6 * DAY, percentage(40))), 40.0), "an earlier one stays");
}

#[test]
fn by_days_before_the_end_but_no_earlier_than_half_of_the_life() {
    let found = at_percent(&entry(90 * DAY, Trigger::DaysBeforeExpiry(30)));
    assert!(is_about(found, 66.7), "{found}");
    let found = at_percent(&entry(45 * DAY, Trigger::DaysBeforeExpiry(60)));
    assert!(is_about(found, 50.0), "{found}");
    let is_half = |life: i64| planned(&entry(life, Trigger::DaysBeforeExpiry(60))).is_half_of_the_life(60);
    assert_eq!([is_half(45 * DAY), is_half(120 * DAY), is_half(365 * DAY)], [true, false, false]);
}

#[test]
fn the_earliest_of_several_actions_counts() {
    let mut several = entry(100 * DAY, percentage(90));
    several.policy.lifetime_actions.push(LifetimeAction { trigger: percentage(60), action: Action::AutoRenew });
    several.policy.lifetime_actions.push(LifetimeAction { trigger: percentage(40), action: Action::EmailContacts });
    assert!(is_about(at_percent(&several), 60.0));
}

#[test]
fn never_before_a_third_of_the_life() {
    let found = at_percent(&entry(90 * DAY, percentage(1)));
    assert!((found - 33.33).abs() < 0.01, "{found}");
}

#[test]
fn not_within_an_hour_after_it_was_made() {
    // The CA handed out an old certificate once more: it is past its point already.
    let mut again = entry(90 * DAY, percentage(80));
    let made = BEGIN + 80 * DAY;
    again.summary.as_mut().unwrap().created = Timestamp(made);
    assert_eq!(planned(&again).renew_at, Timestamp(made + HOUR));
    // With less left than that, a third of it.
    let made = BEGIN + 90 * DAY - HOUR;
    again.summary.as_mut().unwrap().created = Timestamp(made);
    assert_eq!(planned(&again).renew_at, Timestamp(made + HOUR / 3));
}

#[test]
fn a_ca_that_dates_back_does_not_shorten_the_life() {
    // Five minutes, dated back by ten.
    let mut back = entry(15 * 60_000, percentage(80));
    back.summary.as_mut().unwrap().created = Timestamp(BEGIN + 10 * 60_000);
    assert!(is_about(at_percent(&back), 50.0));
    assert_eq!(planned(&back).valid.begin, Timestamp(BEGIN + 10 * 60_000));
    // An imported certificate began when it says.
    back.summary.as_mut().unwrap().created = Timestamp(BEGIN + 2 * HOUR);
    back.summary.as_mut().unwrap().expires = Timestamp(BEGIN + 90 * DAY);
    assert_eq!(planned(&back).valid.begin, Timestamp(BEGIN));
}

#[test]
fn in_the_window_of_the_ca_at_a_point_of_its_own() {
    let (start, end) = (BEGIN + 20 * DAY, BEGIN + 22 * DAY);
    let mut points = Vec::new();
    for version in 0..200_u32 {
        let mut asked = entry_of(&format!("{version:08x}8b63421c917da80f28e9913d"), 90 * DAY, percentage(80));
        renewal(&mut asked).window = Some(Window { start: Timestamp(start), end: Timestamp(end), explanation: None });
        let plan = planned(&asked);
        assert_eq!(plan.because, Because::Window);
        assert!((start..end).contains(&plan.renew_at.0));
        assert_eq!(planned(&asked), plan, "it is drawn once");
        points.push((plan.renew_at.0 - start) as f64 / (end - start) as f64);
    }
    let mean = points.iter().sum::<f64>() / points.len() as f64;
    assert!((0.4..0.6).contains(&mean), "{mean}");
    let first_tenth = points.iter().filter(|point| **point < 0.1).count();
    assert!((5..40).contains(&first_tenth), "{first_tenth}");
}

#[test]
fn a_window_that_has_passed_is_now_and_one_before_the_certificate_is_ignored() {
    let mut asked = entry(90 * DAY, percentage(80));
    let window =
        |start: i64, end: i64| Some(Window { start: Timestamp(start), end: Timestamp(end), explanation: None });
    renewal(&mut asked).window = window(BEGIN, BEGIN + 1);
    assert_eq!(planned(&asked).renew_at, Timestamp(BEGIN + HOUR), "but not within an hour");
    renewal(&mut asked).window = window(BEGIN - DAY, BEGIN - HOUR);
    assert_eq!(planned(&asked).because, Because::Percentage(80));
}

#[test]
fn with_a_twentieth_left_whatever_the_plan_says() {
    let late = entry(100 * DAY, percentage(99));
    let plan = planned(&late);
    assert_eq!(plan.renew_at, Timestamp(BEGIN + 95 * DAY));
    assert_eq!(plan.step(plan.renew_at), Step::Renew(RenewalTrigger::Emergency));
    let mut window = entry(100 * DAY, percentage(80));
    renewal(&mut window).window =
        Some(Window { start: Timestamp(BEGIN + 97 * DAY), end: Timestamp(BEGIN + 98 * DAY), explanation: None });
    assert_eq!(planned(&window).renew_at, Timestamp(BEGIN + 95 * DAY));
}

#[test]
fn what_was_put_off_is_tried_at_the_last_twentieth_and_then_by_its_own_waits() {
    let mut put_off = entry(100 * DAY, percentage(80));
    let emergency = Timestamp(BEGIN + 95 * DAY);
    renewal(&mut put_off).put_off(Timestamp(BEGIN + 94 * DAY), Duration::from_secs(3 * 86_400), "a reason");
    assert_eq!(planned(&put_off).renew_at, emergency);
    renewal(&mut put_off).put_off(emergency, Duration::from_secs(600), "a reason");
    assert_eq!(planned(&put_off).renew_at, emergency.plus(Duration::from_secs(600)));
}

#[test]
fn jitter_is_two_percent_of_the_life_and_at_most_twelve_hours() {
    for (life, most) in [(6 * DAY, 6 * DAY / 50), (90 * DAY, 12 * HOUR)] {
        let percent = if life < 10 * DAY { 50 } else { 80 };
        let moved = |version: u32| {
            let entry = entry_of(&format!("{version:08x}8b63421c917da80f28e9913d"), life, percentage(percent));
            planned(&entry).renew_at.0 - (BEGIN + life / 100 * i64::from(percent))
        };
        let moved: Vec<i64> = (0..500).map(moved).collect();
        assert!(moved.iter().all(|by| by.abs() <= most), "{moved:?}");
        assert!(moved.iter().any(|by| *by < -most / 2));
        let later = moved.iter().filter(|by| **by > most / 2).count();
        assert_eq!(later > 50, life > 10 * DAY, "a short life is renewed no later");
    }
}

#[test]
fn the_ca_is_asked_before_and_an_attempt_goes_before_a_question() {
    let mut asked = entry(90 * DAY, percentage(80));
    let ask = Timestamp(BEGIN + DAY);
    renewal(&mut asked).ask_at = Some(ask);
    let plan = planned(&asked);
    assert_eq!((plan.due, plan.step(Timestamp(ask.0 - 1)), plan.step(ask)), (ask, Step::Wait(ask), Step::Ask));
    assert_eq!(plan.step(plan.renew_at), Step::Renew(RenewalTrigger::Lifetime));
}

#[test]
fn a_ca_is_asked_for_its_window_hourly_at_most_and_weekly_at_least() {
    let seconds = |said: u64| ask_again(Duration::from_secs(said)).as_secs();
    assert_eq!([seconds(1), seconds(21_600), seconds(u64::MAX / 1000)], [3600, 21_600, 604_800]);
    let version = Version::parse("b76827a18b63421c917da80f28e9913d").unwrap();
    let first = first_ask(version, Timestamp(0), Timestamp(90 * DAY)).0;
    assert!((3 * HOUR..=6 * HOUR).contains(&first));
    assert!(first_ask(version, Timestamp(0), Timestamp(HOUR)).0 <= HOUR / 4);
}

#[test]
fn triggers_say_why() {
    let mut asked = entry(90 * DAY, percentage(80));
    let plan = planned(&asked);
    assert_eq!(plan.step(plan.renew_at), Step::Renew(RenewalTrigger::Lifetime));
    assert_eq!(plan.step(plan.emergency()), Step::Renew(RenewalTrigger::Emergency));
    renewal(&mut asked).window =
        Some(Window { start: Timestamp(BEGIN + DAY), end: Timestamp(BEGIN + 2 * DAY), explanation: None });
    let plan = planned(&asked);
    assert_eq!(plan.step(plan.renew_at), Step::Renew(RenewalTrigger::Ari));
}

#[test]
fn what_is_not_renewed_says_why() {
    let good = || entry(90 * DAY, percentage(80));
    let refused = |change: &dyn Fn(&mut CertificateEntry)| {
        let mut entry = good();
        change(&mut entry);
        plan(&entry, RenewalRules::default()).unwrap_err()
    };
    let at = Timestamp(BEGIN);
    assert_eq!(
        refused(&|entry| entry.state = EntryState::Deleted { at, purge: at, protected: false }),
        NotRenewed::Gone
    );
    assert_eq!(refused(&|entry| entry.latest = None), NotRenewed::NoVersion);
    assert_eq!(refused(&|entry| entry.summary.as_mut().unwrap().enabled = false), NotRenewed::Disabled);
    assert_eq!(
        refused(&|entry| entry.policy.lifetime_actions[0].action = Action::EmailContacts),
        NotRenewed::NoAutoRenew
    );
    assert_eq!(refused(&|entry| entry.policy.issuer.name = "unknown".into()), NotRenewed::NoIssuer);
    assert_eq!(refused(&|entry| renewal(entry).held = Some(Held::CallersKey)), NotRenewed::Held(Held::CallersKey));
    let pause = Pause { since: at, reason: String::new() };
    assert_eq!(refused(&|entry| renewal(entry).paused = Some(pause.clone())), NotRenewed::Paused(pause.clone()));
}

#[test]
fn a_newer_version_begins_anew_but_stays_paused() {
    let mut renewed = entry(90 * DAY, percentage(80));
    renewal(&mut renewed).tried(Timestamp(BEGIN), Duration::from_secs(60), None, "no");
    let next = Version::parse("c76827a18b63421c917da80f28e9913d").unwrap();
    assert!(Renewal::of(&renewed, next).is_new());
    let pause = Pause { since: Timestamp(0), reason: "x".into() };
    renewal(&mut renewed).paused = Some(pause.clone());
    assert_eq!(Renewal::of(&renewed, next), Renewal { paused: Some(pause), ..Renewal::new(next) });
}

#[test]
fn a_clock_that_is_set_back_leaves_no_wait_of_the_time_before() {
    let mut put_off = entry(90 * DAY, percentage(80));
    let later = Timestamp(BEGIN + 400 * DAY);
    let before = planned(&put_off).renew_at;
    renewal(&mut put_off).put_off(later, Duration::from_secs(86_400), "a reason");
    assert!(planned(&put_off).renew_at > later);
    renewal(&mut put_off).after_set_back(Timestamp(BEGIN + DAY));
    assert_eq!(planned(&put_off).renew_at, before);
}

#[test]
fn what_is_put_off_or_asked_for_meanwhile_does_not_end_an_attempt() {
    let begun = entry(90 * DAY, percentage(80));
    let mut meanwhile = begun.clone();
    renewal(&mut meanwhile).put_off(Timestamp(BEGIN + 80 * DAY), Duration::from_secs(60), "waits for its turn");
    renewal(&mut meanwhile).ask_at = Some(Timestamp(BEGIN + 81 * DAY));
    assert_eq!(Renewal::decisive(&meanwhile), Renewal::decisive(&begun));
    let mut tried = begun.clone();
    renewal(&mut tried).tried(Timestamp(BEGIN + 80 * DAY), Duration::from_secs(60), None, "");
    let mut paused = begun.clone();
    renewal(&mut paused).paused = Some(Pause { since: Timestamp(BEGIN), reason: String::new() });
    for other in [tried, paused] {
        assert_ne!(Renewal::decisive(&other), Renewal::decisive(&begun));
    }
}

/// A clock that is put right by some seconds moves the next question of every certificate.
#[test]
fn a_clock_that_is_set_back_brings_questions_forward_but_not_together() {
    let now = Timestamp(BEGIN + DAY);
    let asked_at = |version: u32, ask_at: Timestamp| {
        let version = Version::parse(&format!("{version:08x}8b63421c917da80f28e9913d")).unwrap();
        let mut renewal = Renewal { ask_at: Some(ask_at), ..Renewal::new(version) };
        renewal.after_set_back(now);
        renewal.ask_at.unwrap().0 - now.0
    };
    let far: Vec<i64> = (0..100).map(|version| asked_at(version, Timestamp(BEGIN + 400 * DAY))).collect();
    assert!(far.iter().all(|wait| (0..=6 * HOUR).contains(wait)), "{far:?}");
    let first_hour = far.iter().filter(|wait| **wait < HOUR).count();
    assert!((4..40).contains(&first_hour), "{far:?}");
    assert_eq!(asked_at(1, now), 0, "an earlier one stays");
}

/// The times in days at which a certificate is renewed until `until`: each renewal by `trigger` makes a version that ends
/// at `end(made)`.
fn renewed(mut entry: CertificateEntry, until: i64, window: bool, end: impl Fn(i64) -> i64) -> Vec<i64> {
    let mut times = Vec::new();
    while times.len() < 1000 {
        let created = entry.summary.as_ref().unwrap().created;
        if window {
            // The CA is asked some hours later, and always says now.
            let asked = created.plus(Duration::from_secs(4 * 3600));
            let end = asked.plus(Duration::from_secs(60));
            renewal(&mut entry).window = Some(Window { start: asked, end, explanation: None });
        }
        let plan = planned(&entry);
        let now = plan.renew_at;
        if now.0 >= until {
            return times;
        }
        times.push((now.0 - BEGIN) / DAY);
        let Step::Renew(trigger) = plan.step(now) else { panic!("{plan:?}") };
        let replaces = entry.latest.unwrap();
        let version = Version::parse(&format!("{:08x}8b63421c917da80f28e9913d", times.len())).unwrap();
        let before = entry.summary.clone().unwrap();
        let made = VersionSummary { version, not_before: now, created: now, expires: Timestamp(end(now.0)), ..before };
        let after = Renewal::after(&entry, Some(&Renews { trigger, replaces, batch: String::new() }), &made);
        (entry.latest, entry.summary, entry.renewal) = (Some(version), Some(made), Some(after));
    }
    times
}

#[test]
fn a_ca_whose_own_end_cuts_lifetimes_makes_no_loop() {
    // It ends in ten days, and so does everything that it signs.
    let end = BEGIN + 10 * DAY;
    let times = renewed(entry(10 * DAY, percentage(80)), end, false, |_| end);
    assert!(times.len() <= 5, "{times:?}");
    // What comes after it lives on as ever.
    let long = renewed(entry(10 * DAY, percentage(80)), BEGIN + 365 * DAY, false, |made| made + 10 * DAY);
    assert!((44..=47).contains(&long.len()), "{long:?}");
    assert!(long.windows(2).all(|two| two[1] - two[0] >= 7));
}

#[test]
fn a_ca_that_always_wants_to_replace_makes_no_loop() {
    let times = renewed(entry(90 * DAY, percentage(80)), BEGIN + 360 * DAY, true, |made| made + 90 * DAY);
    // It may have a reason for one; the next one comes after a third of the life.
    assert!((12..=26).contains(&times.len()), "{times:?}");
    assert_eq!(times[0], 0);
    assert!(times.windows(3).all(|three| three[2] - three[0] >= 29), "{times:?}");
}
