//! What changed between two probes of the same server, in words: a certificate was replaced, an extension is gone, TLS is another. Pure: what is
//! worth telling to whom is decided elsewhere. What one of the two could not see is no change.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use waypost_types::{
    drift::{ChangeKind, RecordChange},
    outcome::{AuthReport, ProbeMode, ProbeReport, SmtpReport, TlsReport, extension_words},
};

use super::{banner, facts::greeted};
use crate::audit::drift::{added, changed, quoted, removed, says};

/// Changes told of one event; more are counted.
const MOST_CHANGES: usize = 30;

/// What is different at a host and port, address by address.
pub fn changes(before: &SmtpReport, after: &SmtpReport) -> Vec<RecordChange> {
    let by_address = |report: &SmtpReport| -> BTreeMap<_, _> {
        report.probes.iter().filter_map(|probe| probe.address.map(|address| (address, probe.clone()))).collect()
    };
    let (old, new) = (by_address(before), by_address(after));
    // Without addresses DNS did not tell, or the name is gone: that is the verdict's to say.
    if old.is_empty() || new.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<RecordChange> =
        old.keys().filter(|address| !new.contains_key(address)).map(|address| removed(format!("address {address}"))).collect();
    found.extend(new.keys().filter(|address| !old.contains_key(address)).map(|address| added(format!("address {address}"))));
    let mut per_address: Vec<(Vec<RecordChange>, Vec<String>)> = Vec::new();
    let pairs: Vec<_> = new.iter().filter_map(|(address, probe)| Some((address, old.get(address)?, probe))).collect();
    for (address, old, new) in &pairs {
        let changes = probe_changes(old, new);
        match per_address.iter_mut().find(|(known, _)| *known == changes) {
            Some((_, addresses)) => addresses.push(address.to_string()),
            None => per_address.push((changes, vec![address.to_string()])),
        }
    }
    for (changes, addresses) in per_address {
        // What is so at every address needs none of them.
        let all = addresses.len() == pairs.len();
        found.extend(changes.into_iter().map(|change| {
            let text = if all { change.text } else { format!("{}: {}", addresses.join(", "), change.text) };
            RecordChange { text, ..change }
        }));
    }
    if found.len() > MOST_CHANGES {
        let more = found.len() - MOST_CHANGES;
        found.truncate(MOST_CHANGES);
        found.push(changed(format!("and {more} more")));
    }
    found
}

/// What is different between two conversations with one address.
fn probe_changes(before: &ProbeReport, after: &ProbeReport) -> Vec<RecordChange> {
    let mut found = Vec::new();
    // A greeting that turns us away says nothing about the server's usual one.
    if let (true, true, Some(old), Some(new)) = (greeted(before), greeted(after), &before.banner, &after.banner) {
        greeting(old, new, &mut found);
    }
    session(before, after, &mut found);
    // What is offered differs before and under TLS: alike is compared with alike.
    let comparable = !before.extensions.is_empty() && !after.extensions.is_empty() && before.tls.is_some() == after.tls.is_some();
    if comparable {
        extensions(&before.extensions, &after.extensions, &mut found);
        let none = AuthReport::default();
        let (old, new) = (before.auth.as_ref().unwrap_or(&none), after.auth.as_ref().unwrap_or(&none));
        mechanisms("before TLS", &old.in_clear, &new.in_clear, &mut found);
        mechanisms("under TLS", &old.under_tls, &new.under_tls, &mut found);
    }
    found
}

fn greeting(old: &str, new: &str, found: &mut Vec<RecordChange>) {
    let (old_name, new_name) = (banner::name(old), banner::name(new));
    if !old_name.eq_ignore_ascii_case(new_name) {
        found.push(changed(format!("it greets as {}, before as {}", quoted(new_name), quoted(old_name))));
    } else if steady(old) != steady(new) {
        found.push(changed(format!("the greeting is “{}”, before “{}”", quoted(new), quoted(old))));
    }
}

/// The words of a greeting that stay the same from one to the next: without date, time and session id, with versions of programs.
pub(super) fn steady(banner: &str) -> Vec<&str> {
    let calendar = |word: &str| {
        let short = word.get(..3).unwrap_or_default();
        let names =
            ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        word.len() <= 4 && names.contains(&short) || matches!(word, "GMT" | "UTC" | "CET" | "CEST" | "EST" | "EDT" | "PST" | "PDT" | "BST" | "MST")
    };
    let version = |word: &str| {
        word.len() <= 16
            && word.contains('.')
            && word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-'))
            && word.bytes().filter(|byte| *byte == b'.').count() <= 3
    };
    banner
        .split_ascii_whitespace()
        .skip(1)
        .map(|word| word.trim_matches(|c: char| matches!(c, '(' | ')' | '[' | ']' | '<' | '>' | ',' | ';')))
        .filter(|word| !word.is_empty() && !calendar(word) && (version(word) || !word.bytes().any(|byte| byte.is_ascii_digit())))
        .collect()
}

