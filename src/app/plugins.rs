//! The plug-ins of a server: made before anything is served, followed as long as it runs.

use crate::domain::policy::UNKNOWN;
use crate::issuer::Issuers;
use crate::issuer::plugin::{Hint, Plugin, PluginOptions};
use crate::service::{Hinted, Service};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Names that mean something else in a policy or an issuer object, offered or not.
const RESERVED: [&str; 3] = ["Self", UNKNOWN, "Test"];
/// Longest name of a plug-in, in characters.
const MAX_NAME: usize = 60;
/// Hints that wait for their turn; what is above is found when it is due.
const HINTS: usize = 1024;
/// Hints that are looked at at the same time.
const LOOKS: usize = 16;
/// A step that is under way is waited for so often, so long each time.
const RETRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// The plug-ins of the configuration.
#[derive(Default)]
pub(super) struct Plugins(Vec<(String, Arc<Plugin>)>);

impl Plugins {
    /// Connects to nobody: a plug-in may be started later.
    ///
    /// # Errors
    /// The plug-in whose settings cannot be used, and why.
    pub(super) fn open(settings: &[PluginOptions]) -> Result<Self, String> {
        let mut plugins: Vec<(String, Arc<Plugin>)> = Vec::new();
        for options in settings {
            let plugin = named(&options.name).and_then(|()| Plugin::new(options.clone()));
            let plugin = plugin.and_then(|plugin| readable(options).map(|()| plugin));
            let plugin = plugin.map_err(|problem| unusable(&options.name, &problem))?;
            if plugins.iter().any(|(name, _)| name.eq_ignore_ascii_case(&options.name)) {
                return Err(unusable(&options.name, "there are two of this name"));
            }
            plugins.push((options.name.clone(), Arc::new(plugin)));
        }
        Ok(Self(plugins))
    }

    /// Offers them beside the built-in providers.
    ///
    /// # Errors
    /// Where a name is taken.
    pub(super) fn add_to(&self, mut issuers: Issuers) -> Result<Issuers, String> {
        for (name, plugin) in &self.0 {
            let taken = issuers.get(name).is_some() || RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name));
            if taken {
                return Err(unusable(name, "the name belongs to a built-in provider: choose another one"));
            }
            issuers = issuers.with_provider(plugin.clone());
        }
        Ok(issuers)
    }

    /// Keeps an eye on each, and makes orders due that they hint at, until the server stops.
    pub(super) async fn follow(self, service: Service, stop: CancellationToken) {
        let (sender, mut hints) = mpsc::channel(HINTS);
        let mut tasks = JoinSet::new();
        for (_, plugin) in self.0 {
            let sender = sender.clone();
            tasks.spawn(async move { plugin.follow(sender).await });
        }
        let room = Arc::new(Semaphore::new(LOOKS));
        loop {
            // `sender` lives as long as this loop, so the channel does not end.
            let hint = tokio::select! {
                () = stop.cancelled() => break,
                Some(hint) = hints.recv() => hint,
                Some(ended) = tasks.join_next() => match ended {
                    Ok(()) => continue,
                    // A plug-in is followed no more: the end of this task ends the process.
                    Err(error) => {
                        tracing::error!(%error, "following the plug-ins ended badly");
                        return;
                    }
                },
            };
            let permit = tokio::select! {
                () = stop.cancelled() => break,
                Ok(permit) = room.clone().acquire_owned() => permit,
            };
            let service = service.clone();
            tasks.spawn(async move {
                take(&service, hint).await;
                drop(permit);
            });
        }
        tasks.shutdown().await;
    }
}

async fn take(service: &Service, hint: Hint) {
    let Hint { provider, vault, request_id } = hint;
    for _ in 0..RETRIES {
        match service.jobs().order_moved(provider, &vault, &request_id).await {
            Ok(Hinted::UnderWay) => tokio::time::sleep(PAUSE).await,
            Ok(Hinted::Due | Hinted::Nothing) => return,
            Err(error) => {
                tracing::debug!(plugin = provider, %error, "a hint could not be followed; the order is found when it is due");
                return;
            }
        }
    }
}

/// Whether issuer objects can name it.
fn named(name: &str) -> Result<(), String> {
    let readable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(readable) {
        return Err(format!("a name has 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`"));
    }
    Ok(())
}

/// Whether its files are there.
fn readable(options: &PluginOptions) -> Result<(), String> {
    for file in [&options.ca, &options.certificate, &options.key].into_iter().flatten() {
        std::fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn unusable(name: &str, problem: &str) -> String {
    let name: String = name.chars().take(MAX_NAME).collect();
    format!("{name:?}: {problem}")
}
