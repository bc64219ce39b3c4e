//! Bodies of requests and responses, whose bytes are counted while the server holds them.

use super::account::{Account, PIECE};
use super::budget::{Charge, Overrun};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request.
#[derive(Debug)]
pub struct RequestBody {
    inner: Incoming,
    account: Account,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, account: Account) -> Self {
        Self { inner, account }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let counted = self.account.body(frame.data_ref().map_or(0, Bytes::len));
        Poll::Ready(Some(counted.map(|()| frame).map_err(|cause: Overrun| cause.error().message.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer.
pub(super) struct AnswerBody<B> {
    source: Source<B>,
    /// What is left of a large frame.
    rest: Option<(Bytes, Charge)>,
    /// The length that was announced, as far as it has not come yet.
    announced: Option<Charge>,
    account: Account,
}

enum Source<B> {
    Application(B),
    /// A refusal, or nothing.
    Own(Bytes),
}

impl<B> AnswerBody<B> {
    pub(super) fn of(body: B, announced: Option<Charge>, account: Account) -> Self {
        Self { source: Source::Application(body), rest: None, announced, account }
    }

    pub(super) fn own(bytes: Bytes, account: Account) -> Self {
        Self { source: Source::Own(bytes), rest: None, announced: None, account }
    }

    fn piece(&self, bytes: Bytes, charge: Charge) -> Frame<Piece> {
        self.account.piece_leaves();
        Frame::data(Piece { bytes, _charge: charge, account: self.account.clone() })
    }

    /// The next piece of a large frame is a copy, so that it does not keep the whole; `paid` is what was taken for it.
    fn next_of_rest(&mut self, paid: Option<Charge>) -> Option<Frame<Piece>> {
        let (rest, _) = self.rest.as_mut()?;
        let length = rest.len().min(PIECE);
        let bytes = Bytes::copy_from_slice(&rest[..length]);
        rest.advance(length);
        if rest.is_empty() {
            self.rest = None;
        }
        let charge = paid.unwrap_or_else(|| self.account.counted(length));
        Some(self.piece(bytes, charge))
    }

    fn frame(&mut self, bytes: Bytes) -> Frame<Piece> {
        let charge = self.taken(bytes.len());
        if bytes.len() <= PIECE {
            return self.piece(bytes, charge);
        }
        let copy = self.taken(PIECE);
        self.rest = Some((bytes, charge));
        self.next_of_rest(Some(copy)).unwrap_or_else(|| Frame::trailers(http::HeaderMap::new()))
    }

    /// For bytes that are there, out of what was taken for the answer.
    fn taken(&mut self, bytes: usize) -> Charge {
        match &mut self.announced {
            Some(announced) => announced.part(bytes),
            None => self.account.counted(bytes),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for AnswerBody<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        let this = &mut *self;
        this.account.polled();
        if let Some(frame) = this.next_of_rest(None) {
            return Poll::Ready(Some(Ok(frame)));
        }
        let next = match &mut this.source {
            Source::Application(body) => ready!(Pin::new(body).poll_frame(cx)),
            Source::Own(bytes) if bytes.is_empty() => None,
            Source::Own(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
        };
        Poll::Ready(match next {
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(bytes) => this.frame(bytes),
                Err(frame) => Frame::trailers(frame.into_trailers().unwrap_or_default()),
            })),
            Some(Err(error)) => Some(Err(error)),
            None => {
                this.announced = None;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none()
            && match &self.source {
                Source::Application(body) => body.is_end_stream(),
                Source::Own(bytes) => bytes.is_empty(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.as_ref().map_or(0, |(bytes, _)| bytes.len() as u64);
        let mut hint = match &self.source {
            Source::Application(body) => body.size_hint(),
            Source::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
        };
        if rest > 0 {
            hint.set_lower(hint.lower() + rest);
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper + rest);
            }
        }
        hint
    }
}

/// A part of an answer on its way to the peer; its bytes are held until it was written or given up.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    _charge: Charge,
    account: Account,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.account.progress();
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.account.piece_left();
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::{Budget, BudgetOptions};
    use super::super::connections::Connections;
    use super::*;
    use http_body_util::Full;
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn what_was_taken_for_an_answer_is_free_for_nobody_while_it_comes() {
        const LIMIT: usize = 200_000;
        const ANSWER: usize = 100_000;
        let options = BudgetOptions { anonymous_peer_bytes: LIMIT, ..BudgetOptions::default() };
        let (budget, peer) = (Budget::new(options), IpAddr::from([192, 0, 2, 1]));
        let entry = Connections::new(budget.clone()).enter(1, peer);
        let (share, done) = (budget.peer(peer), AtomicBool::new(false));
        std::thread::scope(|scope| {
            // Others take whatever is free.
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    drop(Charge::take(&share, ANSWER));
                }
            });
            let mut context = Context::from_waker(std::task::Waker::noop());
            let mut answers = 0;
            while answers < 5_000 {
                let account = Account::open(&entry.connection, answers, &http::Request::new(()));
                let Ok(announced) = account.answer(ANSWER) else { continue };
                let whole = Full::new(Bytes::from(vec![b'x'; ANSWER]));
                let mut body = AnswerBody::of(whole, Some(announced), account);
                let frame = Pin::new(&mut body).poll_frame(&mut context);
                let held = budget.stats(0).anonymous_bytes;
                if held > LIMIT as u64 {
                    done.store(true, Ordering::Relaxed);
                    panic!("{held} bytes are held");
                }
                assert!(frame.is_ready());
                answers += 1;
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
