//! Signatures as Slack makes them (<https://docs.slack.dev/authentication/verifying-requests-from-slack>), from the hash alone (RFC 2104): not the
//! library that the product checks them with.

use sha2::{Digest, Sha256};

const BLOCK: usize = 64;

/// `v0=` and the hexadecimal HMAC-SHA256 of version, timestamp and body.
pub fn sign(secret: &str, timestamp: i64, body: &str) -> String {
    let octets = hmac(secret.as_bytes(), format!("v0:{timestamp}:{body}").as_bytes());
    format!("v0={}", octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>())
}

fn hmac(key: &[u8], content: &[u8]) -> Vec<u8> {
    let key = if key.len() > BLOCK { Sha256::digest(key).to_vec() } else { key.to_vec() };
    let pad = |byte: u8| -> Vec<u8> { (0..BLOCK).map(|at| key.get(at).copied().unwrap_or(0) ^ byte).collect() };
    let inner = Sha256::digest([pad(0x36).as_slice(), content].concat());
    Sha256::digest([pad(0x5c).as_slice(), inner.as_ref()].concat()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_in_slacks_documentation() {
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        assert_eq!(
            sign("8f742231b10e8888abcd99yyyzzz85a5", 1_531_420_618, body),
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
        );
    }
}
