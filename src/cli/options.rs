//! Options of every client command: the server, the trusted roots, and the output format.

use super::failure::Failure;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Options of every client command.
#[derive(Clone, Debug, clap::Args)]
pub struct ClientOptions {
    /// The server
    #[arg(
        long,
        global = true,
        env = "CERTMINT_SERVER",
        value_name = "URL",
        default_value = "https://localhost:8443",
        value_parser = server_url,
        help_heading = "Connection"
    )]
    pub server: String,

    /// PEM file of the certificate authorities to trust [default: ./.certmint/ca.pem if there is one, else the
    /// system's]
    #[arg(long, global = true, env = "CERTMINT_CA", value_name = "FILE", help_heading = "Connection")]
    pub ca: Option<PathBuf>,

    /// The vault [default: the one that the host of --server names]; `-` for every vault, in lists and watches
    #[arg(
        long,
        global = true,
        env = "CERTMINT_VAULT",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true,
        help_heading = "Connection"
    )]
    pub vault: String,

    /// Bearer token; prefer the variable, since other users can see a command line
    #[arg(
        long,
        global = true,
        env = "CERTMINT_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = "Connection"
    )]
    pub token: Option<Secret>,

    /// File with the bearer token
    #[arg(
        long,
        global = true,
        env = "CERTMINT_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "token",
        help_heading = "Connection"
    )]
    pub token_file: Option<PathBuf>,

    /// PEM file of the client certificate and the chain above it, in place of a token; a token wins where both are given
    #[arg(
        long,
        global = true,
        env = "CERTMINT_CLIENT_CERT",
        value_name = "FILE",
        requires = "client_key",
        help_heading = "Connection"
    )]
    pub client_cert: Option<PathBuf>,

    /// PEM file of its private key
    #[arg(
        long,
        global = true,
        env = "CERTMINT_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert",
        help_heading = "Connection"
    )]
    pub client_key: Option<PathBuf>,

    /// Give up after this long (500ms, 30s, 5m, 1h) [default: 30s for a call, never for --wait and watch]
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration, help_heading = "Connection")]
    pub timeout: Option<Duration>,

    /// Output format
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM", help_heading = "Output")]
    pub output: OutputFormat,

    /// Also print the causes of errors
    #[arg(long, short = 'v', global = true, help_heading = "Output")]
    pub verbose: bool,
}

/// How results and errors are printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// A text that no Debug output shows.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl ClientOptions {
    /// The token that was given, or that the file holds.
    pub(super) fn token(&self) -> Result<Option<Secret>, Box<Failure>> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(Some(token.clone())),
            (None, None) => Ok(None),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file).map(zeroize::Zeroizing::new);
                let text = text.map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
                let token = text.trim();
                if token.is_empty() {
                    return Err(Failure::usage(format!("{} contains no token", file.display())));
                }
                Ok(Some(Secret(token.to_owned())))
            }
        }
    }
}

/// An `https` URL of a host and a port; a bare `host:port` is taken as one.
fn server_url(text: &str) -> Result<String, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let uri: http::Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
    if uri.scheme_str() != Some("https") {
        return Err("the server speaks TLS only: write https://HOST:PORT".to_owned());
    }
    if uri.host().is_none_or(str::is_empty) || !matches!(uri.path(), "" | "/") {
        return Err("write https://HOST:PORT, without a path".to_owned());
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// A whole number with one of the units ms, s, m and h.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong_duration(text))?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong_duration(text)),
    };
    match number.checked_mul(milliseconds) {
        Some(0) | None => Err(wrong_duration(text)),
        Some(total) => Ok(Duration::from_millis(total)),
    }
}

fn wrong_duration(text: &str) -> String {
    format!("`{text}` is not a positive duration: write a whole number followed by ms, s, m or h, such as 30s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_are_above_zero() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for text in ["", "30", "s", "0s", "-1s", "1.5s", "1 s", "1d", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn servers_are_https_urls_without_a_path() {
        assert_eq!(server_url("https://localhost:8443/").unwrap(), "https://localhost:8443");
        assert_eq!(server_url("team-a.localhost:8443").unwrap(), "https://team-a.localhost:8443");
        assert_eq!(server_url("https://[::1]:8443").unwrap(), "https://[::1]:8443");
        for text in ["", "http://localhost:8443", "https://", "https://a/b", "https://a b"] {
            assert!(server_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_in_debug_output() {
        let Ok(secret) = "hunter2".parse::<Secret>();
        assert_eq!((format!("{secret:?}"), secret.reveal()), ("(hidden)".to_owned(), "hunter2"));
    }
}
