//! `certmint.v1.MasterKeyService`: which records need which master key, and bringing them under the newest one.

use super::certificates::open;
use super::policy::time;
use crate::domain::Result;
use crate::proto::v1;
use crate::service::{
    MasterKeyCount, MasterKeyObjects, MasterKeyStatus, ReplicaView, ResealEnd, ResealRequest, ResealView, Service,
};
use tonic::Request;

/// Handles the calls of one service.
pub(super) struct MasterKeyCalls(pub(super) Service);

/// What is said of the whole server.
const STATUS: ResealRequest = ResealRequest { counts_only: true };

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn status(status: MasterKeyStatus) -> v1::MasterKeys {
    let MasterKeyStatus { keys, counted, unread, reseal, replicas } = status;
    let key = |MasterKeyCount { id, known, newest, records }| v1::MasterKey {
        id,
        known,
        newest,
        records: records.map(number),
    };
    let replica = |ReplicaView { id, keys }| v1::Replica { id, master_key_ids: keys };
    v1::MasterKeys {
        keys: keys.into_iter().map(key).collect(),
        count_time: counted.map(time),
        unread_records: number(unread),
        reseal: reseal.map(work),
        replicas: replicas.into_iter().map(replica).collect(),
    }
}

fn work(view: ResealView) -> v1::Reseal {
    let ResealView { to, counts_only, begun, by, ended, pass, looked_at, resealed, left } = view;
    let state = match ended.map(|(_, how)| how) {
        None => v1::ResealState::Running,
        Some(ResealEnd::Done) => v1::ResealState::Done,
        Some(ResealEnd::Stopped) => v1::ResealState::Stopped,
        Some(ResealEnd::Incomplete) => v1::ResealState::Incomplete,
    };
    v1::Reseal {
        state: state.into(),
        master_key_id: to,
        counts_only,
        begin_time: Some(time(begun)),
        end_time: ended.map(|(at, _)| time(at)),
        principal: by,
        pass: i32::try_from(pass).unwrap_or(i32::MAX),
        looked_at: number(looked_at),
        resealed: number(resealed),
        damaged: number(left.damaged),
        unknown: number(left.unknown),
        again: number(left.again),
        left: left.named.into_iter().map(|(key, problem)| v1::UnresealedRecord { key, problem }).collect(),
    }
}

impl MasterKeyCalls {
    pub(super) async fn reseal(&self, request: Request<v1::ResealRequest>) -> Result<v1::ResealResponse> {
        let (call, v1::ResealRequest { counts_only }) = open(request)?;
        let now = MasterKeyObjects::of(&self.0).begin(call.permit(ResealRequest { counts_only }).await?).await?;
        Ok(v1::ResealResponse { master_keys: Some(status(now)) })
    }

    pub(super) async fn stop(&self, request: Request<v1::StopResealRequest>) -> Result<v1::StopResealResponse> {
        let (call, v1::StopResealRequest {}) = open(request)?;
        let now = MasterKeyObjects::of(&self.0).stop(call.permit(STATUS).await?).await?;
        Ok(v1::StopResealResponse { master_keys: Some(status(now)) })
    }

    pub(super) async fn get(&self, request: Request<v1::GetMasterKeysRequest>) -> Result<v1::GetMasterKeysResponse> {
        let (call, v1::GetMasterKeysRequest {}) = open(request)?;
        let now = MasterKeyObjects::of(&self.0).status(call.permit(STATUS).await?).await?;
        Ok(v1::GetMasterKeysResponse { master_keys: Some(status(now)) })
    }
}
