//! Passwords: what counts as one, and argon2id off the async threads, a few at a time so that a wave of sign-ins can not eat the memory.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::http::problem::ApiError;

const SHORTEST: usize = 10;
const LONGEST: usize = 256;
const AT_ONCE: usize = 2;

/// Passwords of ten and more characters that everybody tries first; shorter ones are refused by their length.
const COMMON: [&str; 24] = [
    "1234567890",
    "12345678910",
    "0123456789",
    "9876543210",
    "0987654321",
    "1111111111",
    "0000000000",
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "qwertyuiop",
    "qwerty12345",
    "qwerty123456",
    "asdfghjkl;",
    "zxcvbnm123",
    "password12",
    "password123",
    "password1234",
    "passw0rd123",
    "iloveyou123",
    "abcdefghij",
    "abcd1234567",
    "administrator",
    "letmein123",
    "welcome123",
];

/// Work per password.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    /// OWASP's first choice for argon2id: 19 MiB, two passes.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

/// Hashes and compares passwords. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    cost: Cost,
    places: Arc<Semaphore>,
}

impl Passwords {
    /// With that much work per password.
    pub fn new(cost: Cost) -> Self {
        Self { cost, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Refuses what is no good password, by the name of its field.
    pub fn judge(password: &str, email: Option<&str>) -> Result<(), ApiError> {
        let length = password.chars().count();
        if length < SHORTEST {
            return Err(ApiError::field("password", format!("Use at least {SHORTEST} characters; a few words make a good password.")));
        }
        if length > LONGEST {
            return Err(ApiError::field("password", format!("Use at most {LONGEST} characters.")));
        }
        let lower = password.to_lowercase();
        let one_character = lower.chars().next().is_some_and(|first| lower.chars().all(|other| other == first));
        if one_character || COMMON.contains(&lower.as_str()) {
            return Err(ApiError::field("password", "This password is among the first that anybody tries. Choose another."));
        }
        if email.is_some_and(|email| email.eq_ignore_ascii_case(password)) {
            return Err(ApiError::field("password", "Do not use your address as password."));
        }
        Ok(())
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: String) -> Result<String, ApiError> {
        let cost = self.cost;
        self.off_thread(move || {
            let hash = hasher(cost)?.hash_password(password.as_bytes()).map_err(|error| ApiError::internal(error.to_string()))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether the password is the one of `hash`. Without a hash it does the same work and answers no.
    pub async fn matches(&self, password: String, hash: Option<String>) -> Result<bool, ApiError> {
        let cost = self.cost;
        self.off_thread(move || {
            let hasher = hasher(cost)?;
            let Some(hash) = hash else {
                hasher.hash_password(password.as_bytes()).map_err(|error| ApiError::internal(error.to_string()))?;
                return Ok(false);
            };
            let parsed = PasswordHash::new(&hash).map_err(|error| ApiError::internal(error.to_string()))?;
            Ok(hasher.verify_password(password.as_bytes(), &parsed).is_ok())
        })
        .await
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T, ApiError> + Send + 'static) -> Result<T, ApiError> {
        let _place = self.places.acquire().await.map_err(ApiError::internal)?;
        tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?
    }
}

fn hasher(cost: Cost) -> Result<Argon2<'static>, ApiError> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new(Cost { memory_kib: 64, passes: 1 });
        let hash = passwords.hash("correct horse battery".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(passwords.matches("correct horse battery".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.matches("correct horse".to_owned(), Some(hash)).await.unwrap());
        assert!(!passwords.matches("correct horse battery".to_owned(), None).await.unwrap());
    }

    #[test]
    fn weak_passwords_are_refused() {
        for weak in ["short", "password123", "aaaaaaaaaaaa", "Me@example.com", &"x1".repeat(200)] {
            assert!(Passwords::judge(weak, Some("me@example.com")).is_err(), "{weak}");
        }
        assert!(Passwords::judge("correct horse battery", None).is_ok());
    }
}
