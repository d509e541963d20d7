//! Which Authentication-Results can be believed (RFC 8601 5 and 7.1): the place of a field in the header says who can have written it.

use waypost_types::headers::{AuthResults, Hop};

use super::{fields::Parts, received};
use crate::headers::route::MAX_HOPS;

/// No more fields of a kind than this are read.
pub(super) const MAX_RESULTS_FIELDS: usize = 50;

/// Where the message came into the last organisation: everything above was added there.
#[derive(Debug)]
struct Border {
    /// Hosts of the last organisation, the topmost first.
    hosts: Vec<String>,
    /// Their registered domains.
    homes: Vec<String>,
    /// Index of the oldest Received field of the last organisation.
    oldest: usize,
    /// Index of the first Received field that others wrote.
    foreign: usize,
}

impl Border {
    /// The last host that has a name; Gmail's topmost fields have addresses only.
    fn named(&self) -> Option<&str> {
        self.hosts.iter().find(|host| organisation(host).is_some()).or_else(|| self.hosts.first()).map(String::as_str)
    }
}

/// Domains of hosts that are one organisation's, each with the one that stands for it.
const SAME: [(&str, &str); 6] = [
    ("exchangelabs.com", "outlook.com"),
    ("office365.com", "outlook.com"),
    ("microsoft.com", "outlook.com"),
    ("googlemail.com", "google.com"),
    ("gmail.com", "google.com"),
    ("me.com", "icloud.com"),
];

/// The registered domain of a host; nothing for addresses and for names without one.
pub(super) fn organisation(host: &str) -> Option<&str> {
    let host = host.trim_end_matches('.');
    if host.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let domain = psl::domain_str(host)?;
    Some(SAME.iter().find(|(one, _)| *one == domain).map_or(domain, |(_, same)| same))
}

fn border(parts: &Parts<'_>) -> Border {
    let mut border = Border { hosts: Vec::new(), homes: Vec::new(), oldest: 0, foreign: parts.fields.len() };
    let received = parts.fields.iter().enumerate().filter(|(_, field)| field.is("Received")).take(MAX_HOPS);
    // Whoever passes a message on from a private address is within the organisation, whatever its name.
    let mut from_within = true;
    for (at, field) in received {
        let Hop { by, private, .. } = received::parse(&field.text());
        if let Some(found) = by.as_deref().and_then(organisation)
            && !border.homes.iter().any(|home| home == found)
        {
            if !border.homes.is_empty() && !from_within {
                border.foreign = at;
                break;
            }
            border.homes.push(found.to_owned());
        }
        from_within = private;
        border.oldest = at;
        border.hosts.extend(by);
    }
    border
}

/// Reads all Authentication-Results fields, marks those that can be believed, and says so in words.
pub(super) fn read(parts: &Parts<'_>) -> (Vec<AuthResults>, String) {
    use super::auth_results::parse;
    let border = border(parts);
    let mut out = Vec::new();
    let mut words = None;
    for (at, field) in parts.fields.iter().enumerate() {
        let arc = field.is("ARC-Authentication-Results");
        if !(arc || field.is("Authentication-Results")) || out.len() >= MAX_RESULTS_FIELDS {
            continue;
        }
        let mut result = parse(&field.text(), arc);
        if !arc {
            let ours = result.authserv_id.as_deref().is_some_and(|id| {
                border.hosts.iter().any(|host| host == id) || organisation(id).is_some_and(|found| border.homes.iter().any(|home| home == found))
            });
            // Above the border only the last organisation writes; just below it stands what its first host adds, under its own name.
            result.believable = !border.hosts.is_empty() && result.version == 1 && (at < border.oldest || (ours && at < border.foreign));
            if result.believable && words.is_none() {
                words = Some(believed(&result, &border, ours));
            }
        }
        out.push(result);
    }
    let words = words.unwrap_or_else(|| disbelieved(&out, &border));
    (out, words)
}

