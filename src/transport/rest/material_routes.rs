//! The routes of the secret and key views, including Key Vault's writes, which are refused for the secret and key of a
//! certificate (contract section 9).

use super::routes::{Endpoint, Route, at};
use crate::domain::KeyOperation;
use http::Method;

pub(super) static MATERIAL_ROUTES: [Route; 32] = [
    at(Method::GET, "/secrets", Endpoint::ListSecrets),
    at(Method::GET, "/secrets/{secret_name}", Endpoint::GetSecret),
    at(Method::GET, "/secrets/{secret_name}/versions", Endpoint::ListSecretVersions),
    at(Method::GET, "/secrets/{secret_name}/{secret_version}", Endpoint::GetSecret),
    at(Method::GET, "/keys", Endpoint::ListKeys),
    at(Method::GET, "/keys/{key_name}", Endpoint::GetKey),
    at(Method::GET, "/keys/{key_name}/versions", Endpoint::ListKeyVersions),
    at(Method::GET, "/keys/{key_name}/{key_version}", Endpoint::GetKey),
    at(Method::POST, "/keys/{key_name}/sign", Endpoint::UseKey(KeyOperation::Sign)),
    at(Method::POST, "/keys/{key_name}/{key_version}/sign", Endpoint::UseKey(KeyOperation::Sign)),
    at(Method::POST, "/keys/{key_name}/verify", Endpoint::UseKey(KeyOperation::Verify)),
    at(Method::POST, "/keys/{key_name}/{key_version}/verify", Endpoint::UseKey(KeyOperation::Verify)),
    at(Method::POST, "/keys/{key_name}/encrypt", Endpoint::UseKey(KeyOperation::Encrypt)),
    at(Method::POST, "/keys/{key_name}/{key_version}/encrypt", Endpoint::UseKey(KeyOperation::Encrypt)),
    at(Method::POST, "/keys/{key_name}/decrypt", Endpoint::UseKey(KeyOperation::Decrypt)),
    at(Method::POST, "/keys/{key_name}/{key_version}/decrypt", Endpoint::UseKey(KeyOperation::Decrypt)),
    at(Method::POST, "/keys/{key_name}/wrapkey", Endpoint::UseKey(KeyOperation::WrapKey)),
    at(Method::POST, "/keys/{key_name}/{key_version}/wrapkey", Endpoint::UseKey(KeyOperation::WrapKey)),
    at(Method::POST, "/keys/{key_name}/unwrapkey", Endpoint::UseKey(KeyOperation::UnwrapKey)),
    at(Method::POST, "/keys/{key_name}/{key_version}/unwrapkey", Endpoint::UseKey(KeyOperation::UnwrapKey)),
    at(Method::PUT, "/secrets/{secret_name}", Endpoint::RefuseSecret("set")),
    at(Method::PATCH, "/secrets/{secret_name}", Endpoint::RefuseSecret("update")),
    at(Method::PATCH, "/secrets/{secret_name}/{secret_version}", Endpoint::RefuseSecret("update")),
    at(Method::DELETE, "/secrets/{secret_name}", Endpoint::RefuseSecret("delete")),
    at(Method::POST, "/secrets/{secret_name}/backup", Endpoint::RefuseSecret("backup")),
    at(Method::PUT, "/keys/{key_name}", Endpoint::RefuseKey("import")),
    at(Method::POST, "/keys/{key_name}/create", Endpoint::RefuseKey("create")),
    at(Method::PATCH, "/keys/{key_name}", Endpoint::RefuseKey("update")),
    at(Method::PATCH, "/keys/{key_name}/{key_version}", Endpoint::RefuseKey("update")),
    at(Method::DELETE, "/keys/{key_name}", Endpoint::RefuseKey("delete")),
    at(Method::POST, "/keys/{key_name}/backup", Endpoint::RefuseKey("backup")),
    at(Method::POST, "/keys/{key_name}/rotate", Endpoint::RefuseKey("rotate")),
];
