//! SASL mechanisms on the client's side (RFC 4422): what is said first and what is answered to each challenge. Pure.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use secrecy::{ExposeSecret, SecretString};
use waypost_types::outcome::LoginOutcome;

use super::{
    Credentials, Login, Secret,
    scram::{Hash, Scram},
};
use crate::{probe::reply::LINE_SHOWN, text::shown};

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of the registry
pub enum Mechanism {
    ScramSha256Plus,
    ScramSha256,
    ScramSha1Plus,
    ScramSha1,
    Plain,
    Login,
    CramMd5,
    OauthBearer,
    Xoauth2,
}

impl Mechanism {
    /// Those that Waypost speaks, best first. SCRAM shows the password to nobody. CRAM-MD5 is the last for passwords: servers offer it that
    /// keep them hashed and can not hold it.
    pub const ALL: [Self; 9] = [
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::ScramSha1Plus,
        Self::ScramSha1,
        Self::Plain,
        Self::Login,
        Self::CramMd5,
        Self::OauthBearer,
        Self::Xoauth2,
    ];

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::OauthBearer => "OAUTHBEARER",
            Self::Xoauth2 => "XOAUTH2",
        }
    }

    const fn takes_token(self) -> bool {
        matches!(self, Self::OauthBearer | Self::Xoauth2)
    }

    const fn binds(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }

    const fn is_scram(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha256 | Self::ScramSha1Plus | Self::ScramSha1)
    }

    /// The mechanism the owner named, or the best that is offered; else what that means for the login, and why.
    pub(super) fn choose(login: &Login<'_>, can_bind: bool) -> Result<Self, (LoginOutcome, String)> {
        let credentials = login.credentials;
        let offered = |mechanism: &Self| login.offered.iter().any(|name| name == mechanism.as_str());
        let list = || if login.offered.is_empty() { "no login at all".to_owned() } else { login.offered.join(", ") };
        let (is_token, kind) = match credentials.secret {
            Secret::Password(_) => (false, "password"),
            Secret::Token(_) => (true, "token"),
        };
        if let Some(named) = credentials.mechanism {
            if named.takes_token() != is_token {
                return Err((LoginOutcome::Untried, format!("the login was not tried: {} does not go with a {kind}", named.as_str())));
            }
            if named.binds() && !can_bind {
                let reason = format!("the login was not tried: {} is bound to a TLS 1.3 session, and this is none", named.as_str());
                return Err((LoginOutcome::Untried, reason));
            }
            let missing = || (LoginOutcome::Failed, format!("the server does not offer AUTH {} under TLS; it offers {}", named.as_str(), list()));
            return Some(named).filter(offered).ok_or_else(missing);
        }
        // SCRAM compares prepared text (RFC 4013), and what is not ASCII is not prepared here: others come first.
        let ascii = credentials.user.is_ascii() && credentials.text().is_ascii();
        let mut able = Self::ALL.into_iter().filter(offered).filter(|able| able.takes_token() == is_token && (can_bind || !able.binds())).peekable();
        if able.peek().is_none() {
            return Err((LoginOutcome::Failed, format!("the server offers no login by {kind} under TLS that Waypost knows; it offers {}", list())));
        }
        able.find(|mechanism| ascii || !mechanism.is_scram()).ok_or_else(|| {
            let reason = "the login was not tried: the server offers SCRAM alone, and Waypost uses that with ASCII names and passwords only";
            (LoginOutcome::Untried, reason.to_owned())
        })
    }
}

/// Why an exchange can not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::probe) enum SaslError {
    /// No base64, or not what the mechanism says here.
    #[error("the server's challenge is not what the mechanism asks for")]
    Malformed,
    /// The server's nonce does not begin with ours.
    #[error("the server's challenge is not an answer to ours")]
    ForeignNonce,
    /// A bound on what the server can make us compute.
    #[error("the server asks for {0} rounds of hashing, more than Waypost does")]
    TooDear(u32),
    /// A challenge after the last one.
    #[error("the server goes on asking after the last answer")]
    Endless,
    /// The separators of the mechanisms.
    #[error("user name or secret has a character that can not be sent")]
    BadCharacter,
}

