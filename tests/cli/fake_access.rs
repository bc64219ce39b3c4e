//! What the fake server says of rights.
#![expect(clippy::disallowed_types, reason = "a server answers with tonic::Status")]

use crate::service::Service;
use certmint::proto::v1::access_service_server::AccessService;
use certmint::proto::v1::*;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl AccessService for Service {
    async fn list_grants(&self, _: Request<ListGrantsRequest>) -> Result<Response<ListGrantsResponse>, Status> {
        Ok(Response::new(ListGrantsResponse::default()))
    }

    async fn list_roles(&self, _: Request<ListRolesRequest>) -> Result<Response<ListRolesResponse>, Status> {
        Ok(Response::new(ListRolesResponse::default()))
    }

    async fn check_access(&self, _: Request<CheckAccessRequest>) -> Result<Response<CheckAccessResponse>, Status> {
        Ok(Response::new(CheckAccessResponse::default()))
    }

    async fn who_am_i(&self, _: Request<WhoAmIRequest>) -> Result<Response<WhoAmIResponse>, Status> {
        Ok(Response::new(WhoAmIResponse { principal: "token:ann".into(), ..Default::default() }))
    }
}
