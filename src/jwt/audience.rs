//! Audiences (`aud`, RFC 7519 section 4.1.3) of the configuration.

/// Resources whose tokens are for others, and would be accepted here by whoever got hold of one.
const OF_OTHERS: [&str; 3] = ["https://vault.azure.net", "https://management.azure.com", "https://graph.microsoft.com"];

/// What clouds hand tokens to workloads for.
const EXCHANGE: &str = "api://azureadtokenexchange";

/// Refuses what is for another service; of these only a federated client, which is one subject, may have the exchange.
///
/// # Errors
/// What is wrong with it, and what to write.
pub(super) fn check_own(audience: &str, may_exchange: bool) -> Result<(), String> {
    let plain = without_slash(audience).to_ascii_lowercase();
    if OF_OTHERS.contains(&plain.as_str()) || plain == EXCHANGE && !may_exchange {
        return Err(format!(
            "{} is the audience of another service, whose tokens could be used here then, and the other way round; use \
             an address of this server",
            super::refusal::shown(audience)
        ));
    }
    Ok(())
}

/// As audiences are compared.
pub(super) fn without_slash(text: &str) -> &str {
    text.strip_suffix('/').unwrap_or(text)
}
