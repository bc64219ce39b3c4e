//! The address of the database: a URL as libpq reads it, with what the driver does not support (`sslmode=verify-full`,
//! `sslrootcert`) taken out, and never shown with its password.

use percent_encoding::percent_decode_str;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How much the server has to prove; the names and their meaning are those of libpq's `sslmode`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verify {
    /// No TLS.
    Disable,
    /// TLS if the server offers it, with any certificate.
    Prefer,
    /// TLS with any certificate.
    Require,
    /// TLS with a certificate of a trusted authority, for any name.
    Authority,
    /// TLS with a certificate of a trusted authority for this host.
    Full,
}

/// The address of a database. Displays without its password.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(super) config: Config,
    pub(super) verify: Verify,
    /// PEM file of the trusted authorities; the system's if there is none.
    pub(super) root_certificates: Option<PathBuf>,
}

/// Why a text is not the address of a database. Does not repeat the text, which may hold a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DatabaseUrlError {
    #[error("the address of a database begins with postgres:// and looks like postgres://user@host:5432/database")]
    Scheme,
    #[error("sslmode is disable, prefer, require, verify-ca or verify-full")]
    SslMode,
    #[error("the address of the database cannot be read: {0}")]
    Parse(String),
    #[error("the address of the database names no host: write postgres://user@host:5432/database")]
    NoHost,
    #[error("the address of the database names no database: write postgres://user@host:5432/database")]
    NoDatabase,
    #[error("the address of the database names no user: write postgres://user@host:5432/database")]
    NoUser,
}

impl std::str::FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(DatabaseUrlError::Scheme);
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut root_certificates, mut rest) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = || percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "sslmode" => mode = Some(value()),
                "sslrootcert" => {
                    root_certificates = Some(PathBuf::from(value())).filter(|path| path.as_os_str() != "system")
                }
                _ => rest.push(pair),
            }
        }
        let verify = match mode.as_deref() {
            Some("disable") => Verify::Disable,
            // As libpq does it: who names an authority wants it asked.
            Some("require") if root_certificates.is_some() => Verify::Authority,
            None | Some("prefer") => Verify::Prefer,
            Some("require") => Verify::Require,
            Some("verify-ca") => Verify::Authority,
            Some("verify-full") => Verify::Full,
            Some(_) => return Err(DatabaseUrlError::SslMode),
        };
        let text = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut config: Config = text.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            DatabaseUrlError::Parse(cause.unwrap_or_else(|| error.to_string()))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(DatabaseUrlError::NoHost);
        }
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(DatabaseUrlError::NoDatabase);
        }
        if config.get_user().is_none_or(str::is_empty) {
            return Err(DatabaseUrlError::NoUser);
        }
        config.ssl_mode(match verify {
            Verify::Disable => SslMode::Disable,
            Verify::Prefer => SslMode::Prefer,
            Verify::Require | Verify::Authority | Verify::Full => SslMode::Require,
        });
        // Of several hosts the one that takes writes: a standby is passed by.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self { config, verify, root_certificates })
    }
}

impl DatabaseUrl {
    /// Uses this password instead of one in the address.
    pub fn set_password(&mut self, password: &str) {
        self.config.password(password);
    }

    /// Whether passwords and records would cross a network that anyone could listen to or stand in for.
    pub(super) fn is_exposed(&self) -> bool {
        let checked = matches!(self.verify, Verify::Authority | Verify::Full);
        let here = |address: &IpAddr| address.to_canonical().is_loopback();
        // Where there are addresses, the hosts are only the names that certificates are compared with.
        let leaves_the_machine = if self.config.get_hostaddrs().is_empty() {
            self.config.get_hosts().iter().any(|host| match host {
                Host::Tcp(name) => !name
                    .parse()
                    .map_or_else(|_| name.eq_ignore_ascii_case("localhost"), |address: IpAddr| here(&address)),
                Host::Unix(_) => false,
            })
        } else {
            !self.config.get_hostaddrs().iter().all(here)
        };
        !checked && leaves_the_machine
    }

    /// What is connected to, in the order of the ports: the addresses where they are given, with the names beside them.
    fn places(&self) -> Vec<String> {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let addresses = self.config.get_hostaddrs();
        if addresses.is_empty() {
            return hosts.collect();
        }
        let mut hosts = hosts.fuse();
        let shown = addresses.iter().map(|address| match (hosts.next(), address) {
            (Some(host), address) if host != address.to_string() => format!("{host}[{address}]"),
            (_, IpAddr::V6(address)) => format!("[{address}]"),
            (_, address) => address.to_string(),
        });
        shown.collect()
    }
}

