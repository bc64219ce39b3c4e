//! Ends streams whose credentials are over: the token was removed or has expired, its key was
//! withdrawn, or the client certificate is not accepted any more.

use super::{Principal, Proof};
use crate::clock::{Clock, SystemClock};
use crate::domain::{Error, Reason, Timestamp};
use crate::service::watch::WatchStream;
use futures_util::StreamExt;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The stream, until its caller's credentials are withdrawn or over: then one error and nothing more.
pub(in crate::transport) fn until_over(mut stream: WatchStream, principal: &Principal) -> WatchStream {
    // As long as the token itself would still be accepted.
    let (revoked, ends) = (principal.revoked.clone(), principal.ends());
    let certificate = principal.by_certificate().cloned();
    // Nothing is held for a stream that no one can end this way.
    if revoked.is_none() && ends.is_none() && certificate.is_none() {
        return stream;
    }
    Box::pin(async_stream::stream! {
        // One wait through all messages.
        let mut over = pin!(over(revoked, ends, certificate));
        loop {
            let item = tokio::select! {
                biased;
                () = &mut over => {
                    yield Err(expired());
                    return;
                }
                item = stream.next() => item,
            };
            let Some(item) = item else { return };
            yield item;
        }
    })
}

async fn over(revoked: Option<CancellationToken>, ends: Option<Timestamp>, certificate: Option<Proof>) {
    let withdrawn = async {
        match &revoked {
            Some(revoked) => revoked.cancelled().await,
            None => pending().await,
        }
    };
    let ended = async {
        match ends {
            Some(ends) => passed(ends).await,
            None => pending().await,
        }
    };
    let refused = async {
        match &certificate {
            Some(certificate) => certificate.over().await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = withdrawn => {}
        () = ended => {}
        () = refused => {}
    }
}

/// Waits for a point in time. The clock may be set back meanwhile, so it is asked again.
async fn passed(end: Timestamp) {
    loop {
        let left = end.0.saturating_sub(SystemClock.now().0);
        match u64::try_from(left) {
            Ok(left) if left > 0 => tokio::time::sleep(Duration::from_millis(left)).await,
            _ => return,
        }
    }
}

fn expired() -> Error {
    Error::new(
        Reason::CredentialsExpired,
        "The credentials of this stream are no longer accepted. Open it again with others, and resume with the last token.",
    )
}
