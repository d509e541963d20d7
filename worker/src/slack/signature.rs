//! Slack's signatures (<https://docs.slack.dev/authentication/verifying-requests-from-slack>): HMAC-SHA256 over version, timestamp and raw body.

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};

/// How far a timestamp may be from now.
const WINDOW: TimeDelta = TimeDelta::minutes(5);

/// Why a request is not believed to be Slack's. No more is said to who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// Missing, of another form, or of another key or body.
    #[error("the signature does not fit")]
    Wrong,
    /// From another time.
    #[error("the timestamp is more than five minutes away")]
    Stale,
}

/// Checks `X-Slack-Signature` against `X-Slack-Request-Timestamp` and the body as it came. Answers the signature's octets, which are to be
/// taken once.
pub fn check(secret: &SecretString, timestamp: &str, signature: &str, body: &[u8], now: DateTime<Utc>) -> Result<Vec<u8>, BadSignature> {
    let at = timestamp.parse::<i64>().ok().and_then(|at| DateTime::from_timestamp(at, 0)).ok_or(BadSignature::Wrong)?;
    if (now - at).abs() > WINDOW {
        return Err(BadSignature::Stale);
    }
    let octets = signature.strip_prefix("v0=").and_then(octets).ok_or(BadSignature::Wrong)?;
    let signed = [b"v0:", timestamp.as_bytes(), b":", body].concat();
    // It compares in constant time.
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()), &signed, &octets).map_err(|_| BadSignature::Wrong)?;
    Ok(octets)
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's own documentation.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    const AT: i64 = 1_531_420_618;

    fn checked(timestamp: &str, signature: &str, body: &str, later: i64) -> Result<(), BadSignature> {
        let now = DateTime::from_timestamp(AT + later, 0).unwrap();
        check(&SECRET.to_owned().into(), timestamp, signature, body.as_bytes(), now).map(drop)
    }

    #[test]
    fn only_what_slack_signed_lately_is_believed() {
        let at = AT.to_string();
        for later in [0, 300, -300] {
            assert_eq!(checked(&at, SIGNATURE, BODY, later), Ok(()), "{later}");
        }
        for later in [301, -301] {
            assert_eq!(checked(&at, SIGNATURE, BODY, later), Err(BadSignature::Stale), "{later}");
        }
        let other = (AT + 1).to_string();
        for (timestamp, signature, body) in [
            (at.as_str(), SIGNATURE, "token=x"),
            (&other, SIGNATURE, BODY),
            (&at, &SIGNATURE.replace("a211", "a212"), BODY),
            (&at, SIGNATURE.trim_start_matches("v0="), BODY),
            (&at, "v0=", BODY),
            (&at, &SIGNATURE[..64], BODY),
            ("", SIGNATURE, BODY),
            ("soon", SIGNATURE, BODY),
        ] {
            assert_eq!(checked(timestamp, signature, body, 0), Err(BadSignature::Wrong), "{timestamp} {signature}");
        }
    }
}
