//! How much one import or merge may bring.

use crate::limits::Limits;

/// What is read of the certificates that one request brings; the settings `import_bytes`, `import_certificates` and
/// `import_rounds` of `[limits]`. Each error that comes from one of them names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ImportLimits {
    /// Bytes of the file, or of all entries of a list, as they were sent.
    pub bytes: usize,
    /// Certificates, of which the time to order them grows with the square.
    pub certificates: usize,
    /// Rounds of key derivation in all; a pair of salt and rounds counts once. A file of NSS has 600,000 for its MAC, for
    /// each encryption key and for each IV; one of GnuTLS for its MAC, its key and each certificate. Eight million take
    /// two to five seconds of one processor.
    pub rounds: u64,
}

impl Default for ImportLimits {
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

impl From<&Limits> for ImportLimits {
    fn from(limits: &Limits) -> Self {
        Self { bytes: limits.import_bytes, certificates: limits.import_certificates, rounds: limits.import_rounds }
    }
}

impl ImportLimits {
    /// The bound on bytes as a person reads it.
    pub(crate) fn shown_bytes(&self) -> String {
        const MIB: usize = 1 << 20;
        match self.bytes {
            whole if whole >= MIB && whole.is_multiple_of(MIB) => format!("{} MiB", whole / MIB),
            bytes => format!("{bytes} bytes"),
        }
    }
}
