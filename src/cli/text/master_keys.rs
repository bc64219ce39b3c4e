//! Master keys for people.

use super::{Lines, table, time};
use crate::proto::v1::{MasterKey, MasterKeys, Replica, Reseal, ResealState};

/// A line for each master key, and how the work stands that brings records under the newest one.
pub(in crate::cli) fn master_keys(now: &MasterKeys) -> String {
    let MasterKeys { keys, count_time, unread_records, reseal, replicas } = now;
    let what = |key: &MasterKey| {
        if is_written(replicas, key) { "a replica writes with it" } else { what(key, *unread_records) }
    };
    let rows = keys.iter().map(|key| [key.id.clone(), records(key), what(key).to_owned()]);
    let mut text = table(["MASTER KEY", "RECORDS", ""], rows);
    let mut lines = Lines::default();
    lines.add("counted", &count_time.as_ref().map_or_else(|| "never".to_owned(), |at| time(Some(at))));
    if let Some(work) = reseal {
        add(&mut lines, work);
    }
    for replica in replicas {
        let keys = replica.master_key_ids.join(", ");
        let keys = if keys.is_empty() { "a master key that this server does not have".to_owned() } else { keys };
        lines.add("replica", &format!("{} has {keys}", replica.id));
    }
    text.push_str(&lines.end());
    text
}

/// Whether a replica writes with a key that is not the newest one of the server: what was counted is over soon.
pub(in crate::cli) fn is_written(replicas: &[Replica], key: &MasterKey) -> bool {
    key.known && !key.newest && replicas.iter().any(|replica| replica.master_key_ids.last() == Some(&key.id))
}

fn records(key: &MasterKey) -> String {
    key.records.map_or_else(|| "?".to_owned(), |count| count.to_string())
}

fn what(key: &MasterKey, unread: i64) -> &'static str {
    match (key.known, key.newest, key.records) {
        (false, _, _) => "the server does not have it",
        (_, true, _) => "encrypts",
        (_, _, Some(0)) if unread > 0 => "no record that could be read needs it",
        (_, _, Some(0)) => "nothing in the store needs it; backups made with it do",
        _ => "",
    }
}

fn add(lines: &mut Lines, work: &Reseal) {
    let state = match work.state() {
        ResealState::Running => "running",
        ResealState::Done => "done",
        ResealState::Stopped => "stopped",
        ResealState::Incomplete => "incomplete",
        ResealState::Unspecified => "",
    };
    let what = if work.counts_only { "count" } else { "reseal" };
    let by = if work.principal.is_empty() { String::new() } else { format!(" by {}", work.principal) };
    lines.add(what, &format!("{state}, to {}, begun {}{by}", work.master_key_id, time(work.begin_time.as_ref())));
    if work.end_time.is_some() {
        lines.add("ended", &time(work.end_time.as_ref()));
    }
    let mut seen = format!("{} looked at in pass {}, {} written", work.looked_at, work.pass, work.resealed);
    for (count, name) in
        [(work.damaged, "damaged"), (work.unknown, "not looked into"), (work.again, "to look at again")]
    {
        if count > 0 {
            seen.push_str(&format!(", {count} {name}"));
        }
    }
    lines.add("records", &seen);
    for left in &work.left {
        lines.add("left", &format!("{}: {}", left.key, left.problem));
    }
}