fn believed(result: &AuthResults, border: &Border, ours: bool) -> String {
    let host = border.named().unwrap_or("the last host");
    match (&result.authserv_id, ours) {
        (Some(id), true) => format!("What {id} says can be believed: it belongs to the host that took the message last ({host})"),
        (Some(id), false) => format!(
            "What {id} says can be believed: its field stands above those of the host that took the message last ({host}), where nobody before it could write"
        ),
        (None, _) => format!(
            "The topmost Authentication-Results can be believed: it has no authserv-id, as Microsoft 365 writes it, but stands where only the last organisation ({host}) could write"
        ),
    }
}

fn disbelieved(all: &[AuthResults], border: &Border) -> String {
    let mut ids = all.iter().filter(|result| result.instance.is_none());
    match (ids.next(), border.named()) {
        (Some(first), _) if first.version != 1 => {
            let id = first.authserv_id.as_deref().unwrap_or("a host without a name");
            format!("What {id} says can not be used: its field is of version {}, and only version 1 is defined", first.version)
        }
        (None, _) => "There is no Authentication-Results field: the receiver did not say what it checked".to_owned(),
        (Some(_), None) => {
            "No Authentication-Results can be believed: there is no Received field that says which host took the message last".to_owned()
        }
        (Some(first), Some(host)) => {
            let id = first.authserv_id.as_deref().unwrap_or("a host without a name");
            format!(
                "What {id} says can not be believed: its field stands below that of {host}, which took the message last, so the sender may have written it"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::fields;

    #[test]
    fn the_place_of_a_field_decides() {
        let gmail = "Received: by 2002:a05:6402:1d85:b0:55f with SMTP id 1; 31 Jan 2024 10:20:30 +0000\n";
        let mx = "Received: from a ([192.0.2.1]) by mx.google.com with ESMTPS id 1; 31 Jan 2024 10:20:30 +0000\n";
        let sender = "Received: from pc by mail.sender.example with ESMTP id 1; 31 Jan 2024 10:20:30 +0000\n";
        let outlook = "Received: from x by a.prod.outlook.com with HTTPS; 31 Jan 2024 10:20:30 +0000\n";
        let edge = "Received: from mail.sender.example by b.mail.protection.outlook.com with ESMTPS; 31 Jan 2024 10:20:30 +0000\n";
        let google = "Authentication-Results: mx.google.com; spf=pass\n";
        let odd = "Authentication-Results: filter; spf=pass\n";
        let bare = "Authentication-Results: spf=pass smtp.mailfrom=a.example\n";
        let labs = outlook.replace("a.prod.outlook.com", "a.prod.exchangelabs.com");
        let store = "Received: from mx.example.com ([10.0.0.5]) by ex.corp.local with SMTP; 31 Jan 2024 10:20:30 +0000\n";
        let gate = "Received: from mail.sender.example ([192.0.2.1]) by mx.example.com with ESMTPS; 31 Jan 2024 10:20:30 +0000\n";
        let ours = "Authentication-Results: mx.example.com; spf=pass\n";
        let newer = ours.replace("example.com;", "example.com 2;");
        for (parts, expected, said) in [
            (vec![labs.as_str(), bare, edge, sender], vec![true], "no authserv-id"),
            (vec![store, ours, gate, sender], vec![true], "mx.example.com says can be believed"),
            (vec![gate, sender, ours], vec![false], "can not be believed"),
            (vec![&newer, gate, sender], vec![false], "is of version 2"),
            (vec![gmail, mx, google, sender], vec![true], "mx.google.com says can be believed"),
            (vec![gmail, mx, sender, google], vec![false], "can not be believed"),
            (vec![gmail, mx, odd, sender], vec![false], "can not be believed"),
            (vec![odd, mx, sender], vec![true], "where nobody before it could write"),
            (vec![outlook, bare, edge, sender], vec![true], "no authserv-id"),
            (vec![outlook, edge, bare, sender], vec![false], "can not be believed"),
            (vec![outlook, bare, edge, google, sender], vec![true, false], "no authserv-id"),
            (vec![google], vec![false], "no Received field"),
            (vec![mx], vec![], "no Authentication-Results"),
        ] {
            let header = parts.concat();
            let message = fields::normalised(header.as_bytes());
            let (found, words) = read(&fields::split(&message));
            assert_eq!(found.iter().map(|result| result.believable).collect::<Vec<_>>(), expected, "{header}");
            assert!(words.contains(said), "{words}");
        }
    }
}
