//! What goes on beside the calls: a plug-in is looked at now and then, and its hints are passed on.

use super::Plugin;
use super::description::Description;
use crate::proto::plugin::v1 as pb;
use crate::token_bucket::{Bucket, Rate};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tonic::Code;

/// Between two looks at a plug-in without hints.
const LOOK: Duration = Duration::from_secs(30);
/// After the end of a stream of hints, and between looks at a plug-in that does not answer, longer each time.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Hints of one plug-in that are passed on; each costs reads of the store. What is above is found by polling.
const HINTS: Rate = Rate { burst: 200, interval: Duration::from_millis(5) };
/// A name in a hint is not longer; the service parses it.
const MAX_NAME: usize = 200;

/// That an order has moved, in the words of a plug-in: nothing is believed but that it is worth a look.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hint {
    /// The plug-in's name, as in the provider of issuer objects.
    pub provider: &'static str,
    pub vault: String,
    pub request_id: String,
}

impl Plugin {
    /// Logs whether the plug-in is there, learns what it is, and passes its hints on. Does not end by itself.
    pub async fn follow(&self, hints: mpsc::Sender<Hint>) {
        let name = self.link.name;
        let (mut was_there, mut wait) = (None, AGAIN.0);
        loop {
            let pause = match self.describe().await {
                Ok(described) => {
                    if was_there != Some(true) {
                        let Description { version, exactly_once, watch, .. } = &*described;
                        tracing::info!(plugin = name, address = %self.link.address, version, exactly_once, hints = watch, "a plug-in answers");
                    }
                    (was_there, wait) = (Some(true), AGAIN.0);
                    if described.watch && self.pass_hints_on(&hints).await { AGAIN.0 } else { LOOK }
                }
                Err(error) => {
                    if was_there != Some(false) {
                        tracing::warn!(plugin = name, address = %self.link.address, %error, "a plug-in does not answer; orders of its issuers wait");
                    }
                    was_there = Some(false);
                    let pause = wait;
                    wait = (wait * 2).min(AGAIN.1);
                    pause
                }
            };
            sleep(pause).await;
        }
    }

    /// Until the stream ends; false where the plug-in has no hints after all.
    async fn pass_hints_on(&self, hints: &mpsc::Sender<Hint>) -> bool {
        let mut client = self.link.client();
        let request = self.link.stream(pb::WatchRequest {});
        let mut stream = match client.watch(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return status.code() != Code::Unimplemented,
        };
        let mut bucket = Bucket::new(Instant::now());
        loop {
            match stream.message().await {
                Ok(Some(pb::WatchResponse { vault_name, request_id })) => {
                    let readable = vault_name.len() <= MAX_NAME && request_id.len() <= MAX_NAME;
                    if readable && bucket.take(HINTS, Instant::now()).is_ok() {
                        // Where nobody has room for it, the order is found by polling.
                        let _ = hints.try_send(Hint { provider: self.link.name, vault: vault_name, request_id });
                    }
                }
                Ok(None) => return true,
                Err(status) => return status.code() != Code::Unimplemented,
            }
        }
    }
}
