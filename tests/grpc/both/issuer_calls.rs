//! The calls for issuers, over either API.

use super::api::{Api, Said, Side, said};
use super::translated;
use certmint::proto::v1::*;
use serde_json::{Value, json};

/// What is written of an issuer; empty texts say nothing.
#[derive(Clone, Copy, Default)]
pub(super) struct IssuerInput<'a> {
    pub(super) provider: &'a str,
    pub(super) account_id: &'a str,
    pub(super) password: &'a str,
    pub(super) enabled: Option<bool>,
}

impl IssuerInput<'_> {
    fn rest(self) -> Value {
        let Self { provider, account_id, password, enabled } = self;
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        json!({"provider": filled(provider), "credentials": {"account_id": filled(account_id), "pwd": filled(password)},
            "attributes": {"enabled": enabled}})
    }

    fn grpc(self) -> Issuer {
        let Self { provider, account_id, password, enabled } = self;
        Issuer {
            provider: provider.into(),
            credentials: Some(IssuerCredentials { account_id: account_id.into(), password: password.into() }),
            attributes: Some(IssuerAttributes { enabled, ..Default::default() }),
            ..Default::default()
        }
    }
}

impl Api<'_> {
    pub(super) async fn set_issuer(&mut self, name: &str, issuer: IssuerInput<'_>) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("PUT /certificates/issuers/{name}"), &issuer.rest()).await),
            Side::Grpc(grpc) => {
                let request =
                    SetIssuerRequest { issuer_name: name.into(), issuer: Some(issuer.grpc()), ..Default::default() };
                let answer = grpc.admin.set_issuer(request).await;
                grpc.told(answer, |_, answer| translated::issuer(answer.issuer.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn update_issuer(&mut self, name: &str, issuer: IssuerInput<'_>) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("PATCH /certificates/issuers/{name}"), &issuer.rest()).await),
            Side::Grpc(grpc) => {
                let request =
                    UpdateIssuerRequest { issuer_name: name.into(), issuer: Some(issuer.grpc()), ..Default::default() };
                let answer = grpc.admin.update_issuer(request).await;
                grpc.told(answer, |_, answer| translated::issuer(answer.issuer.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn issuer(&mut self, name: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("GET /certificates/issuers/{name}"), &Value::Null).await),
            Side::Grpc(grpc) => {
                let request = GetIssuerRequest { issuer_name: name.into(), ..Default::default() };
                let answer = grpc.admin.get_issuer(request).await;
                grpc.told(answer, |_, answer| translated::issuer(answer.issuer.unwrap()))
            }
        };
        self.note(said)
    }

    pub(super) async fn delete_issuer(&mut self, name: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("DELETE /certificates/issuers/{name}"), &Value::Null).await),
            Side::Grpc(grpc) => {
                let request = DeleteIssuerRequest { issuer_name: name.into(), ..Default::default() };
                let answer = grpc.admin.delete_issuer(request).await;
                grpc.told(answer, |_, answer| translated::issuer(answer.issuer.unwrap()))
            }
        };
        self.note(said)
    }
}
