//! What the fake server says of rights.
#![expect(clippy::disallowed_types, reason = "a server answers with tonic::Status")]

use crate::service::Service;
use certmint::proto::v1::access_service_server::AccessService;
use certmint::proto::v1::*;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl AccessService for Service {
    async fn list_grants(&self, request: Request<ListGrantsRequest>) -> Result<Response<ListGrantsResponse>, Status> {
        let request = request.into_inner();
        let (next, id) = if request.page_token.is_empty() { ("more", "one") } else { ("", "two") };
        self.part.lock().unwrap().listed.push(request);
        let grants = vec![Grant { id: id.into(), ..shop() }];
        Ok(Response::new(ListGrantsResponse { grants, next_page_token: next.into() }))
    }

    async fn list_roles(&self, _: Request<ListRolesRequest>) -> Result<Response<ListRolesResponse>, Status> {
        Ok(Response::new(ListRolesResponse::default()))
    }

    async fn check_access(
        &self,
        request: Request<CheckAccessRequest>,
    ) -> Result<Response<CheckAccessResponse>, Status> {
        self.part.lock().unwrap().checked.push(request.into_inner());
        Ok(Response::new(CheckAccessResponse::default()))
    }

    async fn who_am_i(&self, _: Request<WhoAmIRequest>) -> Result<Response<WhoAmIResponse>, Status> {
        Ok(Response::new(WhoAmIResponse {
            principal: "token:ann".into(),
            grants: vec![Grant { principal: "token:ann".into(), ..shop() }],
            mode: AccessMode::Enforce.into(),
            credential: None,
        }))
    }

    async fn create_grant(
        &self,
        request: Request<CreateGrantRequest>,
    ) -> Result<Response<CreateGrantResponse>, Status> {
        let request = request.into_inner();
        self.part.lock().unwrap().granted.push(request.clone());
        let CreateGrantRequest {
            grant_id,
            principal,
            role,
            vault_name,
            names,
            issuers,
            rules,
            may_grant,
            expires,
            note,
        } = request;
        let grant = Grant {
            id: grant_id,
            principal,
            role,
            vault: vault_name,
            names,
            issuers,
            rules,
            may_grant,
            expires,
            note,
            ..shop()
        };
        Ok(Response::new(CreateGrantResponse { grant: Some(grant) }))
    }

    async fn get_grant(&self, request: Request<GetGrantRequest>) -> Result<Response<GetGrantResponse>, Status> {
        let grant = Grant { id: request.into_inner().grant_id, ..shop() };
        Ok(Response::new(GetGrantResponse { grant: Some(grant) }))
    }

    async fn delete_grant(
        &self,
        request: Request<DeleteGrantRequest>,
    ) -> Result<Response<DeleteGrantResponse>, Status> {
        let grant = Grant { id: request.into_inner().grant_id, ..shop() };
        Ok(Response::new(DeleteGrantResponse { grant: Some(grant) }))
    }

    async fn set_role(&self, request: Request<SetRoleRequest>) -> Result<Response<SetRoleResponse>, Status> {
        let request = request.into_inner();
        self.part.lock().unwrap().roles.push(request.clone());
        let SetRoleRequest { role_id, name, description, actions } = request;
        let role =
            Role { id: role_id, name, description, actions, source: RoleSource::Store.into(), ..Role::default() };
        Ok(Response::new(SetRoleResponse { role: Some(role) }))
    }

    async fn get_role(&self, request: Request<GetRoleRequest>) -> Result<Response<GetRoleResponse>, Status> {
        let role = Role { name: request.into_inner().role, ..Role::default() };
        Ok(Response::new(GetRoleResponse { role: Some(role) }))
    }

    async fn delete_role(&self, request: Request<DeleteRoleRequest>) -> Result<Response<DeleteRoleResponse>, Status> {
        let role = Role { name: request.into_inner().role, ..Role::default() };
        Ok(Response::new(DeleteRoleResponse { role: Some(role) }))
    }
}

/// A grant of the store.
fn shop() -> Grant {
    Grant {
        principal: "token:shop".into(),
        role: "certmint Watcher".into(),
        vault: "default".into(),
        names: vec!["*".into()],
        issuers: vec!["*".into()],
        source: GrantSource::Store.into(),
        created_by: "token:ann".into(),
        ..Grant::default()
    }
}
