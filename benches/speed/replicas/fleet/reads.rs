//! Reads of single certificates all over a store, and pages of the list at its beginning and deep inside.

use super::name;
use crate::Times;
use crate::recorded::{client, pending_path};
use crate::support::{Caller, Failure, Http, Run, Server, channel, client_tls, drive};
use bytes::Bytes;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::{BookmarkReason, ListCertificatesRequest, WatchPendingRequest};
use http::Method;
use std::time::{Duration, Instant};
use tonic::transport::Channel;

const CALLERS: usize = 8;
const PAGE: i32 = 25;

/// Asks once for the operation of a certificate.
pub(super) async fn once(server: &Server, number: usize) -> Result<(), Failure> {
    Reader::connect(server, Read::Pending, number + 1, number).await?.ask(number).await
}

/// How long a watch of everything takes until it has shown what is in progress: here nothing, among all that ended.
pub(super) async fn watch(server: &Server) -> Result<Run, Failure> {
    let begun = Instant::now();
    let mut stream = client(channel(server).await?).watch_pending(WatchPendingRequest::default()).await?.into_inner();
    let caught_up = i32::from(BookmarkReason::CaughtUp);
    while let Some(message) = stream.message().await? {
        if matches!(message.payload, Some(Payload::Bookmark(bookmark)) if bookmark.reason == caught_up) {
            let elapsed = begun.elapsed();
            return Ok(Run { elapsed, cpu: Duration::ZERO, latencies: vec![elapsed] });
        }
    }
    Err("a watch ended before it had caught up".into())
}

#[derive(Clone, Copy)]
enum Read {
    Pending,
    Certificate,
    FirstPage,
    DeepPage,
}

/// Somebody who asks for one certificate after the other, far apart.
struct Reader {
    read: Read,
    http: Http,
    grpc: CertificateServiceClient<Channel>,
    count: usize,
    next: usize,
}

impl Reader {
    async fn connect(server: &Server, read: Read, count: usize, next: usize) -> Result<Self, Failure> {
        let http = Http::connect(&client_tls(server)?, server.port).await?;
        Ok(Self { read, http, grpc: client(channel(server).await?), count, next })
    }

    async fn ask(&mut self, number: usize) -> Result<(), Failure> {
        let path = match self.read {
            Read::Pending => pending_path(&name(number)),
            Read::Certificate => format!("/certificates/{}?api-version=7.4", name(number)),
            Read::FirstPage => return self.page(String::new()).await,
            // A whole page is behind it.
            Read::DeepPage => {
                let before_the_end = self.count.saturating_sub(PAGE.unsigned_abs() as usize + 2);
                return self.page(name(number.min(before_the_end))).await;
            }
        };
        let (status, body) = self.http.send(Method::GET, &path, Bytes::new()).await?;
        if status.is_success() && !body.is_empty() { Ok(()) } else { Err(format!("{path} answered {status}").into()) }
    }

    async fn page(&mut self, page_token: String) -> Result<(), Failure> {
        let wanted = ListCertificatesRequest { page_size: PAGE, page_token, ..Default::default() };
        let page = self.grpc.list_certificates(wanted).await?.into_inner().certificates;
        if page.len() == PAGE.unsigned_abs() as usize {
            Ok(())
        } else {
            Err(format!("{} on a page", page.len()).into())
        }
    }
}

impl Caller for Reader {
    async fn call(&mut self) -> Result<(), Failure> {
        // A prime step visits all of them, in no order.
        self.next = (self.next + 7_368_787) % self.count;
        self.ask(self.next).await
    }
}

/// A server with its count of certificates.
type Over<'a> = (&'a Server, usize);

/// Each kind of read, on both servers in turns.
pub(super) async fn measure(
    many: Over<'_>,
    few: Over<'_>,
    times: Times,
) -> Result<Vec<(&'static str, Run, Run)>, Failure> {
    let mut all = Vec::new();
    for (read, what) in [
        (Read::Pending, "GET pending: REST, 8 callers"),
        (Read::Certificate, "GET certificate: REST, 8 callers"),
        (Read::FirstPage, "the first page of 25: gRPC, 8 callers"),
        (Read::DeepPage, "a page of 25 somewhere: gRPC, 8 callers"),
    ] {
        let (mut our_callers, mut their_callers) = (callers(many, read).await?, callers(few, read).await?);
        let (mut ours, mut theirs) = (Run::default(), Run::default());
        for _ in 0..times.turns.div_ceil(2) {
            let (our_run, their_run);
            (our_callers, our_run) = drive(our_callers, &many.0.process, times.run / 3).await?;
            ours.add(our_run);
            (their_callers, their_run) = drive(their_callers, &few.0.process, times.run / 3).await?;
            theirs.add(their_run);
        }
        all.push((what, ours, theirs));
    }
    Ok(all)
}

async fn callers((server, count): Over<'_>, read: Read) -> Result<Vec<Reader>, Failure> {
    let mut callers = Vec::with_capacity(CALLERS);
    for number in 0..CALLERS {
        callers.push(Reader::connect(server, read, count, number * count / CALLERS).await?);
    }
    Ok(callers)
}
