//! One Received field (RFC 5321 4.4) in the forms that Postfix, Exim, Sendmail, Exchange, Gmail and qmail write. What does not fit is kept and said.

use std::net::IpAddr;

use waypost_types::headers::Hop;

use super::{
    date,
    tokens::{Token, tokens},
};
use crate::net::not_public;

/// The words after a keyword, with the comments among them.
#[derive(Debug, Default)]
struct Clause {
    words: Vec<String>,
    comments: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Before,
    From,
    By,
    Via,
    With,
    Tls,
    Id,
    For,
}

const KEYS: usize = 8;

impl Key {
    fn of(word: &str, current: Self) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "from" if current == Self::Before => Self::From,
            "by" => Self::By,
            "via" => Self::Via,
            "with" => Self::With,
            // Exim's own clause, after “with esmtps”.
            "tls" if current == Self::With => Self::Tls,
            "id" => Self::Id,
            "for" => Self::For,
            _ => return None,
        })
    }
}

/// Reads a field that was unfolded.
pub(super) fn parse(raw: &str) -> Hop {
    let all = tokens(raw, false);
    let end = all.iter().rposition(|token| *token == Token::Semicolon);
    let (head, tail) = match end {
        Some(at) => (all.get(..at).unwrap_or_default(), all.get(at + 1..).unwrap_or_default()),
        None => (all.as_slice(), &[][..]),
    };
    let mut clauses: [Clause; KEYS] = Default::default();
    let mut key = Key::Before;
    for token in head {
        match token {
            Token::Word(word) => {
                // What follows a keyword is its value, even when it reads like one.
                let fresh = key != Key::Before && clauses[key as usize].words.is_empty();
                match Key::of(word, key).filter(|_| !fresh) {
                    Some(next) => key = next,
                    None => clauses[key as usize].words.push(word.clone()),
                }
            }
            Token::Comment(comment) => clauses[key as usize].comments.push(comment.clone()),
            Token::Semicolon | Token::Equals => {}
        }
    }
    let mut hop = Hop { raw: raw.to_owned(), ..Hop::default() };
    client(&mut hop, &clauses[Key::From as usize]);
    let by = &clauses[Key::By as usize];
    hop.by = by.words.first().map(|word| plain(word));
    hop.software = by.comments.iter().find(|comment| ip_of(comment).is_none() && !comment.is_empty()).cloned();
    hop.via = joined(&clauses[Key::Via as usize].words);
    hop.with = joined(&clauses[Key::With as usize].words);
    hop.id = clauses[Key::Id as usize].words.first().map(|id| unbracketed(id).to_owned());
    hop.recipient = clauses[Key::For as usize].words.first().map(|address| unbracketed(address).to_owned()).filter(|address| !address.is_empty());
    encryption(&mut hop, &clauses, tail);
    if hop.software.is_none() {
        let mut behind = clauses[Key::With as usize].comments.iter().chain(&clauses[Key::Tls as usize].comments);
        hop.software = behind.rfind(|comment| comment.starts_with("Exim")).cloned();
    }
    hop.envelope_from = clauses.iter().flat_map(|clause| &clause.comments).find_map(|comment| {
        let (_, sender) = comment.split_once("envelope-from ").or_else(|| comment.split_once("envelope-sender "))?;
        Some(unbracketed(sender.split_whitespace().next()?).to_owned())
    });
    when(&mut hop, tail, end.is_some());
    if end.is_none()
        && let Some(time) = clauses[Key::Id as usize].words.get(1..).and_then(|words| date::parse(&words.join(" ")))
    {
        // Senders written in Go leave out the semicolon before the time.
        hop.time = Some(time);
        hop.remarks.clear();
    }
    if clauses.iter().skip(1).all(|clause| clause.words.is_empty()) {
        let only: Vec<&str> = clauses[0].comments.iter().map(String::as_str).collect();
        // (qmail 123 invoked by uid 89): a hop within the machine.
        match only.first().filter(|comment| comment.starts_with("qmail") || comment.contains("invoked")) {
            Some(comment) => hop.software = Some((*comment).to_owned()),
            None => hop.remarks.push("The field names neither “from” nor “by”; it is shown as it stands".to_owned()),
        }
    } else if hop.by.is_none() {
        hop.remarks.push("The field does not say which host wrote it (no “by”)".to_owned());
    }
    hop
}

fn joined(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(" "))
}

fn unbracketed(text: &str) -> &str {
    text.trim_start_matches('<').trim_end_matches('>')
}

/// A host name without its final dot, in lower case.
fn plain(name: &str) -> String {
    name.trim_end_matches(['.', ',']).to_ascii_lowercase()
}

/// An address in brackets or bare, with `IPv6:` or a port as hosts add them.
fn ip_of(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_end_matches(',');
    let inner = text.strip_prefix('[').map_or(text, |rest| rest.split(']').next().unwrap_or(rest));
    let inner = inner.get(..5).filter(|head| head.eq_ignore_ascii_case("ipv6:")).map_or(inner, |_| inner.get(5..).unwrap_or_default());
    let inner = inner.split('%').next().unwrap_or(inner);
    inner.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))
}

