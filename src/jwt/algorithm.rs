//! The signature algorithms that are known (RFC 7518 section 3.1, RFC 8037 section 3.1). `none` and those with a shared
//! secret are not among them.

use aws_lc_rs::signature as aws;
use aws_lc_rs::signature::{RsaParameters, VerificationAlgorithm};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A name of the header `alg`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

/// How a signature is checked.
pub(super) enum Verification {
    Rsa(&'static RsaParameters),
    /// On a curve, with the length of a coordinate in bytes.
    Ec(&'static dyn VerificationAlgorithm, usize),
    Ed(&'static dyn VerificationAlgorithm),
}

impl Algorithm {
    const ALL: [(&'static str, Self); 10] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("ES512", Self::Es512),
        ("EdDSA", Self::EdDsa),
    ];

    /// What is accepted where the configuration does not say.
    pub const DEFAULT: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384];

    /// By its name, which compares with case (RFC 7515 section 4.1.1).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(known, algorithm)| (known == name).then_some(algorithm))
    }

    pub(super) fn verification(self) -> Verification {
        match self {
            Self::Rs256 => Verification::Rsa(&aws::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Verification::Rsa(&aws::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Verification::Rsa(&aws::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Verification::Rsa(&aws::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Verification::Rsa(&aws::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Verification::Rsa(&aws::RSA_PSS_2048_8192_SHA512),
            Self::Es256 => Verification::Ec(&aws::ECDSA_P256_SHA256_FIXED, 32),
            Self::Es384 => Verification::Ec(&aws::ECDSA_P384_SHA384_FIXED, 48),
            Self::Es512 => Verification::Ec(&aws::ECDSA_P521_SHA512_FIXED, 66),
            Self::EdDsa => Verification::Ed(&aws::ED25519),
        }
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Self::parse(&name).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|(known, _)| *known).collect();
            D::Error::custom(format!("it is not a signature algorithm of JWTs: use one of {}", known.join(", ")))
        })
    }
}
