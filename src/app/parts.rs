//! What the parts of a server are given of its configuration.

use super::error::{AppError, part};
use crate::config::Config;
use crate::outbound::{ClientOptions, Timeouts};
use crate::service::{Service, Webhooks};
use crate::transport::auth::Auth;
use crate::transport::grpc::GrpcOptions;
use crate::transport::host::Hosts;
use crate::transport::rest::{Challenge, RestOptions};
use crate::worker::WorkerOptions;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) fn worker_options(config: &Config) -> WorkerOptions {
    WorkerOptions { concurrency: config.limits.worker_concurrency, ..WorkerOptions::default() }
}

/// How other services are reached. Each one has limits of credentials of its own.
pub(super) fn clients(config: &Config) -> Result<ClientOptions, AppError> {
    let proxy = config.outbound.proxy().map_err(part("[outbound] cannot be used"))?;
    Ok(ClientOptions { proxy, ..ClientOptions::default() })
}

/// How events are sent: to addresses that callers chose.
pub(super) fn equip_webhooks(config: &Config, service: &Service) -> Result<(), AppError> {
    let mut options = config.webhooks.clone();
    let guard = options.guard(config.dev).map_err(part("[webhooks] cannot be used"))?;
    let port = match config.listen.port() {
        443 => String::new(),
        port => format!(":{port}"),
    };
    options.public_url.get_or_insert_with(|| format!("https://{{vault}}.{}{port}", config.base_domain.as_str()));
    let timeouts = Timeouts { connect: options.timeout, head: options.timeout, body: options.timeout };
    let clients = ClientOptions { guard: Some(guard), plain_http: true, timeouts, ..clients(config)? };
    Webhooks::of(service).equip(options, Arc::new(clients));
    Ok(())
}

/// In development a machine is called by any of its names.
fn hosts(config: &Config) -> Hosts {
    if config.dev {
        Hosts::Any
    } else {
        Hosts::Only(config.hosts.iter().map(|host| host.as_str().to_owned()).collect())
    }
}

pub(super) fn grpc_options(config: &Config, auth: &Auth, draining: &CancellationToken) -> GrpcOptions {
    GrpcOptions {
        base_domain: config.base_domain.as_str().to_owned(),
        hosts: hosts(config),
        auth: auth.clone(),
        open_reflection: config.auth.open_reflection || config.dev,
        closing: draining.clone(),
        tasks: TaskTracker::new(),
    }
}

pub(super) fn rest_options(config: &Config, auth: &Auth, stop: &CancellationToken) -> RestOptions {
    RestOptions {
        base_domain: config.base_domain.as_str().to_owned(),
        hosts: hosts(config),
        closing: stop.clone(),
        challenge: Challenge {
            authority: config.auth.challenge.authority.clone(),
            resource: config.auth.challenge.resource.clone(),
        },
        ..RestOptions::new(auth.clone())
    }
}
