//! What the fake server says of master keys.
#![expect(clippy::disallowed_types, reason = "a server answers with tonic::Status")]

use crate::service::Service;
use certmint::proto::v1::master_key_service_server::MasterKeyService;
use certmint::proto::v1::*;
use tonic::{Request, Response, Status};

impl Service {
    fn master_keys(&self) -> Option<MasterKeys> {
        let mut part = self.part.lock().unwrap();
        match part.master_keys.len() {
            0 => Some(MasterKeys {
                keys: vec![MasterKey { id: "k1".into(), known: true, newest: true, records: None }],
                ..Default::default()
            }),
            1 => part.master_keys.front().cloned(),
            _ => part.master_keys.pop_front(),
        }
    }
}

#[tonic::async_trait]
impl MasterKeyService for Service {
    async fn reseal(&self, request: Request<ResealRequest>) -> Result<Response<ResealResponse>, Status> {
        self.part.lock().unwrap().resealed.push(request.into_inner());
        Ok(Response::new(ResealResponse { master_keys: self.master_keys() }))
    }

    async fn stop_reseal(&self, _: Request<StopResealRequest>) -> Result<Response<StopResealResponse>, Status> {
        Ok(Response::new(StopResealResponse { master_keys: self.master_keys() }))
    }

    async fn get_master_keys(
        &self,
        _: Request<GetMasterKeysRequest>,
    ) -> Result<Response<GetMasterKeysResponse>, Status> {
        Ok(Response::new(GetMasterKeysResponse { master_keys: self.master_keys() }))
    }
}
