//! The trace that outgoing calls belong to (W3C Trace Context, <https://www.w3.org/TR/trace-context/>): that of the
//! operation which they are made for, so that what a CA, a proxy or a plug-in logs is found by the request id.

use aws_lc_rs::rand;
use std::future::Future;

tokio::task_local! {
    static TRACE: [u8; 16];
}

/// Runs a future whose calls belong to this trace.
pub async fn traced<F: Future>(trace: [u8; 16], future: F) -> F::Output {
    TRACE.scope(trace, future).await
}

/// The header `traceparent` for a call: the trace that the task is in, a new span, not sampled, since nothing is
/// recorded here. None outside of a trace.
pub fn traceparent() -> Option<String> {
    let trace = TRACE.try_with(|trace| *trace).ok().filter(|trace| *trace != [0; 16])?;
    let mut span = [0; 8];
    // Without randomness there is no span, and the call is made all the same.
    rand::fill(&mut span).ok()?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    (span != [0; 8]).then(|| format!("00-{}-{}-00", hex(&trace), hex(&span)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_of_a_trace_carry_it_with_a_span_of_their_own() {
        assert_eq!(traceparent(), None);
        let (first, second) = traced([0xab; 16], async { (traceparent().unwrap(), traceparent().unwrap()) }).await;
        assert!(first.starts_with("00-abababababababababababababababab-") && first.ends_with("-00"), "{first}");
        assert_eq!((first.len(), first == second), (55, false));
        assert_eq!(traced([0; 16], async { traceparent() }).await, None, "no trace has this id");
    }
}
