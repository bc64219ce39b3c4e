//! Connections: opened with a timeout, configured alike, named after their purpose, and closed at once when they have
//! failed.

use super::address::DatabaseUrl;
use super::error::{Chain, Fault};
use super::tls::Tls;
use crate::regular_file;
use crate::store::StoreOptions;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client};
use zeroize::Zeroizing;

/// A larger file is no password.
const MAX_PASSWORD: u64 = 64 * 1024;

const IDENTIFY: &str = "\
-- identify
SELECT pg_backend_pid(), (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid())";

const END_PREDECESSOR: &str = "\
-- end_predecessor
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = $1 AND backend_start::text = $2 AND state LIKE 'idle in transaction%'";

/// What a connection is for; shown in `pg_stat_activity`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job {
    SetUp,
    Read,
    Write,
    Claim,
    Listen,
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Self::SetUp => "certmint: set-up",
            Self::Read => "certmint: reader",
            Self::Write => "certmint: writer",
            Self::Claim => "certmint: claims",
            Self::Listen => "certmint: listener",
        }
    }
}

/// Opens connections.
pub(super) struct Connector {
    pub(super) url: DatabaseUrl,
    pub(super) options: StoreOptions,
    tls: Tls,
}

/// A connection. Its background task ends with it.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) backend: Backend,
    driver: JoinHandle<()>,
    answer_timeout: Duration,
}

/// Which process of the server served a connection.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) pid: i32,
    started: String,
}

impl Drop for Session {
    fn drop(&mut self) {
        // The driver would go on trying to send to a server that is silent.
        self.driver.abort();
    }
}

impl Connector {
    pub(super) fn new(url: DatabaseUrl, options: StoreOptions, tls: Tls) -> Self {
        Self { url, options, tls }
    }

    /// A connection that is set up for its job.
    pub(super) async fn connect(&self, job: Job) -> Result<Session, Fault> {
        self.open(job, None).await
    }

    /// A connection that listens for notifications of other replicas.
    pub(super) async fn connect_listener(&self, heard: Arc<Notify>) -> Result<Session, Fault> {
        self.open(Job::Listen, Some(heard)).await
    }

    async fn open(&self, job: Job, heard: Option<Arc<Notify>>) -> Result<Session, Fault> {
        let within = self.options.connect_timeout;
        match tokio::time::timeout(within, self.open_now(job, heard)).await {
            Ok(session) => session,
            Err(_) => Err(Fault::Silent { address: self.url.to_string(), within }),
        }
    }

