//! What happened around an incident, and which of it probably caused it: a pure ranking, with the reason in words.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    change::ChangeSort,
    id::IncidentId,
    incident::Incident,
    monitor::MonitorKind,
    rule::rule_of,
    service::{RecordKind, dns_target},
    topic::Topic,
    unicode::in_text,
};

/// What a related event is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "source", rename_all = "lowercase")]
pub enum Source {
    /// Records of a domain changed.
    Record {
        /// The record family: `spf`, `mx`, …
        family: String,
    },
    /// An address or domain came onto a list.
    Listing {
        /// Name of the list.
        list: String,
    },
    /// A server shows another certificate, other TLS, another greeting.
    Server,
    /// Another incident opened.
    Incident {
        /// Its id.
        incident: IncidentId,
        /// What its monitor runs.
        kind: MonitorKind,
        /// What it is about: as of incidents.
        condition: String,
    },
    /// Somebody marked a change.
    Change {
        /// What was changed.
        kind: ChangeSort,
    },
}

/// Something that happened around an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelatedEvent {
    /// When it was seen, or made.
    pub at: DateTime<Utc>,
    /// What it is.
    #[serde(flatten)]
    pub source: Source,
    /// What it happened to; empty where it may concern everything.
    pub target: String,
    /// In words.
    pub text: String,
    /// How probably it is the cause; absent where it can not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// How probably something is the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cause {
    /// 0 to 100, to compare by.
    pub score: u8,
    /// Why, in words.
    pub reason: String,
}

/// What happened around an incident. What can not be the cause stands beside, by time alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Related {
    /// From when on was looked.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Probable causes, the most probable first; at most 20.
    pub causes: Vec<RelatedEvent>,
    /// Everything else, newest first; at most 50.
    pub beside: Vec<RelatedEvent>,
}

/// Probable causes told.
const MOST_CAUSES: usize = 20;
/// Other events told.
const MOST_BESIDE: usize = 50;
/// Below this it is no more than happened, too.
const LEAST: u8 = 50;

/// What an incident touches: itself, and names that belong to the same mail: the MX hosts of a domain, the domains of a server.
#[derive(Debug, Clone)]
pub struct About<'a> {
    /// The incident.
    pub incident: &'a Incident,
    /// Names and addresses of the same mail.
    pub near: &'a [String],
}

/// In which time what happened may belong to an incident: a listing may come days after what caused it.
pub fn window(incident: &Incident) -> (DateTime<Utc>, DateTime<Utc>) {
    let hours = if incident.kind == MonitorKind::Blacklist { 72 } else { 24 };
    (incident.opened_at - TimeDelta::hours(hours), incident.opened_at + TimeDelta::hours(24))
}

/// Ranks what happened: same target above same mail above the whole organisation, nearer above farther, what can cause this above others.
pub fn rank(about: &About<'_>, events: Vec<RelatedEvent>) -> Related {
    let (from, until) = window(about.incident);
    let mut causes = Vec::new();
    let mut beside = Vec::new();
    for mut event in events.into_iter().filter(|event| (from..=until).contains(&event.at)) {
        event.cause = judged(about, &event);
        if event.cause.is_some() { causes.push(event) } else { beside.push(event) }
    }
    causes.sort_by_key(|event| std::cmp::Reverse((event.cause.as_ref().map_or(0, |cause| cause.score), event.at)));
    beside.extend(causes.split_off(causes.len().min(MOST_CAUSES)));
    beside.sort_by_key(|event| std::cmp::Reverse(event.at));
    beside.truncate(MOST_BESIDE);
    Related { from, until, causes, beside }
}

/// How a target belongs to that of the incident, best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Elsewhere,
    Everything,
    SameMail,
    Same,
}

/// How well an event can cause such an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    No,
    Weak,
    Strong,
    /// It is what the incident is about.
    Own,
}

fn judged(about: &About<'_>, event: &RelatedEvent) -> Option<Cause> {
    let before = about.incident.opened_at - event.at;
    if before < TimeDelta::zero() {
        return None;
    }
    // What opened at the same moment has the same cause, and is none.
    if matches!(event.source, Source::Incident { .. }) && before.is_zero() {
        return None;
    }
    let near = nearness(about, &event.target);
    let area = Area::of(about.incident);
    let fit = fit(&area, &event.source);
    // Elsewhere a record, a server or a listing is another story, and so is an incident of another kind; a change or an outage may reach farther
    // than its name says.
    let reaches = match event.source {
        Source::Change { .. } => true,
        Source::Incident { .. } => fit >= Fit::Strong,
        _ => false,
    };
    if fit == Fit::No || (near == Nearness::Elsewhere && !reaches) {
        return None;
    }
    let by_place = match near {
        Nearness::Same => 40,
        Nearness::SameMail => 28,
        Nearness::Everything => 20,
        Nearness::Elsewhere => 5,
    };
    let by_fit = match fit {
        Fit::Own => 38,
        Fit::Strong => 32,
        Fit::Weak | Fit::No => 15,
    };
    let by_time = match before.num_minutes() {
        ..=15 => 22,
        16..=60 => 18,
        61..=360 => 13,
        361..=1440 => 8,
        _ => 4,
    };
    let score = by_place + by_fit + by_time;
    (score >= LEAST).then(|| Cause { score, reason: reason(&area, event, near, fit, before) })
}