/// The parts that are no secret.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@", self.config.get_user().unwrap_or_default())?;
        let ports = self.config.get_ports();
        for (index, place) in self.places().iter().enumerate() {
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{place}:{port}")?;
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self}, {:?})", self.verify)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DatabaseUrl {
        text.parse().unwrap()
    }

    #[test]
    fn the_password_is_never_shown() {
        for text in ["postgres://u:hunter2@db/c", "postgresql://u@db:5432/c?password=hunter2&sslmode=disable"] {
            let url = read(text);
            assert_eq!(url.config.get_password(), Some(&b"hunter2"[..]));
            assert_eq!(url.to_string(), "postgres://u@db:5432/c");
            assert!(!format!("{url:?}").contains("hunter2"), "{url:?}");
        }
        for text in
            ["postgres://u:hunter2@db:port/c", "http://u:hunter2@db", "postgres://u:hunter2@db/c?sslmode=hunter2"]
        {
            let message = text.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn tls_is_as_libpq_names_it() {
        for (query, verify) in [
            ("", Verify::Prefer),
            ("?sslmode=disable", Verify::Disable),
            ("?sslmode=require", Verify::Require),
            ("?sslmode=require&sslrootcert=/a%20b.pem", Verify::Authority),
            ("?sslmode=verify-ca", Verify::Authority),
            ("?connect_timeout=3&sslmode=verify-full&sslrootcert=system", Verify::Full),
        ] {
            let url = read(&format!("postgres://u@db/c{query}"));
            assert_eq!(url.verify, verify, "{query}");
            let root = url.root_certificates.map(|path| path.display().to_string());
            assert_eq!(root.as_deref(), query.contains("/a").then_some("/a b.pem"));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, error) in [
            ("mysql://u@db/c", DatabaseUrlError::Scheme),
            ("postgres://u@db/c?sslmode=on", DatabaseUrlError::SslMode),
            ("postgres:///c?user=u", DatabaseUrlError::NoHost),
            ("postgres://u@db", DatabaseUrlError::NoDatabase),
            ("postgres://db/c", DatabaseUrlError::NoUser),
        ] {
            assert_eq!(text.parse::<DatabaseUrl>().unwrap_err(), error, "{text}");
        }
        assert!(matches!("postgres://u@db/c?nonsense=1".parse::<DatabaseUrl>(), Err(DatabaseUrlError::Parse(_))));
    }

    #[test]
    fn several_hosts_and_sockets_are_shown() {
        let url = read("postgres://u@a:1,b:2/c");
        assert_eq!(url.to_string(), "postgres://u@a:1,b:2/c");
        assert!(url.is_exposed() && !read("postgres://u@localhost/c").is_exposed());
        let url = read("postgres://u@%2Frun%2Fpostgresql/c");
        assert_eq!(url.to_string(), "postgres://u@/run/postgresql:5432/c");
        assert!(!url.is_exposed());
    }

    #[test]
    fn an_address_beside_the_host_is_the_one_that_counts_and_is_shown() {
        for (text, shown, exposed) in [
            ("postgres://u@localhost/c?hostaddr=192.0.2.1", "postgres://u@localhost[192.0.2.1]:5432/c", true),
            ("postgres:///c?user=u&hostaddr=192.0.2.1", "postgres://u@192.0.2.1:5432/c", true),
            ("postgres:///c?user=u&hostaddr=2001:db8::1&port=6", "postgres://u@[2001:db8::1]:6/c", true),
            (
                "postgres://u@a,b/c?hostaddr=127.0.0.1,192.0.2.1",
                "postgres://u@a[127.0.0.1]:5432,b[192.0.2.1]:5432/c",
                true,
            ),
            ("postgres://u@db/c?hostaddr=127.0.0.2", "postgres://u@db[127.0.0.2]:5432/c", false),
            ("postgres:///c?user=u&hostaddr=::1", "postgres://u@[::1]:5432/c", false),
            ("postgres://u@db/c?hostaddr=192.0.2.1&sslmode=verify-full", "postgres://u@db[192.0.2.1]:5432/c", false),
        ] {
            let url = read(text);
            assert_eq!((url.to_string().as_str(), url.is_exposed()), (shown, exposed), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_not_exposed() {
        for (host, exposed) in [
            ("127.example.com", true),
            ("localhost.example.com", true),
            ("10.0.0.1", true),
            ("LOCALHOST", false),
            ("127.1.2.3", false),
        ] {
            assert_eq!(read(&format!("postgres://u@{host}/c")).is_exposed(), exposed, "{host}");
        }
    }
}