/// A login under way.
#[derive(Debug, Default)]
pub(in crate::probe) struct Exchange {
    state: State,
    told: Option<String>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Over,
    /// Everything is in the first answer.
    Once(SecretString),
    /// As once; a challenge is then the server's complaint, and is answered with this (RFC 7628 3.2.3).
    Bearer(SecretString, &'static [u8]),
    LoginUser(String, SecretString),
    LoginPassword(SecretString),
    Cram(String, SecretString),
    Scram(Box<Scram>),
}

impl Exchange {
    pub fn new(mechanism: Mechanism, credentials: &Credentials, server: (&str, u16), binding: Option<[u8; 32]>) -> Result<Self, SaslError> {
        let (user, text) = (&credentials.user, credentials.text());
        let separates = |c: char| matches!(c, '\0' | '\u{1}' | '\r' | '\n');
        if user.contains(separates) || text.contains(separates) {
            return Err(SaslError::BadCharacter);
        }
        let secret = || SecretString::from(text);
        let state = match mechanism {
            Mechanism::Plain => State::Once(format!("\0{user}\0{text}").into()),
            Mechanism::Login => State::LoginUser(user.clone(), secret()),
            Mechanism::CramMd5 => State::Cram(user.clone(), secret()),
            Mechanism::OauthBearer => {
                let (host, port) = server;
                let first = format!("n,a={},\u{1}host={host}\u{1}port={port}\u{1}auth=Bearer {text}\u{1}\u{1}", sasl_name(user));
                State::Bearer(first.into(), b"\x01")
            }
            Mechanism::Xoauth2 => State::Bearer(format!("user={user}\u{1}auth=Bearer {text}\u{1}\u{1}").into(), b""),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus | Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => {
                let hash = if matches!(mechanism, Mechanism::ScramSha256 | Mechanism::ScramSha256Plus) { Hash::Sha256 } else { Hash::Sha1 };
                State::Scram(Box::new(Scram::new(hash, &sasl_name(user), secret(), mechanism.binds(), binding)))
            }
        };
        Ok(Self { state, told: None })
    }

    /// What goes with the AUTH command.
    pub fn first(&mut self) -> Option<Vec<u8>> {
        match &self.state {
            State::Once(text) | State::Bearer(text, _) => Some(text.expose_secret().as_bytes().to_vec()),
            State::Scram(scram) => Some(scram.first().into_bytes()),
            State::LoginUser(..) | State::LoginPassword(_) | State::Cram(..) | State::Over => None,
        }
    }

    /// The answer to a challenge.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, SaslError> {
        let (next, answer) = match std::mem::take(&mut self.state) {
            State::LoginUser(user, password) => (State::LoginPassword(password), user.into_bytes()),
            State::LoginPassword(password) => (State::Over, password.expose_secret().as_bytes().to_vec()),
            State::Cram(user, password) => (State::Over, cram_md5(&user, password.expose_secret(), challenge)?.into_bytes()),
            State::Scram(mut scram) => {
                let answer = scram.answer(challenge);
                self.told = scram.told().map(|told| shown(told.as_bytes(), LINE_SHOWN));
                (State::Scram(scram), answer?.into_bytes())
            }
            State::Bearer(_, answer) => {
                self.told = Some(shown(challenge, LINE_SHOWN));
                (State::Over, answer.to_vec())
            }
            State::Once(_) | State::Over => return Err(SaslError::Endless),
        };
        self.state = next;
        Ok(answer)
    }

    /// What the server said of its refusal inside the mechanism, uncut: it may have a secret in it.
    pub fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    /// Whether the server proved that it knows the password; nothing where it did not say.
    pub fn proof(&self) -> Option<bool> {
        match &self.state {
            State::Scram(scram) => scram.proved(),
            _ => None,
        }
    }
}

/// RFC 5802 5.1: the two separators are escaped.
fn sasl_name(user: &str) -> String {
    user.replace('=', "=3D").replace(',', "=2C")
}

