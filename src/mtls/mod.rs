//! Client certificates (mTLS): whose a certificate is that was shown in a TLS handshake, by the CAs that are trusted for
//! that and by SPIFFE ids. The handshake proves that the caller has the key; everything else is judged after it, with
//! the CAs, revocations and time of that moment, for resumed sessions too.

mod allowed;
mod cause;
mod entry;
mod judged;
mod options;
mod possession;
mod roots;
mod shown;
mod trust;

pub use cause::Cause;
pub use judged::CertificateIdentity;
pub use options::{CertificateOptions, CertificateUse, SpiffeOptions, X509Options};
pub use possession::Possession;
pub use shown::Shown;
pub use trust::{CertificateError, ClientTrust, Revocations, TrustOptions};
