//! Bodies of changes and of backups. As in all requests every member may be missing or null.

use super::policy::PolicyBody;
use super::requests::{AttributesBody, TagsBody};
use serde::{Deserialize, Serialize};

/// `PATCH /certificates/{name}[/{version}]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct UpdateBody {
    pub(crate) policy: Option<PolicyBody>,
    pub(crate) attributes: Option<AttributesBody>,
    pub(crate) tags: Option<TagsBody>,
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
