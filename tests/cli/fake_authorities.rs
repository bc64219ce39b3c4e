//! The certificate authorities of the fake server.
#![expect(clippy::disallowed_types, reason = "a server answers with tonic::Status")]

use crate::service::Service;
use certmint::proto::v1::certificate_authority_service_server::CertificateAuthorityService;
use certmint::proto::v1::*;
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

pub(crate) const SERIAL: &str = "4a3f0b5c6d7e8f9a0b1c2d3e4f5a6b7c";

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

impl Service {
    fn issued(&self, state: IssuedState) -> IssuedCertificate {
        IssuedCertificate {
            vault_name: "default".into(),
            issuer_name: "ca".into(),
            authority: "90e139c5ae992dd4e7b5c26f727ef55a".into(),
            serial: SERIAL.into(),
            state: state.into(),
            certificate_name: "web".into(),
            principal: "ann".into(),
            door: "create".into(),
            subject: "CN=web.example".into(),
            names: vec!["dns:web.example".into(), "ip:10.0.0.1".into()],
            not_after: at(1_831_536_000),
            create_time: at(1_800_000_000),
            cer: if state == IssuedState::Issued { self.chain[0].clone().into() } else { Default::default() },
            ..Default::default()
        }
    }
}

#[tonic::async_trait]
impl CertificateAuthorityService for Service {
    async fn list_authorities(
        &self,
        request: Request<ListAuthoritiesRequest>,
    ) -> Result<Response<ListAuthoritiesResponse>, Status> {
        // To a caller with a grant for this issuer alone.
        let is_shown = request.get_ref().issuer_name == "ca";
        let authority = |generation, state: AuthorityState| Authority {
            authority: format!("{generation}0e139c5ae992dd4e7b5c26f727ef55a"),
            issuer_name: "ca".into(),
            generation,
            state: state.into(),
            subject: format!("CN=Root {generation}"),
            key_type: "P-256".into(),
            not_after: at(1_831_536_000),
            chain: self.chain.iter().filter(|_| is_shown).map(|der| der.clone().into()).collect(),
            cross: if is_shown { self.chain[0].clone().into() } else { Default::default() },
            ..Default::default()
        };
        let authorities = vec![authority(1, AuthorityState::Retired), authority(2, AuthorityState::Active)];
        Ok(Response::new(ListAuthoritiesResponse { authorities }))
    }

    async fn get_issued_certificate(
        &self,
        request: Request<GetIssuedCertificateRequest>,
    ) -> Result<Response<GetIssuedCertificateResponse>, Status> {
        let state = if request.get_ref().serial == SERIAL { IssuedState::Issued } else { IssuedState::Abandoned };
        Ok(Response::new(GetIssuedCertificateResponse { certificate: Some(self.issued(state)) }))
    }

    /// Two pages.
    async fn list_issued_certificates(
        &self,
        request: Request<ListIssuedCertificatesRequest>,
    ) -> Result<Response<ListIssuedCertificatesResponse>, Status> {
        let ListIssuedCertificatesRequest { since, page_token, .. } = request.into_inner();
        if since.is_some_and(|since| since.seconds != 1_793_491_200) {
            return Err(Status::internal("another time"));
        }
        let (states, next_page_token) = match page_token.as_str() {
            "" => (vec![IssuedState::Issued, IssuedState::Abandoned], "next".to_owned()),
            _ => (vec![IssuedState::Intended], String::new()),
        };
        let certificates = states.into_iter().map(|state| self.issued(state)).collect();
        Ok(Response::new(ListIssuedCertificatesResponse { certificates, next_page_token }))
    }

    /// Answers what it was asked for: the reason, and by whom the certificate was named.
    async fn revoke_certificate(
        &self,
        request: Request<RevokeCertificateRequest>,
    ) -> Result<Response<RevokeCertificateResponse>, Status> {
        use revoke_certificate_request::Which;
        let RevokeCertificateRequest { which, reason, disable, .. } = request.into_inner();
        let named = match which {
            Some(Which::Version(it)) => it.certificate_name,
            Some(Which::Serial(it)) => it.serial,
            Some(Which::Certificate(der)) => if der == self.chain[0] { "itself" } else { "another" }.to_owned(),
            None => String::new(),
        };
        let revocation = Revocation {
            reason,
            principal: format!("{named}, disable {disable:?}"),
            time: at(1_800_000_000),
            crl_expected: at(1_800_000_010),
            ..Default::default()
        };
        let mut certificate = self.issued(IssuedState::Issued);
        certificate.revocation = Some(revocation);
        let same_key = vec![self.issued(IssuedState::Issued)];
        Ok(Response::new(RevokeCertificateResponse { certificate: Some(certificate), same_key }))
    }

    async fn create_authority(
        &self,
        request: Request<CreateAuthorityRequest>,
    ) -> Result<Response<CreateAuthorityResponse>, Status> {
        let CreateAuthorityRequest { issuer_name, parent, subject, key_type, .. } = request.into_inner();
        let state = match AuthorityParent::try_from(parent) {
            // Its present one is below another CA.
            Ok(AuthorityParent::Unspecified) => return Err(Status::invalid_argument("say who signs the next one")),
            Ok(AuthorityParent::External) => AuthorityState::Requested,
            _ => AuthorityState::Next,
        };
        let authority = Authority { issuer_name, subject, key_type, state: state.into(), ..Default::default() };
        let warnings = vec!["Clients have to trust it.".to_owned()];
        Ok(Response::new(CreateAuthorityResponse { authority: Some(authority), warnings }))
    }

    async fn get_authority_request(
        &self,
        _: Request<GetAuthorityRequestRequest>,
    ) -> Result<Response<GetAuthorityRequestResponse>, Status> {
        Ok(Response::new(GetAuthorityRequestResponse { csr: self.csr.clone().into() }))
    }

    async fn install_authority(
        &self,
        _: Request<InstallAuthorityRequest>,
    ) -> Result<Response<InstallAuthorityResponse>, Status> {
        Err(Status::invalid_argument("not a CA"))
    }

    async fn import_authority(
        &self,
        _: Request<ImportAuthorityRequest>,
    ) -> Result<Response<ImportAuthorityResponse>, Status> {
        Err(Status::invalid_argument("not a CA"))
    }

    async fn activate_authority(
        &self,
        _: Request<ActivateAuthorityRequest>,
    ) -> Result<Response<ActivateAuthorityResponse>, Status> {
        let authority = Authority { state: AuthorityState::Active.into(), ..Default::default() };
        Ok(Response::new(ActivateAuthorityResponse { authority: Some(authority) }))
    }

    async fn retire_authority(
        &self,
        _: Request<RetireAuthorityRequest>,
    ) -> Result<Response<RetireAuthorityResponse>, Status> {
        let authority = Authority { state: AuthorityState::Retired.into(), ..Default::default() };
        Ok(Response::new(RetireAuthorityResponse { authority: Some(authority) }))
    }
}