/// `mail.example.com:25`, `https://mail.example.com/x` and `mail.example.com MX` as `mail.example.com`.
fn host(target: &str) -> &str {
    if let Some(rest) = target.strip_prefix("https://") {
        return rest.split(['/', '?', '#']).next().unwrap_or(rest);
    }
    if let Some((name, _)) = dns_target(target) {
        return name;
    }
    match target.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !host.contains(':') => host,
        _ => target,
    }
}

fn below(name: &str, domain: &str) -> bool {
    domain.contains('.') && name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn nearness(about: &About<'_>, target: &str) -> Nearness {
    if target.is_empty() {
        return Nearness::Everything;
    }
    let theirs = host(target);
    let subject = about.incident.condition.split_once('|').map(|(subject, _)| subject);
    let ours = host(&about.incident.target);
    if theirs.eq_ignore_ascii_case(ours) || subject.is_some_and(|subject| subject == theirs) {
        return Nearness::Same;
    }
    let mut names = about.near.iter().map(|name| host(name));
    let near = below(theirs, ours) || below(ours, theirs) || names.any(|name| name.eq_ignore_ascii_case(theirs));
    if near { Nearness::SameMail } else { Nearness::Elsewhere }
}

/// Where the trouble is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Area {
    Record(String),
    Listed,
    Reach,
    Tls,
    Login,
    Conversation,
}

impl Area {
    fn of(incident: &Incident) -> Self {
        match incident.kind {
            MonitorKind::Blacklist => Self::Listed,
            // A rule about a score is about any of the records.
            MonitorKind::Audit if rule_of(&incident.condition).is_some() => Self::Record(String::new()),
            MonitorKind::Audit => Self::Record(incident.condition.clone()),
            MonitorKind::Dns => Self::Record(match dns_target(&incident.target) {
                Some((_, RecordKind::Mx)) => "mx".to_owned(),
                Some((_, RecordKind::Ns)) => "ns".to_owned(),
                Some((_, RecordKind::Ptr)) => "ptr".to_owned(),
                // Of the others any record of the name may be the one.
                _ => String::new(),
            }),
            MonitorKind::Smtp | MonitorKind::Tcp | MonitorKind::Https | MonitorKind::Imap | MonitorKind::Pop => match Topic::of(incident) {
                Some(Topic::Unreachable) => Self::Reach,
                Some(Topic::LoginRefused) => Self::Login,
                Some(
                    Topic::CertificateExpired | Topic::CertificateExpiring | Topic::CertificateWrong | Topic::StarttlsMissing | Topic::StarttlsBroken,
                ) => Self::Tls,
                _ => Self::Conversation,
            },
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Record(family) if family.is_empty() => "the records of a domain".to_owned(),
            Self::Record(family) => family_word(family),
            Self::Listed => "a block list".to_owned(),
            Self::Reach => "a server that can not be reached".to_owned(),
            Self::Tls => "TLS".to_owned(),
            Self::Login => "logging in".to_owned(),
            Self::Conversation => "what a server answers".to_owned(),
        }
    }
}

/// What people call a record family.
pub fn family_word(family: &str) -> String {
    match family {
        "mta_sts" => "MTA-STS".to_owned(),
        "tls_rpt" => "TLS-RPT".to_owned(),
        "ptr" => "reverse DNS".to_owned(),
        other => other.to_uppercase(),
    }
}

