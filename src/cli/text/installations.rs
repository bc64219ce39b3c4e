//! Installations for people.

use super::{table, time};
use crate::cli::json;
use crate::proto::v1::Installation;

/// A line for each host, and how many have the newest version.
pub(in crate::cli) fn installations(installations: &[Installation]) -> String {
    let rows = installations.iter().map(|it| {
        [
            it.host.clone(),
            it.certificate_version.clone(),
            if it.newest { "yes" } else { "no" }.to_owned(),
            json::installation_state(it.state).to_lowercase().replace('_', " "),
            time(it.since_time.as_ref()),
            time(it.report_time.as_ref()),
            it.message.clone(),
        ]
    });
    let table = table(["HOST", "VERSION", "NEWEST", "STATE", "SINCE", "REPORTED", "WHY"], rows);
    let newest = installations.iter().filter(|it| it.newest && json::installation_state(it.state) != "REFUSED").count();
    format!("{table}{newest} of {} hosts have the newest version\n", installations.len())
}
