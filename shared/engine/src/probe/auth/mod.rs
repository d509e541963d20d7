//! Logging in (RFC 4954): which mechanism is taken, what is said, and what the answer means. Credentials go under TLS alone, and to a
//! certificate that proves the server unless the owner said that any will do.

mod sasl;
mod scram;

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use waypost_types::outcome::{LoginOutcome, LoginReport};

use super::{
    reply::Reply,
    wire::{Wire, WireError},
};
use crate::text::shown;
use sasl::{Exchange, SaslError};

pub use sasl::Mechanism;

/// RFC 5321 4.5.3.1.4: a command line has 512 bytes with its end. A longer first answer waits for the server's 334.
const MOST_COMMAND: usize = 510;

/// Characters shown of what a server says inside a mechanism.
const TOLD: usize = 120;

/// Challenges of one login; SCRAM has two and LOGIN too.
const MOST_CHALLENGES: usize = 5;

/// What proves who logs in.
#[derive(Debug, Clone)]
pub enum Secret {
    /// A password.
    Password(SecretString),
    /// An `OAuth` 2.0 access token, as it goes behind `Bearer`.
    Token(SecretString),
}

/// A login to try.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password or token.
    pub secret: Secret,
    /// The mechanism to use; the best of those offered when absent.
    pub mechanism: Option<Mechanism>,
    /// The owner takes it that the certificate proves nothing: the login goes to whoever answers.
    pub any_certificate: bool,
}

impl Credentials {
    /// A password, tried by the best mechanism and at a proven server alone.
    pub fn password(user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self { user: user.into(), secret: Secret::Password(password.into()), mechanism: None, any_certificate: false }
    }

    fn text(&self) -> &str {
        match &self.secret {
            Secret::Password(secret) | Secret::Token(secret) => secret.expose_secret(),
        }
    }
}

/// What a login depends on.
pub(super) struct Login<'a> {
    /// Who logs in.
    pub credentials: &'a Credentials,
    /// Mechanisms offered now.
    pub offered: &'a [String],
    /// The server's name and port.
    pub server: (&'a str, u16),
    /// The certificate is trusted and names the host.
    pub proven: bool,
}

/// The mechanisms in the lines of an EHLO reply, those of the form `AUTH=LOGIN` (before RFC 2554) too.
pub(super) fn offered(extensions: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in extensions {
        let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("AUTH")) {
            continue;
        }
        for word in words.map(str::to_ascii_uppercase) {
            if !found.contains(&word) {
                found.push(word);
            }
        }
    }
    found
}

/// Mechanisms that hand the secret itself to whoever listens.
pub(super) fn shows_secret(mechanism: &str) -> bool {
    matches!(mechanism, "PLAIN" | "LOGIN" | "XOAUTH2" | "OAUTHBEARER")
}

fn ended(mechanism: Option<Mechanism>, outcome: LoginOutcome, reason: impl Into<String>) -> LoginReport {
    LoginReport { mechanism: mechanism.map(|mechanism| mechanism.as_str().to_owned()), outcome, reason: reason.into() }
}

/// Logs in, or says why not.
pub(super) async fn log_in(wire: &mut Wire<'_>, login: &Login<'_>) -> Result<LoginReport, WireError> {
    let credentials = login.credentials;
    if !wire.is_tls() {
        let reason = "the login was not tried: the connection is not encrypted, and Waypost sends no password in clear";
        return Ok(ended(None, LoginOutcome::Untried, reason));
    }
    if !login.proven && !credentials.any_certificate {
        let reason = "the login was not tried: the certificate does not prove that this is the server";
        return Ok(ended(None, LoginOutcome::Untried, reason));
    }
    let binding = wire.channel_binding();
    let mechanism = match Mechanism::choose(login, binding.is_some()) {
        Ok(mechanism) => mechanism,
        Err((outcome, reason)) => return Ok(ended(None, outcome, reason)),
    };
    let mut exchange = match Exchange::new(mechanism, credentials, login.server, binding) {
        Ok(exchange) => exchange,
        Err(error) => return Ok(ended(Some(mechanism), LoginOutcome::Untried, format!("the login was not tried: {error}"))),
    };
    // A server may say back what it has read out of what we said.
    wire.keep_secret(STANDARD.encode(credentials.text()));
    wire.keep_secret(credentials.text().to_owned());
    let (reply, said) = converse(wire, mechanism, &mut exchange).await?;
    let told = exchange.told().map(|told| shown(wire.masked(told.to_owned()), TOLD));
    Ok(judge(mechanism, &reply, said, (&exchange, told)))
}