fn session(before: &ProbeReport, after: &ProbeReport, found: &mut Vec<RecordChange>) {
    match (&before.tls, &after.tls) {
        (Some(old), Some(new)) => {
            for (what, old, new) in [
                ("TLS version", &old.version, &new.version),
                ("cipher", &old.cipher, &new.cipher),
                ("key exchange", &old.key_exchange, &new.key_exchange),
            ] {
                // Outcomes of earlier days may lack it.
                if old != new && !old.is_empty() && !new.is_empty() {
                    found.push(changed(format!("{what} {new}, before {old}")));
                }
            }
            certificate(old, new, found);
        }
        (None, Some(new)) if !before.extensions.is_empty() && before.mode != ProbeMode::Plain => {
            found.push(says(ChangeKind::Added, format!("TLS works: {}", new.version)));
        }
        (Some(_), None) if !after.extensions.is_empty() && after.mode == ProbeMode::Starttls => {
            let offered = after.extensions.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS"));
            let words = if offered { "TLS: STARTTLS is offered and no longer works" } else { "STARTTLS is no longer offered" };
            found.push(says(ChangeKind::Removed, words));
        }
        _ => {}
    }
}

fn certificate(old: &TlsReport, new: &TlsReport, found: &mut Vec<RecordChange>) {
    if !old.fingerprint.is_empty() && !new.fingerprint.is_empty() && old.fingerprint != new.fingerprint {
        found.push(changed(format!("the certificate was replaced: valid until {}, before until {}", day(new.expires), day(old.expires))));
        for (what, old, new) in [("issued by", &old.issuer, &new.issuer), ("with a key", &old.key, &new.key)] {
            if old != new && !old.is_empty() && !new.is_empty() {
                found.push(changed(format!("the certificate is {what} {}, before {}", quoted(new), quoted(old))));
            }
        }
        found.extend(
            missing(&old.names, &new.names).map(|name| says(ChangeKind::Removed, format!("the certificate no longer names {}", quoted(name)))),
        );
        found.extend(missing(&new.names, &old.names).map(|name| says(ChangeKind::Added, format!("the certificate names {}", quoted(name)))));
    } else if old.chain != new.chain && !old.key.is_empty() {
        // Reports that show a key show the chain too: an empty one was empty.
        let subjects = |tls: &TlsReport| match tls.chain.as_slice() {
            [] => "nothing".to_owned(),
            chain => chain.iter().map(|sent| sent.subject.as_str()).collect::<Vec<_>>().join("; "),
        };
        found.push(changed(format!("behind the certificate the server sends {}, before {}", quoted(&subjects(new)), quoted(&subjects(old)))));
    }
    match (old.trusted, new.trusted) {
        (true, false) => {
            let why = new.trust_problem.as_deref().unwrap_or("no reason is known");
            found.push(changed(format!("the certificate is no longer trusted: {why}")));
        }
        (false, true) => found.push(changed("the certificate is trusted now")),
        _ => {}
    }
    match (old.name_matches, new.name_matches) {
        (true, false) => found.push(changed("the certificate no longer names the host")),
        (false, true) => found.push(changed("the certificate names the host now")),
        _ => {}
    }
}

fn extensions(old: &[String], new: &[String], found: &mut Vec<RecordChange>) {
    let keyed = |lines: &[String]| -> BTreeMap<String, String> {
        let split = |line: &String| {
            let (word, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            (word.to_ascii_uppercase(), rest.trim().to_owned())
        };
        // Its mechanisms are compared one by one.
        lines.iter().map(split).filter(|(word, _)| word != "AUTH").collect()
    };
    let (old, new) = (keyed(old), keyed(new));
    let full = |word: &str, rest: &str| quoted(&extension_words(format!("{word} {rest}").trim_end()));
    let gone = old.iter().filter(|(word, _)| !new.contains_key(*word));
    found.extend(gone.map(|(word, rest)| says(ChangeKind::Removed, format!("{} is no longer offered", full(word, rest)))));
    for (word, rest) in &new {
        match old.get(word) {
            None => found.push(says(ChangeKind::Added, format!("{} is offered", full(word, rest)))),
            Some(was) if was != rest => found.push(changed(format!("{}, before {}", full(word, rest), full(word, was)))),
            Some(_) => {}
        }
    }
}

fn mechanisms(place: &str, old: &[String], new: &[String], found: &mut Vec<RecordChange>) {
    found.extend(missing(old, new).map(|name| says(ChangeKind::Removed, format!("AUTH {} is no longer offered {place}", quoted(name)))));
    found.extend(missing(new, old).map(|name| says(ChangeKind::Added, format!("AUTH {} is offered {place}", quoted(name)))));
}

/// What of one the other lacks.
fn missing<'a>(these: &'a [String], others: &'a [String]) -> impl Iterator<Item = &'a String> {
    these.iter().filter(|this| !others.contains(this))
}

fn day(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(|| "an unknown day".to_owned(), |time| time.format("%Y-%m-%d").to_string())
}

#[cfg(test)]
pub(super) mod tests;
