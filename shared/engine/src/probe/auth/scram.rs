//! SCRAM (RFC 5802, 7677) on the client's side, bound to the TLS session (RFC 9266) where both can.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretString};

use super::sasl::SaslError;

/// RFC 7677 4 asks for 4,096 and more; servers use up to some hundred thousand.
const MOST_ROUNDS: u32 = 500_000;

/// The hash of a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    fn derived(self, password: &str, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let (algorithm, length) = match self {
            Self::Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
            Self::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        };
        let mut key = vec![0; length];
        pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut key);
        key
    }

    fn key(self, bytes: &[u8]) -> hmac::Key {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::Key::new(algorithm, bytes)
    }

    fn digest(self, bytes: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, bytes)
    }
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Scram {
    hash: Hash,
    password: SecretString,
    nonce: String,
    first_bare: String,
    /// The header of RFC 5801 4, which says what was thought of binding.
    header: &'static str,
    binding: Vec<u8>,
    stage: Stage,
    told: Option<String>,
}

#[derive(Debug)]
enum Stage {
    First,
    /// What the server signs, and with which key.
    Final {
        key: Box<hmac::Key>,
        message: String,
    },
    Proved,
    Failed,
}

impl Scram {
    /// For a name that is escaped already. `binding` is what binds to this session, when it can be bound to; `bound` asks for it.
    pub fn new(hash: Hash, name: &str, password: SecretString, bound: bool, binding: Option<[u8; 32]>) -> Self {
        let mut random = [0; 18];
        rand::rng().fill_bytes(&mut random);
        Self::with_nonce(hash, name, password, STANDARD.encode(random), bound, binding)
    }

    fn with_nonce(hash: Hash, name: &str, password: SecretString, nonce: String, bound: bool, binding: Option<[u8; 32]>) -> Self {
        let (header, binding) = match binding {
            Some(binding) if bound => ("p=tls-exporter,,", binding.to_vec()),
            // We could and the server does not offer it: one that does hears of the downgrade (RFC 5802 6).
            Some(_) => ("y,,", Vec::new()),
            None => ("n,,", Vec::new()),
        };
        Self { hash, password, first_bare: format!("n={name},r={nonce}"), nonce, header, binding, stage: Stage::First, told: None }
    }

    pub fn first(&self) -> String {
        format!("{}{}", self.header, self.first_bare)
    }

