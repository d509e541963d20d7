//! Secrets that must be used again (keys of block lists, logins, addresses of channels), sealed by a key from the environment: AES-256-GCM, each under a nonce of its own
//! and bound to whose and what it is.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use secrecy::{ExposeSecret, SecretString};
use waypost_types::{OrgId, ServerId};

/// Why a secret can not be sealed or opened. No more is said: what is wrong with a sealed text is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Our key does not work; it never happens with keys that were made from text.
    #[error("the secret could not be sealed")]
    Sealing,
    /// Another key, another owner, or an altered text.
    #[error("the sealed secret can not be opened: WAYPOST_SECRET_KEY is another than when it was sealed")]
    Opening,
}

/// Seals and opens secrets.
#[derive(Clone)]
pub struct Seal(std::sync::Arc<RandomizedNonceKey>);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

struct Length;
impl KeyType for Length {
    fn len(&self) -> usize {
        AES_256_GCM.key_len()
    }
}

impl Seal {
    /// From `WAYPOST_SECRET_KEY`.
    pub fn new(secret: &SecretString) -> Result<Self, SealError> {
        let mut key = [0_u8; 32];
        let prk = Salt::new(HKDF_SHA256, b"waypost").extract(secret.expose_secret().as_bytes());
        prk.expand(&[b"sealed secrets 1"], Length).and_then(|okm| okm.fill(&mut key)).map_err(|_| SealError::Sealing)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| SealError::Sealing)?;
        Ok(Self(std::sync::Arc::new(key)))
    }

    /// The nonce, then the sealed text with its tag.
    pub fn seal(&self, org: OrgId, what: &str, secret: &SecretString) -> Result<Vec<u8>, SealError> {
        let mut text = secret.expose_secret().as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(bound(org, what)), &mut text).map_err(|_| SealError::Sealing)?;
        Ok([nonce.as_ref().as_slice(), &text].concat())
    }

    /// The secret of this owner and purpose.
    pub fn open(&self, org: OrgId, what: &str, sealed: &[u8]) -> Result<SecretString, SealError> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Opening)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Opening)?;
        let mut text = text.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::from(bound(org, what)), &mut text).map_err(|_| SealError::Opening)?;
        String::from_utf8(plain.to_vec()).map(SecretString::from).map_err(|_| SealError::Opening)
    }
}

/// What the key of a block list is sealed as.
pub fn key_of(list: &str) -> String {
    format!("list:{list}")
}

/// What the login of a mail server is sealed as.
pub fn login_of(server: ServerId) -> String {
    format!("server_login:{server}")
}

fn bound(org: OrgId, what: &str) -> String {
    format!("{org} {what}")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_the_same_key_owner_and_purpose_open_what_was_sealed() {
        let seal = Seal::new(&"k".repeat(32).into()).unwrap();
        let (org, other) = (OrgId(Uuid::from_u128(1)), OrgId(Uuid::from_u128(2)));
        let sealed = seal.seal(org, &key_of("a"), &"secret".to_owned().into()).unwrap();
        assert_eq!(seal.open(org, "list:a", &sealed).unwrap().expose_secret(), "secret");
        assert_ne!(sealed, seal.seal(org, "list:a", &"secret".to_owned().into()).unwrap(), "each has its nonce");
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        assert!(seal.open(other, "list:a", &sealed).is_err() && seal.open(org, "list:b", &sealed).is_err());
        assert!(Seal::new(&"l".repeat(32).into()).unwrap().open(org, "list:a", &sealed).is_err());
        for cut in 0..sealed.len() {
            assert!(seal.open(org, "list:a", &sealed[..cut]).is_err());
        }
    }
}