/// RFC 2195.
fn cram_md5(user: &str, password: &str, challenge: &[u8]) -> Result<String, SaslError> {
    let mut mac = Hmac::<Md5>::new_from_slice(password.as_bytes()).map_err(|_| SaslError::Malformed)?;
    mac.update(challenge);
    Ok(format!("{user} {}", hex(&mac.finalize().into_bytes())))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(user: &str, secret: Secret) -> Credentials {
        Credentials { user: user.to_owned(), secret, mechanism: None, any_certificate: false }
    }

    fn password(user: &str, password: &str) -> Credentials {
        credentials(user, Secret::Password(password.into()))
    }

    fn chosen(credentials: &Credentials, offered: &[&str], can_bind: bool) -> Result<Mechanism, LoginOutcome> {
        let offered: Vec<String> = offered.iter().map(|name| (*name).to_owned()).collect();
        let login = Login { credentials, offered: &offered, server: ("mx.example", 587), proven: true };
        Mechanism::choose(&login, can_bind).map_err(|(outcome, _)| outcome)
    }

    #[test]
    fn the_best_mechanism_is_taken() {
        use Mechanism::{CramMd5, Login, OauthBearer, Plain, ScramSha1, ScramSha256, ScramSha256Plus, Xoauth2};
        let user = password("u", "p");
        for (offered, can_bind, wanted) in [
            (&["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"][..], true, ScramSha256Plus),
            (&["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], false, ScramSha256),
            (&["SCRAM-SHA-1", "PLAIN"], false, ScramSha1),
            (&["CRAM-MD5", "LOGIN", "PLAIN"], true, Plain),
            (&["CRAM-MD5", "LOGIN"], true, Login),
            (&["DIGEST-MD5", "CRAM-MD5"], true, CramMd5),
        ] {
            assert_eq!(chosen(&user, offered, can_bind), Ok(wanted), "{offered:?}");
        }
        assert_eq!(chosen(&user, &["XOAUTH2"], true), Err(LoginOutcome::Failed));
        assert_eq!(chosen(&user, &[], true), Err(LoginOutcome::Failed));
        let umlaut = password("ü", "p");
        assert_eq!(chosen(&umlaut, &["SCRAM-SHA-256", "PLAIN"], true), Ok(Plain));
        assert_eq!(chosen(&umlaut, &["SCRAM-SHA-256"], true), Err(LoginOutcome::Untried), "not the server's fault");
        let token = credentials("u", Secret::Token("t".into()));
        assert_eq!(chosen(&token, &["PLAIN", "XOAUTH2", "OAUTHBEARER"], true), Ok(OauthBearer));
        assert_eq!(chosen(&token, &["PLAIN", "XOAUTH2"], true), Ok(Xoauth2));
        assert_eq!(chosen(&token, &["PLAIN"], true), Err(LoginOutcome::Failed));
        let named = Credentials { mechanism: Some(CramMd5), ..password("u", "p") };
        assert_eq!(chosen(&named, &["PLAIN", "CRAM-MD5"], true), Ok(CramMd5));
        assert_eq!(chosen(&named, &["PLAIN"], true), Err(LoginOutcome::Failed));
        let bound = Credentials { mechanism: Some(ScramSha256Plus), ..password("u", "p") };
        assert_eq!(chosen(&bound, &["SCRAM-SHA-256-PLUS"], false), Err(LoginOutcome::Untried));
    }

    fn exchange(mechanism: Mechanism, credentials: &Credentials) -> Exchange {
        Exchange::new(mechanism, credentials, ("server.example.com", 143), None).unwrap()
    }

    #[test]
    fn mechanisms_speak_as_their_standards_show() {
        let mut plain = exchange(Mechanism::Plain, &password("tim", "tanstaaftanstaaf"));
        assert_eq!(plain.first().unwrap(), b"\0tim\0tanstaaftanstaaf", "RFC 4616 4");
        assert_eq!(plain.answer(b""), Err(SaslError::Endless));
        let mut cram = exchange(Mechanism::CramMd5, &password("tim", "tanstaaftanstaaf"));
        assert_eq!(cram.first(), None);
        let answer = cram.answer(b"<1896.697170952@postoffice.reston.mci.net>").unwrap();
        assert_eq!(answer, b"tim b913a602c7eda7a495b4e6e7334d3890", "RFC 2195 2");
        let mut login = exchange(Mechanism::Login, &password("u", "p"));
        assert_eq!([login.answer(b"Username:"), login.answer(b"Password:")], [Ok(b"u".to_vec()), Ok(b"p".to_vec())]);
        assert_eq!(login.answer(b"?"), Err(SaslError::Endless));
        let token = credentials("user@example.com", Secret::Token("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==".into()));
        let mut bearer = exchange(Mechanism::OauthBearer, &token);
        let wanted =
            "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\u{1}\u{1}";
        assert_eq!(bearer.first().unwrap(), wanted.as_bytes(), "RFC 7628 4.1");
        assert_eq!(bearer.answer(br#"{"status":"invalid_token"}"#), Ok(vec![1]));
        assert_eq!(bearer.told(), Some(r#"{"status":"invalid_token"}"#));
        assert_eq!(exchange(Mechanism::Xoauth2, &token).answer(b"{}"), Ok(Vec::new()));
        assert!(Exchange::new(Mechanism::Plain, &password("a\0b", "p"), ("h", 1), None).is_err());
    }
}
