//! Certificates that are there: importing them, handing them out, using their keys, listing and backing them up.

mod apis;
mod backups;
mod imports;
mod lists;
mod material;

use crate::Times;
use crate::recorded::Recorded;
use crate::support::{Failure, Report};

/// The measurements of this part.
pub(crate) const NAMES: [&str; 4] = ["import", "apis", "list", "backup"];

/// Callers of these measurements, each with a connection.
const CALLERS: usize = 16;

pub(crate) async fn measure(name: &str, recorded: &Recorded, times: Times, report: &Report) -> Result<(), Failure> {
    // Half as long as the rest: there are many rows, and each repeats itself well.
    let times = Times { turns: times.turns.div_ceil(2), ..times };
    match name {
        "import" => {
            report.add(imports::pkcs12(times).await?);
            report.add(imports::pem(times).await?);
        }
        "apis" => {
            report.add(apis::secret(recorded, times).await?);
            report.add(apis::sign_p256(times).await?);
            report.add(apis::sign_rsa(times).await?);
        }
        "list" => {
            for row in lists::pages(recorded, times).await? {
                report.add(row);
            }
        }
        "backup" => {
            for row in backups::both(times).await? {
                report.add(row);
            }
        }
        other => return Err(format!("there is no measurement named {other} here").into()),
    }
    Ok(())
}