fn fit(area: &Area, source: &Source) -> Fit {
    match source {
        Source::Record { family } => of_record(area, family),
        Source::Server => match area {
            Area::Tls | Area::Login => Fit::Strong,
            Area::Record(family) if matches!(family.as_str(), "dane" | "mta_sts") => Fit::Strong,
            Area::Conversation | Area::Reach => Fit::Weak,
            Area::Listed | Area::Record(_) => Fit::No,
        },
        // Lists copy each other, and a server that sends spam is listed one after the other.
        Source::Listing { .. } if *area == Area::Listed => Fit::Strong,
        Source::Listing { .. } => Fit::No,
        Source::Incident { kind, condition, .. } => match (area, kind) {
            (Area::Record(_) | Area::Reach, MonitorKind::Audit) if matches!(condition.as_str(), "ns" | "dnssec") => Fit::Strong,
            (Area::Record(_) | Area::Reach, MonitorKind::Dns)
            | (Area::Reach, MonitorKind::Smtp | MonitorKind::Tcp | MonitorKind::Imap | MonitorKind::Pop | MonitorKind::Https) => Fit::Strong,
            (Area::Record(family), MonitorKind::Smtp) if matches!(family.as_str(), "dane" | "mta_sts" | "mx") => Fit::Strong,
            (Area::Tls | Area::Login | Area::Conversation | Area::Listed, MonitorKind::Smtp) | (Area::Listed, MonitorKind::Blacklist) => Fit::Weak,
            (Area::Reach, MonitorKind::Audit) if condition == "mx" => Fit::Weak,
            _ => Fit::No,
        },
        Source::Change { kind } => of_change(area, *kind),
    }
}

fn of_record(area: &Area, family: &str) -> Fit {
    match area {
        Area::Record(own) if own == family || own.is_empty() => Fit::Own,
        Area::Record(own) => match (own.as_str(), family) {
            ("dane" | "mta_sts" | "spf", "mx") | ("dane" | "ns", "dnssec") | ("dnssec", "ns") | ("bimi", "dmarc") => Fit::Strong,
            (_, "ns" | "dnssec") => Fit::Weak,
            _ => Fit::No,
        },
        Area::Reach => match family {
            "mx" | "ns" | "dnssec" => Fit::Weak,
            _ => Fit::No,
        },
        Area::Tls => match family {
            "dane" | "mta_sts" | "mx" => Fit::Weak,
            _ => Fit::No,
        },
        Area::Listed => match family {
            "spf" | "dkim" | "dmarc" | "ptr" => Fit::Weak,
            _ => Fit::No,
        },
        Area::Login | Area::Conversation => Fit::No,
    }
}

fn of_change(area: &Area, kind: ChangeSort) -> Fit {
    use ChangeSort::{Content, Deploy, Dns, Firewall, Tls};
    match (area, kind) {
        (Area::Record(_), Dns)
        | (Area::Listed, Content)
        | (Area::Reach, Firewall | Deploy)
        | (Area::Tls, Tls)
        | (Area::Login | Area::Conversation, Deploy) => Fit::Strong,
        (Area::Record(family), Tls | Deploy | Content) if matches!(family.as_str(), "dane" | "mta_sts" | "bimi") => Fit::Strong,
        (Area::Record(_) | Area::Reach | Area::Tls | Area::Login | Area::Conversation, Content) | (Area::Listed, Tls) => Fit::No,
        _ => Fit::Weak,
    }
}

fn reason(area: &Area, event: &RelatedEvent, near: Nearness, fit: Fit, before: TimeDelta) -> String {
    let target = in_text(&event.target);
    let happened = match &event.source {
        Source::Record { family } => format!("{} of {target} changed", family_word(family)),
        Source::Listing { list } => format!("{target} came onto {list}"),
        Source::Server => format!("{target} showed itself in another way"),
        Source::Incident { .. } => format!("Another incident opened about {target}"),
        Source::Change { kind } if target.is_empty() => format!("A change was marked ({})", kind.word().to_lowercase()),
        Source::Change { kind } => format!("A change of {target} was marked ({})", kind.word().to_lowercase()),
    };
    let place = match near {
        Nearness::Same => "",
        Nearness::SameMail => ". It belongs to the same mail",
        Nearness::Everything => ". It names no target, so it may concern this one",
        Nearness::Elsewhere => ". It is about something else of the organisation",
    };
    let why = match fit {
        Fit::Own | Fit::Strong => format!(", and this incident is about {}", area.words()),
        Fit::Weak | Fit::No => format!(", which can have to do with {}", area.words()),
    };
    format!("{happened} {} before{why}{place}.", span(before))
}

fn span(before: TimeDelta) -> String {
    let count = |n: i64, unit: &str| format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
    match before.num_minutes() {
        0 => "less than a minute".to_owned(),
        minutes @ ..120 => count(minutes, "minute"),
        minutes @ ..2880 => count(minutes / 60, "hour"),
        minutes => count(minutes / 1440, "day"),
    }
}

#[cfg(test)]
#[path = "cause_tests.rs"]
mod tests;