/// Says and answers until the server decides, or until it asks what the mechanism has no answer for.
async fn converse(wire: &mut Wire<'_>, mechanism: Mechanism, exchange: &mut Exchange) -> Result<(Reply, Option<SaslError>), WireError> {
    let command = format!("AUTH {}", mechanism.as_str());
    let mut first = exchange.first().map(|first| STANDARD.encode(first));
    let mut reply = match first.take_if(|first| command.len() + 1 + first.len() <= MOST_COMMAND) {
        Some(first) => {
            wire.keep_secret(first.clone());
            wire.ask(&format!("{command} {first}")).await?
        }
        None => wire.ask(&command).await?,
    };
    for _ in 0..MOST_CHALLENGES {
        if reply.code != 334 {
            return Ok((reply, None));
        }
        let answer = match first.take() {
            Some(first) => Ok(first),
            None => answer(exchange, reply.lines.first().map_or("", String::as_str)).await,
        };
        match answer {
            Ok(answer) => {
                wire.keep_secret(answer.clone());
                reply = wire.ask(&answer).await?;
            }
            Err(error) => {
                // RFC 4954 4: this alone ends an exchange that the client can not go on with.
                let reply = wire.ask("*").await?;
                return Ok((reply, Some(error)));
            }
        }
    }
    let error = (reply.code == 334).then_some(SaslError::Endless);
    Ok((reply, error))
}

/// Deriving a key takes long on purpose: not on a thread that others wait for.
async fn answer(exchange: &mut Exchange, challenge: &str) -> Result<String, SaslError> {
    let challenge = STANDARD.decode(challenge.trim()).map_err(|_| SaslError::Malformed)?;
    let mut taken = std::mem::take(exchange);
    let worked = tokio::task::spawn_blocking(move || {
        let answer = taken.answer(&challenge);
        (taken, answer)
    });
    let (given_back, answer) = worked.await.map_err(|_| SaslError::Malformed)?;
    *exchange = given_back;
    answer.map(|answer| STANDARD.encode(answer))
}

fn judge(mechanism: Mechanism, reply: &Reply, gave_up: Option<SaslError>, (exchange, told): (&Exchange, Option<String>)) -> LoginReport {
    let name = mechanism.as_str();
    let said = told.map(|told| format!(" (it says “{told}”)")).unwrap_or_default();
    let with = |outcome, reason: String| ended(Some(mechanism), outcome, reason);
    if let Some(error) = gave_up {
        return with(LoginOutcome::Failed, format!("the login by {name} fails: {error}"));
    }
    let text = reply.text();
    // A passing trouble is told by the enhanced code too, where the server puts it behind a 535 (RFC 3463 2: class 4 passes).
    let passes = reply.class() == 4 || reply.lines.first().is_some_and(|line| line.starts_with("4."));
    match reply.code {
        235 => match exchange.proof() {
            Some(false) => {
                with(LoginOutcome::Failed, format!("the server takes the login by {name} and does not know the password: it may be another one"))
            }
            _ => with(LoginOutcome::Accepted, format!("the server takes the login by {name}")),
        },
        _ if passes => with(LoginOutcome::Unknown, format!("the login could not be judged, the server refuses it for now: {text}{said}")),
        535 => with(LoginOutcome::Refused, format!("the login is refused, user or password is wrong: {text}{said}")),
        534 => with(LoginOutcome::Failed, format!("the server wants another mechanism than {name}: {text}")),
        _ => with(LoginOutcome::Failed, format!("the server offers {name} and does not take it: {text}{said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms_are_read_in_both_forms() {
        let lines = ["SIZE 1", "AUTH PLAIN  login", "AUTH=LOGIN CRAM-MD5", "AUTHX NO"].map(str::to_owned);
        assert_eq!(offered(&lines), ["PLAIN", "LOGIN", "CRAM-MD5"]);
        assert_eq!(offered(&[]), [""; 0]);
    }

    #[test]
    fn answers_to_a_login_are_told_apart() {
        let exchange = Exchange::default();
        let outcome = |code, line: &str| judge(Mechanism::Plain, &Reply { code, lines: vec![line.to_owned()] }, None, (&exchange, None)).outcome;
        for (code, line, wanted) in [
            (235, "2.7.0 in", LoginOutcome::Accepted),
            (535, "5.7.8 no", LoginOutcome::Refused),
            (535, "no", LoginOutcome::Refused),
            (535, "4.7.0 back end is away", LoginOutcome::Unknown),
            (454, "4.7.0 later", LoginOutcome::Unknown),
            (432, "4.7.12 transition", LoginOutcome::Unknown),
            (421, "closing", LoginOutcome::Unknown),
            (534, "5.7.9 too weak", LoginOutcome::Failed),
            (504, "5.5.4 unknown", LoginOutcome::Failed),
            (250, "what", LoginOutcome::Failed),
        ] {
            assert_eq!(outcome(code, line), wanted, "{code} {line}");
        }
        let gave_up = judge(Mechanism::ScramSha256, &Reply { code: 501, lines: vec![String::new()] }, Some(SaslError::Malformed), (&exchange, None));
        assert_eq!(gave_up.outcome, LoginOutcome::Failed);
    }
}
