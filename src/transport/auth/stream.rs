//! Ends streams whose token was removed.

use super::Principal;
use crate::domain::{Error, Reason};
use crate::service::watch::WatchStream;
use futures_util::StreamExt;
use std::pin::pin;

/// The stream, until its caller's credentials are withdrawn: then one error and nothing more.
pub(in crate::transport) fn until_revoked(mut stream: WatchStream, principal: &Principal) -> WatchStream {
    // Nothing is held for a stream that no one can end this way.
    let Some(revoked) = principal.revoked.clone() else { return stream };
    Box::pin(async_stream::stream! {
        // One wait through all messages.
        let mut gone = pin!(revoked.cancelled());
        loop {
            let item = tokio::select! {
                biased;
                () = &mut gone => {
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

fn expired() -> Error {
    Error::new(
        Reason::CredentialsExpired,
        "The credentials of this stream are no longer accepted. Open it again with others, and resume with the last token.",
    )
}
