//! Checks the records at the servers that the CA will query, before the CA is asked to validate: a failed validation
//! counts against the CA's limits and ends the order.

use super::TxtRecord;
use super::{DnsSettings, SolveError, resolver};
use crate::domain::Timestamp;
use crate::outbound::dns::{DnsError, Name, Resolver, name};
use futures_util::{StreamExt, stream};

/// Records that are looked for at the same time.
const AT_ONCE: usize = 8;

/// What a look came to.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::issuer) enum Seen {
    Everywhere,
    /// Where something is missing, in words.
    Missing(String),
}

/// Whether the records are at every server of their zones.
pub(in crate::issuer) async fn visible(settings: &DnsSettings, records: &[TxtRecord]) -> Result<Seen, SolveError> {
    let resolver = &resolver(settings).await?;
    // Several at once: an order has up to 250 names, and a step ends with its lease.
    let mut looks: Vec<_> = Vec::with_capacity(records.len());
    for record in records {
        looks.push(at_every_server(settings, resolver, record));
    }
    let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
    while let Some(seen) = looks.next().await {
        match seen? {
            Seen::Everywhere => {}
            missing @ Seen::Missing(_) => return Ok(missing),
        }
    }
    Ok(Seen::Everywhere)
}

async fn at_every_server(settings: &DnsSettings, resolver: &Resolver, record: &TxtRecord) -> Result<Seen, SolveError> {
    let at = resolver.follow(&record.owner_name()?).await?;
    for server in servers(settings, resolver, &at).await? {
        match resolver.only(server).texts(&at).await {
            Ok(texts) if texts.contains(&record.value) => {}
            Ok(_) => return Ok(Seen::Missing(format!("The TXT record at {at} is not at the server {server} yet."))),
            Err(DnsError::Unreachable(text)) => return Ok(Seen::Missing(text)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Seen::Everywhere)
}

/// The servers that are authoritative for a name.
async fn servers(
    settings: &DnsSettings,
    resolver: &Resolver,
    at: &Name,
) -> Result<Vec<std::net::SocketAddr>, DnsError> {
    if !settings.check_servers.is_empty() {
        return Ok(settings.check_servers.clone());
    }
    resolver.authoritative(&resolver.zone(at).await?.origin).await
}

/// Whether the lasting record of dns-persist-01 stands for this account and one of the CA's names.
pub(in crate::issuer) async fn persistent(
    settings: &DnsSettings,
    domain: &str,
    wanted: &Persistent<'_>,
) -> Result<Seen, SolveError> {
    let resolver = resolver(settings).await?;
    let at = resolver.follow(&name(&format!("_validation-persist.{domain}."))?).await?;
    for server in servers(settings, &resolver, &at).await? {
        let texts = match resolver.only(server).texts(&at).await {
            Ok(texts) => texts,
            Err(DnsError::Unreachable(text)) => return Ok(Seen::Missing(text)),
            Err(error) => return Err(error.into()),
        };
        if let Some(reason) = wanted.missing_in(&texts) {
            return Ok(Seen::Missing(format!("At the server {server}: {reason}")));
        }
    }
    Ok(Seen::Everywhere)
}

/// What a lasting record must say.
pub(in crate::issuer) struct Persistent<'a> {
    pub(in crate::issuer) issuer_domains: &'a [String],
    pub(in crate::issuer) account_url: &'a str,
    pub(in crate::issuer) wildcard: bool,
    pub(in crate::issuer) now: Timestamp,
}

impl Persistent<'_> {
    /// The record to publish.
    pub(in crate::issuer) fn text(&self) -> String {
        let issuer = self.issuer_domains.first().map_or("", String::as_str);
        let policy = if self.wildcard { "; policy=wildcard" } else { "" };
        format!("{issuer}; accounturi={}{policy}", self.account_url)
    }

    /// Why none of the texts will do; none where one does.
    fn missing_in(&self, texts: &[String]) -> Option<String> {
        let mut reason = "there is no such record.".to_owned();
        for text in texts {
            let mut parts = text.split(';').map(str::trim);
            let issuer = parts.next().unwrap_or_default();
            if !self.issuer_domains.iter().any(|known| known.eq_ignore_ascii_case(issuer)) {
                continue;
            }
            let parameters: Vec<(&str, &str)> = parts
                .filter_map(|part| part.split_once('='))
                .map(|(name, value)| (name.trim(), value.trim()))
                .collect();
            let parameter = |name: &str| {
                parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
            };
            let until = parameter("persistUntil").and_then(|until| until.parse::<i64>().ok());
            if parameter("accounturi") != Some(self.account_url) {
                reason = "the record names another account.".to_owned();
            } else if self.wildcard
                && !parameter("policy").is_some_and(|policy| policy.eq_ignore_ascii_case("wildcard"))
            {
                reason = "the record does not allow wildcards: add policy=wildcard.".to_owned();
            } else if until.is_some_and(|until| until <= self.now.seconds()) {
                reason = "the record has expired (persistUntil).".to_owned();
            } else {
                return None;
            }
        }
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_record_must_fit_account_wildcard_and_time() {
        let issuers = ["ca.example".to_owned()];
        let wanted = Persistent {
            issuer_domains: &issuers,
            account_url: "https://ca/acct/1",
            wildcard: true,
            now: Timestamp::from_seconds(1000),
        };
        let missing = |text: &str| wanted.missing_in(&[text.to_owned()]);
        assert_eq!(missing(&wanted.text()), None);
        assert_eq!(missing("CA.example;policy=WILDCARD; accounturi=https://ca/acct/1; persistUntil=1001"), None);
        for (text, reason) in [
            ("other.example; accounturi=https://ca/acct/1; policy=wildcard", "no such record"),
            ("ca.example; accounturi=https://ca/acct/2; policy=wildcard", "another account"),
            ("ca.example; accounturi=https://ca/acct/1", "policy=wildcard"),
            ("ca.example; accounturi=https://ca/acct/1; policy=wildcard; persistUntil=1000", "has expired"),
            ("", "no such record"),
        ] {
            assert!(missing(text).is_some_and(|found| found.contains(reason)), "{text}");
        }
    }
}