/// Who the client was: `helo (reverse [address])` and its many cousins.
fn client(hop: &mut Hop, from: &Clause) {
    let first = from.words.first().map(String::as_str);
    let mut address = first.and_then(ip_of);
    let mut helo = first.filter(|word| ip_of(word).is_none()).map(plain);
    let mut reverse = None;
    // Exim and qmail name the reverse name first and the HELO in a comment.
    let mut named = None;
    for comment in &from.comments {
        if is_about_tls(comment) {
            continue;
        }
        let mut words = comment.split_whitespace().peekable();
        let mut first_word = true;
        while let Some(word) = words.next() {
            let lower = word.to_ascii_lowercase();
            if let Some(name) = lower.strip_prefix("helo=") {
                named = Some(plain(name.trim_matches(['[', ']'])));
            } else if matches!(lower.as_str(), "helo" | "ehlo") {
                named = words.next().map(|name| plain(name.trim_matches(['[', ']'])));
            } else if let Some(found) = ip_of(word).or_else(|| word.rsplit_once('@').and_then(|(_, host)| ip_of(host))) {
                address = address.or(Some(found));
            } else if first_word && word.contains('.') && !word.contains(['@', '=']) {
                reverse = Some(plain(word));
            }
            first_word = false;
        }
    }
    if let Some(named) = named {
        // “from [address] (helo=name)” and “from reverse (HELO name)”; “unknown” is qmail's word for no reverse name.
        reverse = reverse.or(helo.filter(|name| name != "unknown"));
        helo = Some(named);
    }
    hop.private = address.is_some_and(|address| not_public(address).is_some());
    (hop.helo, hop.reverse, hop.address) = (helo.filter(|name| !name.is_empty()), reverse, address);
}

fn is_about_tls(comment: &str) -> bool {
    let start = comment.get(..5).unwrap_or_default().to_ascii_lowercase();
    start == "using" || start.starts_with("tls") || start.starts_with("ssl") || start == "versi" || comment.contains("certificate")
}

/// TLS as `with` and the comments tell it.
fn encryption(hop: &mut Hop, clauses: &[Clause; KEYS], tail: &[Token]) {
    let comments = clauses.iter().flat_map(|clause| clause.comments.iter().map(String::as_str));
    let late = tail.iter().filter_map(|token| match token {
        Token::Comment(comment) => Some(comment.as_str()),
        _ => None,
    });
    for comment in comments.chain(late).filter(|comment| is_about_tls(comment)) {
        let mut words = comment.split([' ', ',', '\t']).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            let lower = word.to_ascii_lowercase();
            if let Some(version) = lower.strip_prefix("version=") {
                hop.tls_version = hop.tls_version.take().or_else(|| version_of(version));
            } else if lower.starts_with("cipher=") {
                hop.tls_cipher = hop.tls_cipher.take().or_else(|| word.get(7..).map(str::to_owned));
            } else if lower == "cipher" {
                hop.tls_cipher = hop.tls_cipher.take().or_else(|| words.peek().map(|cipher| (*cipher).to_owned()));
            } else if hop.tls_version.is_none() && (lower.starts_with("tls") || lower.starts_with("ssl")) {
                // Exim: TLS1.3:ECDHE_RSA_AES_256_GCM_SHA384:256
                let mut parts = word.split(':');
                hop.tls_version = parts.next().and_then(version_of);
                hop.tls_cipher = hop.tls_cipher.take().or_else(|| parts.next().filter(|cipher| !cipher.is_empty()).map(str::to_owned));
            }
        }
    }
    hop.tls_cipher = hop.tls_cipher.take().or_else(|| clauses[Key::Tls as usize].words.first().cloned());
    // RFC 3848: the S is for TLS; “local”, “mapi” and the like are no link at all.
    let with = hop.with.as_deref().unwrap_or_default().to_ascii_lowercase();
    let by_name = match with.split_whitespace().next().unwrap_or_default() {
        "esmtps" | "esmtpsa" | "smtps" | "smtpsa" | "lmtps" | "lmtpsa" | "utf8smtps" | "utf8smtpsa" | "utf8lmtps" | "utf8lmtpsa" | "https" => {
            Some(true)
        }
        "esmtp" | "smtp" | "esmtpa" | "lmtp" | "lmtpa" | "utf8smtp" | "utf8smtpa" => Some(false),
        _ => None,
    };
    hop.encrypted = if hop.tls_version.is_some() || hop.tls_cipher.is_some() { Some(true) } else { by_name };
}

/// `TLS1_2`, `TLS1.2`, `TLSv1.2` are one.
fn version_of(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (family, number) = if let Some(rest) = lower.strip_prefix("tls") { ("TLS", rest) } else { ("SSL", lower.strip_prefix("ssl")?) };
    let number: String =
        number.trim_start_matches(['v', '_', '.']).replace('_', ".").chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    (!number.is_empty()).then(|| format!("{family}v{number}"))
}

fn when(hop: &mut Hop, tail: &[Token], dated: bool) {
    if !dated {
        hop.remarks.push("The field has no time (nothing after “;”)".to_owned());
        return;
    }
    let words: Vec<&str> = tail
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word.as_str()),
            _ => None,
        })
        .collect();
    hop.time = date::parse(&words.join(" "));
    if hop.time.is_none() {
        hop.remarks.push(format!("The time “{}” can not be read", words.join(" ").chars().take(60).collect::<String>()));
    }
}
