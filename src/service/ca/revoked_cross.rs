//! The certificate by which a root vouches for the next one, once it is revoked: nobody gets it any more with what is
//! signed from then on.

use crate::domain::authority::AuthorityRecord;
use crate::domain::issued::{Door, IssuedRecord};
use crate::domain::{Blob, Result};
use crate::service::context::Context;
use crate::service::records::{Scan, key, shown};
use crate::store::Put;

/// The writes that take a revoked certificate away from the authorities that hand it out, and from their issuer objects.
/// What is damaged, which was logged, keeps it: a revocation does not wait for that.
pub(super) async fn without_cross(context: &Context, issued: &IssuedRecord) -> Result<Vec<Put>> {
    let mut puts = Vec::new();
    let Some(cross) = issued.cer.as_ref().filter(|_| issued.asked.door == Door::Authority) else { return Ok(puts) };
    let prefix = key::authorities_of(&issued.asked.vault);
    let mut scan = Scan::new(&*context.store, prefix.as_str());
    while let Some(page) = scan.next().await? {
        for record in page {
            let Ok(mut authority) = context.records.read::<AuthorityRecord>(&record) else { continue };
            if authority.above.cross.as_ref() != Some(cross) {
                continue;
            }
            authority.above.cross = None;
            puts.push(context.records.replace(&record, &authority, record.due)?);
            puts.extend(without_handed(context, &authority, cross).await?);
        }
    }
    Ok(puts)
}

/// As [`without_cross`], of the issuer object for which the authority signs.
async fn without_handed(context: &Context, authority: &AuthorityRecord, cross: &Blob) -> Result<Option<Put>> {
    let place = key::issuer(&authority.vault, &authority.issuer);
    let Some((record, mut config)) = shown(context.load(&place).await)? else { return Ok(None) };
    let signs = |chain: &[Blob]| chain.first() == authority.chain.first();
    let Some(held) = config.authority.as_mut().filter(|held| signs(&held.chain) && held.handed.last() == Some(cross))
    else {
        return Ok(None);
    };
    held.handed.clear();
    context.records.replace(&record, &config, None).map(Some)
}
