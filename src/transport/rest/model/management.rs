//! Bodies of changes and of backups. As in all requests every member may be missing or null.

use super::policy::PolicyBody;
use super::requests::TagsBody;
use serde::{Deserialize, Serialize};

/// `PATCH /certificates/{name}[/{version}]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct UpdateBody {
    pub(crate) policy: Option<PolicyBody>,
    pub(crate) attributes: Option<ChangedAttributes>,
    pub(crate) tags: Option<TagsBody>,
}

/// Clients send the dates back as they got them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ChangedAttributes {
    pub(crate) enabled: Option<bool>,
    pub(crate) nbf: Option<i64>,
    pub(crate) exp: Option<i64>,
}

/// `POST /certificates/restore`. A backup is nothing for a log, so this has no `Debug`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RestoreBody {
    pub(crate) value: Option<String>,
}

/// What `POST /certificates/{name}/backup` answers: base64 for URLs, without padding.
#[derive(Serialize)]
pub(crate) struct BackupAnswer {
    pub(crate) value: String,
}
