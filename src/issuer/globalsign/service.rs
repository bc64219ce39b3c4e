//! Calls of the SOAP services: the credentials inside of each, errors read, the password removed from
//! whatever is shown.

use super::problem::{Failure, errors};
use super::settings::Settings;
use super::soap::{Node, element, envelope, parse};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::outbound::{Exchange, Quota, Request, credential_name, retry_after};
use crate::token_bucket::Rate;
use std::time::Duration;

/// The path and the namespace of a service.
pub(super) type Service = (&'static str, &'static str);

pub(super) const ORDER: Service = ("/v2/ManagedSSLService", "https://system.globalsign.com/kb/ws/v2/");
pub(super) const QUERY: Service = ("/v1/GASService", "https://system.globalsign.com/kb/ws/v1/");
/// GlobalSign names no limit. Orders wait at it for minutes and more, so that these are many.
const RATE: Rate = Rate { burst: 50, interval: Duration::from_millis(100) };
/// A list of the orders of a day.
const MAX_BODY: usize = 16 << 20;

fn token(settings: &Settings) -> String {
    let token = element("UserName", &settings.user) + &element("Password", &settings.password);
    format!("<AuthToken>{token}</AuthToken>")
}

pub(super) fn order_header(settings: &Settings) -> String {
    format!("<OrderRequestHeader>{}</OrderRequestHeader>", token(settings))
}

pub(super) fn query_header(settings: &Settings) -> String {
    format!("<QueryRequestHeader>{}</QueryRequestHeader>", token(settings))
}

/// One call; the answer has no errors.
pub(super) async fn call_service(
    http: &dyn Exchange,
    clock: &dyn Clock,
    settings: &Settings,
    (path, namespace): Service,
    call: &str,
    request: &str,
) -> Result<Node, Failure> {
    let url = format!("{}{path}", settings.base_url);
    let mut sent = Request::post(url, "text/xml; charset=utf-8", envelope(namespace, call, request))
        .header("soapaction", "\"\"")
        .map_err(Failure::Transport)?;
    sent.max_body = Some(MAX_BODY);
    let credential = credential_name(&settings.base_url, &settings.user);
    let sent = sent.quota(Quota { credential, rate: RATE });
    let response = http.exchange(sent).await.map_err(Failure::Transport)?;
    let after = retry_after(response.text("retry-after"), clock.now());
    // A fault comes with status 500; the page of a proxy is no answer of the service.
    let read = std::str::from_utf8(&response.body).ok().and_then(|text| parse(text).ok());
    let answer = match read {
        Some(answer) if answer.find("Body").is_some() => answer,
        _ if !response.status.is_success() => return Err(Failure::Status(response.status.as_u16(), after)),
        _ => return Err(Failure::Unreadable("GlobalSign's answer is not what its service describes.".to_owned())),
    };
    errors(&answer).map_err(|failure| without(failure, &settings.password))?;
    Ok(answer)
}

/// An error may repeat what it refuses.
fn without(failure: Failure, secret: &str) -> Failure {
    // Cut behind the replacement: half a password would not be found.
    let clean = |text: String| text.replace(secret, "[password]").chars().take(240).collect::<String>();
    match failure {
        Failure::Unreadable(text) => Failure::Unreadable(clean(text)),
        Failure::Refused(errors) => {
            Failure::Refused(errors.into_iter().map(|(number, a, b)| (number, clean(a), clean(b))).collect())
        }
        other => other,
    }
}

/// Whether the credentials are good: lists the domains of the account.
pub(super) async fn check(http: &dyn Exchange, clock: &dyn Clock, settings: &Settings) -> Result<usize, Failure> {
    let answer = call_service(http, clock, settings, ORDER, "GetMSSLDomains", &query_header(settings)).await?;
    let mut details = Vec::new();
    answer.all("SearchMsslDomainDetail", &mut details);
    Ok(details.len())
}

/// `yyyy-MM-ddTHH:mm:ss.000Z`.
pub(super) fn date(at: Timestamp) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.000Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_service() {
        assert_eq!(date(Timestamp::from_seconds(1_790_000_000)), "2026-09-21T14:13:20.000Z");
    }
}