    async fn open_now(&self, job: Job, heard: Option<Arc<Notify>>) -> Result<Session, Fault> {
        let options = &self.options;
        let mut config = self.url.config.clone();
        config
            .application_name(job.name())
            .connect_timeout(options.connect_timeout)
            .keepalives(true)
            .keepalives_idle(options.keepalive_idle)
            .keepalives_interval(options.keepalive_interval)
            .keepalives_retries(options.keepalive_retries)
            .tcp_user_timeout(options.answer_timeout);
        if let Some(path) = &options.password_file {
            config.password(password(path).await?.as_bytes());
        }
        let unreachable = |error: tokio_postgres::Error| Fault::Unreachable {
            address: self.url.to_string(),
            cause: Chain::from(error),
        };
        let (client, mut connection) = config.connect(self.tls.clone()).await.map_err(|error| {
            // A refusal of the server (wrong password, no such database) is judged by its code.
            if error.as_db_error().is_some() { Fault::from(error) } else { unreachable(error) }
        })?;
        let own = Arc::new(std::sync::atomic::AtomicI32::new(0));
        let driver = tokio::spawn({
            let own = own.clone();
            async move {
                loop {
                    match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                        Some(Ok(AsyncMessage::Notification(note))) => {
                            if let Some(heard) = &heard
                                && note.process_id() != own.load(std::sync::atomic::Ordering::Relaxed)
                            {
                                heard.notify_one();
                            }
                        }
                        Some(Ok(AsyncMessage::Notice(notice))) => {
                            tracing::debug!(message = notice.message(), "notice from the database");
                        }
                        Some(Ok(_)) => {}
                        // The user of the client gets the error.
                        Some(Err(_)) | None => break,
                    }
                }
                if let Some(heard) = &heard {
                    heard.notify_one();
                }
            }
        });
        let backend = Backend { pid: 0, started: String::new() };
        let mut session = Session { client, backend, driver, answer_timeout: options.answer_timeout };
        session.client.batch_execute(&self.settings(job)).await?;
        let row = session.client.query_one(IDENTIFY, &[]).await?;
        session.backend =
            Backend { pid: row.try_get(0)?, started: row.try_get::<_, Option<_>>(1)?.unwrap_or_default() };
        own.store(session.backend.pid, std::sync::atomic::Ordering::Relaxed);
        Ok(session)
    }

    /// What every session sets, whatever the server's or the role's defaults are.
    fn settings(&self, job: Job) -> String {
        let options = &self.options;
        let (statement, lock, idle) = (
            options.statement_timeout.as_millis(),
            options.lock_timeout.as_millis(),
            options.idle_in_transaction_timeout.as_millis(),
        );
        let (alive, interval, retries) =
            (options.keepalive_idle.as_secs(), options.keepalive_interval.as_secs(), options.keepalive_retries);
        // The plans: every statement of ours goes through an index, and a plan that was made when the
        // tables were empty must still be right when they are not. The writer joins nothing but the parts of a
        // group, each of which may have hundreds: nested loops would compare all with all.
        let (nested, hashed) = if matches!(job, Job::Write) { ("off", "on") } else { ("on", "off") };
        // Of the degrees of durability `off` alone would answer before the disk does.
        format!(
            "-- settings
             SET statement_timeout = {statement};
             SET lock_timeout = {lock};
             SET idle_in_transaction_session_timeout = {idle};
             SET tcp_keepalives_idle = {alive};
             SET tcp_keepalives_interval = {interval};
             SET tcp_keepalives_count = {retries};
             SET default_transaction_isolation = 'read committed';
             SET client_min_messages = warning;
             SET jit = off;
             SET plan_cache_mode = force_generic_plan;
             SET enable_seqscan = off;
             SET enable_bitmapscan = off;
             SET enable_nestloop = {nested};
             SET enable_hashjoin = {hashed};
             SET enable_mergejoin = off;
             DO $$ BEGIN
               IF current_setting('synchronous_commit') = 'off' THEN SET synchronous_commit = on; END IF;
             END $$"
        )
    }

    /// Ends what a lost connection left behind: a transaction that waits for a word from us and holds
    /// locks meanwhile. Not one that is committing: that has to come to its own end.
    pub(super) async fn end_predecessor(&self, session: &Session, lost: &Backend) -> Result<(), Fault> {
        session.answer(session.client.query(END_PREDECESSOR, &[&lost.pid, &lost.started])).await.map(drop)
    }
}

impl Session {
    /// Waits for an answer of the server, but not for ever.
    pub(super) async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        match tokio::time::timeout(self.answer_timeout, asked).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                Err(Fault::Silent { address: format!("process {}", self.backend.pid), within: self.answer_timeout })
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// The password in a file, whatever stands at the path by now.
async fn password(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let failed = |problem: String| Fault::PasswordFile { path: path.display().to_string(), problem };
    let file = path.to_owned();
    let read = tokio::task::spawn_blocking(move || regular_file::read(&file, MAX_PASSWORD)).await;
    let (text, _) = read.map_err(io::Error::from).and_then(|read| read).map_err(|error| failed(error.to_string()))?;
    let text = Zeroizing::new(text);
    let text = std::str::from_utf8(&text).map_err(|_| failed("it is not UTF-8 text".to_owned()))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
