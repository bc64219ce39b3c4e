//! What the parts of a server are given of its configuration.

use crate::config::{Config, KeySettings};
use crate::keys::{KeyCacheOptions, KeyOptions, KeyPoolOptions};
use crate::transport::auth::Auth;
use crate::transport::grpc::GrpcOptions;
use crate::transport::host::Hosts;
use crate::transport::rest::RestOptions;
use crate::worker::WorkerOptions;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) fn worker_options(config: &Config) -> WorkerOptions {
    WorkerOptions { concurrency: config.limits.worker_concurrency.get(), ..WorkerOptions::default() }
}

pub(super) fn key_options(config: &Config) -> KeyOptions {
    let KeySettings { master_key_file: _, ready_rsa_2048, ready_rsa_3072, ready_rsa_4096, opened, opened_for } =
        &config.keys;
    KeyOptions {
        queue: config.limits.key_queue.get(),
        queue_time: config.limits.key_queue_time,
        queue_share: config.limits.key_queue_share,
        ready: KeyPoolOptions {
            rsa_2048: (*ready_rsa_2048).into(),
            rsa_3072: (*ready_rsa_3072).into(),
            rsa_4096: (*ready_rsa_4096).into(),
        },
        opened: KeyCacheOptions { room: (*opened).into(), time: *opened_for },
        import: config.limits.import(),
        ..KeyOptions::default()
    }
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
        message_limit: config.limits.request_body_bytes.get(),
        backup_limit: config.limits.backup_bytes.get(),
        call_timeout: config.limits.request_timeout,
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
        body_limit: config.limits.request_body_bytes.get(),
        backup_limit: config.limits.backup_bytes.get(),
        body_timeout: config.limits.body_read_timeout,
        request_timeout: config.limits.request_timeout,
        closing: stop.clone(),
        ..RestOptions::new(auth.clone())
    }
}
