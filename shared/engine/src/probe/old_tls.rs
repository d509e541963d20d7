//! What TLS a server still accepts beside the good one that a probe speaks: old versions and weak suites. The library of the probe can not
//! speak those, on purpose; a `ClientHello` is written here and the answer to it is read as far as the version and suite that the server chose.
//! Nothing is encrypted, and the handshake goes no further.

use std::{net::IpAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use waypost_types::{finding::Severity, outcome::ProbeMode};

use super::{ProbeTarget, Prober, asked::dialled, conversation::offers, literal_of};
use crate::audit::rules::{Remark, remark};

const SSL_3_0: u16 = 0x0300;
const TLS_1_0: u16 = 0x0301;
const TLS_1_1: u16 = 0x0302;
const TLS_1_2: u16 = 0x0303;

/// Suites that every server of the old versions shares one of with us.
const OLD_SUITES: [u16; 12] = [0xc013, 0xc014, 0xc009, 0xc00a, 0x0033, 0x0039, 0x002f, 0x0035, 0x000a, 0x0005, 0x0004, 0x0016];

/// What RFC 9325 4.1 forbids, with its name: no encryption, export keys, RC4 (RFC 7465), DES and 3DES.
const WEAK_SUITES: [(u16, &str); 20] = [
    (0x0000, "TLS_NULL_WITH_NULL_NULL"),
    (0x0001, "TLS_RSA_WITH_NULL_MD5"),
    (0x0002, "TLS_RSA_WITH_NULL_SHA"),
    (0x003b, "TLS_RSA_WITH_NULL_SHA256"),
    (0xc010, "TLS_ECDHE_RSA_WITH_NULL_SHA"),
    (0xc006, "TLS_ECDHE_ECDSA_WITH_NULL_SHA"),
    (0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5"),
    (0x0006, "TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5"),
    (0x0008, "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA"),
    (0x0014, "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA"),
    (0x0004, "TLS_RSA_WITH_RC4_128_MD5"),
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA"),
    (0xc011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
    (0xc007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA"),
    (0x0009, "TLS_RSA_WITH_DES_CBC_SHA"),
    (0x0015, "TLS_DHE_RSA_WITH_DES_CBC_SHA"),
    (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA"),
];

/// Suites without a certificate. Postfix takes them on port 25 by itself, and rightly: who checks no certificate loses nothing by them.
const ANONYMOUS_SUITES: [(u16, &str); 6] = [
    (0x0018, "TLS_DH_anon_WITH_RC4_128_MD5"),
    (0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA"),
    (0x003a, "TLS_DH_anon_WITH_AES_256_CBC_SHA"),
    (0x00a6, "TLS_DH_anon_WITH_AES_128_GCM_SHA256"),
    (0xc018, "TLS_ECDH_anon_WITH_AES_128_CBC_SHA"),
    (0xc019, "TLS_ECDH_anon_WITH_AES_256_CBC_SHA"),
];

/// Every suite up to TLS 1.2 with forward secrecy that an RSA or ECDSA certificate can go with, weak ones too: what a server is offered before it
/// is said to have none. DSS is left out, since nobody issues such certificates, and so is what encrypts nothing.
#[rustfmt::skip]
const FORWARD_SECRET_SUITES: [u16; 63] = [
    // ECDHE: AES-GCM, ChaCha20, AES-CBC with SHA-2 and SHA-1, 3DES, RC4, AES-CCM.
    0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9, 0xc023, 0xc024, 0xc027, 0xc028, 0xc009, 0xc00a, 0xc013, 0xc014, 0xc008, 0xc012, 0xc007, 0xc011,
    0xc0ac, 0xc0ad, 0xc0ae, 0xc0af,
    // DHE: the same, then DES and export keys.
    0x009e, 0x009f, 0xccaa, 0x0067, 0x006b, 0x0033, 0x0039, 0x0016, 0xc09e, 0xc09f, 0xc0a2, 0xc0a3, 0x0015, 0x0014,
    // DHE with Camellia and SEED, ECDHE with Camellia.
    0x0045, 0x0088, 0x00be, 0x00c4, 0xc07c, 0xc07d, 0x009a, 0xc072, 0xc073, 0xc076, 0xc077, 0xc086, 0xc087, 0xc08a, 0xc08b,
    // ARIA.
    0xc044, 0xc045, 0xc048, 0xc049, 0xc04c, 0xc04d, 0xc052, 0xc053, 0xc05c, 0xc05d, 0xc060, 0xc061,
];

/// Suites of TLS 1.2 whose key exchange is RSA, with their names.
const RSA_SUITES: [(u16, &str); 7] = [
    (0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256"),
    (0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384"),
    (0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256"),
    (0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256"),
    (0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA"),
    (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA"),
    (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
];

/// No `ServerHello` with its extensions is longer than a few hundred octets; a record holds 16 kB at most.
const LONGEST_RECORD: usize = 16 * 1024;
/// Up to the suite: type and length (4), version (2), random (32), session id (1 + 32), suite (2).
const HELLO_READ: usize = 73;

/// What a server made of a `ClientHello`.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Chose {
        version: u16,
        suite: u16,
    },
    /// An alert that says so.
    Refused,
    /// Anything else: another alert, the end of the connection, what is no TLS.
    Else,
}

/// What was found, and why the rest could not be told.
pub(super) struct Found {
    pub remarks: Vec<Remark>,
    pub untold: Option<String>,
}

/// Tries the old versions and weak suites, each in a conversation of its own. One that is not answered takes nothing from the others.
pub(super) async fn look(prober: &Prober, target: &ProbeTarget, address: IpAddr) -> Found {
    let (mut remarks, mut untold) = (Vec::new(), None);
    let mut accepted = Vec::new();
    for version in [TLS_1_1, TLS_1_0, SSL_3_0] {
        match offer(prober, target, address, version, &OLD_SUITES).await {
            Ok(Answer::Chose { version: chosen, .. }) if chosen <= version && !accepted.contains(&chosen) => accepted.push(chosen),
            Ok(_) => {}
            Err(reason) => untold = Some(reason),
        }
    }
    // Where programs log in, TLS has to be good (RFC 8997); an opportunistic sender to port 25 would else speak in clear (RFC 7435).
    let strict = target.mode == ProbeMode::Implicit || super::remarks::is_submission(target.port);
    let host = &target.host;
    if !accepted.is_empty() {
        let names: Vec<&str> = accepted.iter().map(|version| name_of(*version)).collect();
        let found = remark("tls.old_version", host, format!("{host} accepts {} on port {}", names.join(" and "), target.port));
        remarks.push(match (strict, accepted.contains(&SSL_3_0)) {
            (true, true) => found.severity(Severity::High),
            (true, false) | (false, true) => found.severity(Severity::Medium),
            (false, false) => found.severity(Severity::Low),
        });
    }
    let suites: &[&[(u16, &'static str)]] = if strict { &[&WEAK_SUITES, &ANONYMOUS_SUITES] } else { &[&WEAK_SUITES] };
    for suites in suites {
        match chosen(prober, target, address, suites).await {
            Ok(Some(name)) => {
                let found = remark("tls.weak_cipher", host, format!("{host} accepts the weak suite {name} on port {}", target.port));
                remarks.push(if strict { found } else { found.severity(Severity::Low) });
                break;
            }
            Ok(None) => {}
            Err(reason) => untold = Some(reason),
        }
    }
    Found { remarks, untold }
}

/// The suite of a server that knows RSA key exchange alone: it refuses every suite with forward secrecy, takes one without, and refuses again, so
/// that no mishap between is taken for a refusal. Nothing where it does not, or could not be asked.
pub(super) async fn only_rsa(prober: &Prober, target: &ProbeTarget, address: IpAddr) -> Option<&'static str> {
    let refuses = || async { offer(prober, target, address, TLS_1_2, &FORWARD_SECRET_SUITES).await == Ok(Answer::Refused) };
    if !refuses().await {
        return None;
    }
    let suite = chosen(prober, target, address, &RSA_SUITES).await.ok().flatten()?;
    refuses().await.then_some(suite)
}

/// The name of the suite that the server takes of these.
async fn chosen(prober: &Prober, target: &ProbeTarget, address: IpAddr, suites: &[(u16, &'static str)]) -> Result<Option<&'static str>, String> {
    let numbers: Vec<u16> = suites.iter().map(|(suite, _)| *suite).collect();
    let Answer::Chose { suite, .. } = offer(prober, target, address, TLS_1_2, &numbers).await? else { return Ok(None) };
    Ok(suites.iter().find(|(known, _)| *known == suite).map(|(_, name)| *name))
}

async fn offer(prober: &Prober, target: &ProbeTarget, address: IpAddr, version: u16, suites: &[u16]) -> Result<Answer, String> {
    let mut talk = dialled(prober, target, address).await?;
    if target.mode == ProbeMode::Starttls {
        talk.greeting().await.map_err(|end| end.reason)?;
        talk.ehlo().await.map_err(|end| end.reason)?;
        if !offers(&talk.report.extensions, "STARTTLS") {
            return Err("STARTTLS was not offered in the second conversation".to_owned());
        }
        let reply = talk.wire.ask("STARTTLS").await.map_err(|error| format!("after STARTTLS: {error}"))?;
        if reply.code != 220 {
            return Err(format!("STARTTLS is refused in the second conversation: {}", reply.text()));
        }
    }
    let stream = talk.wire.into_clear().ok_or("the connection ended")?;
    let name = literal_of(&target.host).is_none().then_some(target.host.as_str());
    exchange(stream, &client_hello(version, suites, name), prober.limits.tls).await
}

/// Sends a `ClientHello` and reads what the server chose.
async fn exchange(mut stream: TcpStream, hello: &[u8], limit: Duration) -> Result<Answer, String> {
    let until = Instant::now() + limit;
    let talk = async {
        stream.write_all(hello).await?;
        let mut head = [0; 5];
        stream.read_exact(&mut head).await?;
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        let mut body = vec![0; length.min(LONGEST_RECORD).min(HELLO_READ)];
        stream.read_exact(&mut body).await?;
        Ok::<_, std::io::Error>(read_answer(head[0], &body))
    };
    match timeout_at(until, talk).await {
        Err(_) => Err("the server did not answer an older TLS in time".to_owned()),
        Ok(Ok(answer)) => Ok(answer),
        // Whoever does not know the version may hang up without a word.
        Ok(Err(_)) => Ok(Answer::Else),
    }
}

/// The version and suite of a `ServerHello` (RFC 5246 7.4.1.3), or whether an alert says that none is shared (7.2.2).
fn read_answer(kind: u8, body: &[u8]) -> Answer {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const SERVER_HELLO: u8 = 2;
    const HANDSHAKE_FAILURE: u8 = 40;
    const INSUFFICIENT_SECURITY: u8 = 71;
    if let (ALERT, [_, HANDSHAKE_FAILURE | INSUFFICIENT_SECURITY]) = (kind, body) {
        return Answer::Refused;
    }
    let read = || {
        let (message, rest) = body.split_first()?;
        (kind == HANDSHAKE && *message == SERVER_HELLO).then_some(())?;
        // Three octets of length.
        let version = rest.get(3..5)?;
        let session = usize::from(*rest.get(37)?);
        let suite = rest.get(38 + session..40 + session)?;
        Some(Answer::Chose { version: u16::from_be_bytes([version[0], version[1]]), suite: u16::from_be_bytes([suite[0], suite[1]]) })
    };
    read().unwrap_or(Answer::Else)
}

/// A `ClientHello` in a record (RFC 5246 7.4.1.2, RFC 6101 5.6.1.2) with the extensions that servers of elliptic curves look for.
fn client_hello(version: u16, suites: &[u16], name: Option<&str>) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    // Nothing is kept secret with it: the handshake ends with the answer.
    body.extend([0x57; 32]);
    body.push(0);
    body.extend(sized(&suites.iter().flat_map(|suite| suite.to_be_bytes()).collect::<Vec<u8>>()));
    body.extend([1, 0]);
    // SSL 3.0 knows no extensions; its servers may stumble over them.
    if version > SSL_3_0 {
        let mut extensions = Vec::new();
        let mut extension = |id: u16, content: Vec<u8>| {
            extensions.extend(id.to_be_bytes());
            extensions.extend(sized(&content));
        };
        if let Some(name) = name {
            extension(0, sized(&[vec![0], sized(name.as_bytes())].concat()));
        }
        // secp256r1, secp384r1, secp521r1 and x25519; uncompressed points.
        extension(10, sized(&[0, 23, 0, 24, 0, 25, 0, 29]));
        extension(11, vec![1, 0]);
        if version == TLS_1_2 {
            // RSA, ECDSA and RSASSA-PSS with SHA-256, SHA-384 and SHA-512, RSA and ECDSA with SHA-1.
            extension(13, sized(&[4, 1, 4, 3, 5, 1, 5, 3, 6, 1, 6, 3, 8, 4, 8, 5, 8, 6, 2, 1, 2, 3]));
        }
        body.extend(sized(&extensions));
    }
    let mut message = vec![1, 0];
    message.extend(sized(&body));
    // The record's own version stays low, as clients write it.
    let mut record = vec![22];
    record.extend(version.min(TLS_1_0).to_be_bytes());
    record.extend(sized(&message));
    record
}

/// With two octets of length before it. What is written here is some hundred octets long: a host name has 253 at most.
fn sized(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), content].concat()
}

const fn name_of(version: u16) -> &'static str {
    match version {
        SSL_3_0 => "SSL 3.0",
        TLS_1_0 => "TLS 1.0",
        TLS_1_1 => "TLS 1.1",
        _ => "TLS",
    }
}

#[cfg(test)]
mod tests;