    pub fn answer(&mut self, challenge: &[u8]) -> Result<String, SaslError> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| SaslError::Malformed)?;
        if let Some(error) = challenge.strip_prefix("e=") {
            self.told = Some(error.to_owned());
            self.stage = Stage::Failed;
            return Ok(String::new());
        }
        match std::mem::replace(&mut self.stage, Stage::Failed) {
            Stage::First => self.prove(challenge),
            Stage::Final { key, message } => {
                let signature = challenge.strip_prefix("v=").ok_or(SaslError::Malformed)?;
                let signature = STANDARD.decode(signature.split(',').next().unwrap_or_default()).map_err(|_| SaslError::Malformed)?;
                if hmac::verify(&key, message.as_bytes(), &signature).is_ok() {
                    self.stage = Stage::Proved;
                }
                // The server goes on to its reply; what it proved is asked for then.
                Ok(String::new())
            }
            Stage::Proved | Stage::Failed => Err(SaslError::Endless),
        }
    }

    fn prove(&mut self, challenge: &str) -> Result<String, SaslError> {
        let mut parts = challenge.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(SaslError::Malformed);
        let (nonce, salt, rounds) = (part("r=")?, part("s=")?, part("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(SaslError::ForeignNonce);
        }
        let salt = STANDARD.decode(salt).map_err(|_| SaslError::Malformed)?;
        let rounds: NonZeroU32 = rounds.parse().map_err(|_| SaslError::Malformed)?;
        if rounds.get() > MOST_ROUNDS {
            return Err(SaslError::TooDear(rounds.get()));
        }
        let bound = STANDARD.encode([self.header.as_bytes(), &self.binding].concat());
        let without_proof = format!("c={bound},r={nonce}");
        let message = format!("{},{challenge},{without_proof}", self.first_bare);
        let salted = self.hash.key(&self.hash.derived(self.password.expose_secret(), &salt, rounds));
        let client = hmac::sign(&salted, b"Client Key");
        let signature = hmac::sign(&self.hash.key(self.hash.digest(client.as_ref()).as_ref()), message.as_bytes());
        let proof: Vec<u8> = client.as_ref().iter().zip(signature.as_ref()).map(|(key, signed)| key ^ signed).collect();
        let server = hmac::sign(&salted, b"Server Key");
        self.stage = Stage::Final { key: Box::new(self.hash.key(server.as_ref())), message };
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    pub fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    /// Whether the server proved that it knows the password; nothing while it has not said.
    pub fn proved(&self) -> Option<bool> {
        match self.stage {
            Stage::Proved => Some(true),
            Stage::Failed => Some(false),
            Stage::First | Stage::Final { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(hash: Hash, nonce: &str) -> Scram {
        Scram::with_nonce(hash, "user", "pencil".into(), nonce.to_owned(), false, None)
    }

    #[test]
    fn the_examples_of_the_standards_are_spoken() {
        for (hash, nonce, challenge, answer, verdict) in [
            (
                Hash::Sha1,
                "fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
            (
                Hash::Sha256,
                "rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ] {
            let mut scram = user(hash, nonce);
            assert_eq!(scram.first(), format!("n,,n=user,r={nonce}"));
            assert_eq!(scram.answer(challenge.as_bytes()).unwrap(), answer);
            assert_eq!(scram.proved(), None);
            assert_eq!(scram.answer(verdict.as_bytes()).unwrap(), "");
            assert_eq!(scram.proved(), Some(true));
            assert_eq!(scram.answer(b"more"), Err(SaslError::Endless));
            let mut scram = user(hash, nonce);
            scram.answer(challenge.as_bytes()).unwrap();
            scram.answer(b"v=AAAA").unwrap();
            assert_eq!(scram.proved(), Some(false), "a signature of somebody else");
        }
    }

    #[test]
    fn servers_can_not_lead_astray() {
        for (challenge, error) in [
            ("r=abc,s=QSXC,i=4096", SaslError::ForeignNonce),
            ("r=nonce,s=QSXC,i=4096", SaslError::ForeignNonce),
            ("r=nonce1,s=QSXC,i=4000000000", SaslError::TooDear(4_000_000_000)),
            ("r=nonce1,s=QSXC,i=0", SaslError::Malformed),
            ("r=nonce1,s=!,i=1", SaslError::Malformed),
            ("m=ext,r=nonce1,s=QSXC,i=1", SaslError::Malformed),
            ("", SaslError::Malformed),
        ] {
            assert_eq!(user(Hash::Sha256, "nonce").answer(challenge.as_bytes()), Err(error), "{challenge}");
        }
        let mut refused = user(Hash::Sha1, "nonce");
        assert_eq!((refused.answer(b"e=unknown-user"), refused.told()), (Ok(String::new()), Some("unknown-user")));
    }

    #[test]
    fn sessions_are_bound_where_both_can() {
        let scram = |bound, binding| Scram::with_nonce(Hash::Sha256, "u", "p".into(), "n".to_owned(), bound, binding);
        assert!(scram(true, Some([7; 32])).first().starts_with("p=tls-exporter,,n=u"));
        assert!(scram(false, Some([7; 32])).first().starts_with("y,,"));
        let mut bound = scram(true, Some([7; 32]));
        let answer = bound.answer(b"r=nx,s=QSXC,i=1").unwrap();
        let said = answer.strip_prefix("c=").unwrap().split(',').next().unwrap().to_owned();
        assert_eq!(STANDARD.decode(said).unwrap(), [&b"p=tls-exporter,,"[..], &[7; 32]].concat());
    }
}
