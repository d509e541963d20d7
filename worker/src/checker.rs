//! Running one check: the interface between the pipeline and whatever looks at the world.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use waypost_engine::probe::{Asks, Credentials};
use waypost_store::instructions::DomainInstructions;
use waypost_types::{
    lists::{ListChoice, ZoneHealth},
    monitor::MonitorKind,
    outcome::{CloseLook, Outcome, PathTrace, ProbeMode, ProbeReport, SmtpReport, StageMs, Verdict},
    service::ServiceSettings,
};

/// Looks at a target. Bounded in time by itself; what it can not tell is an outcome, not an error.
pub trait Checker: Send + Sync + 'static {
    /// Runs one check.
    fn check<'a>(&'a self, kind: MonitorKind, target: &'a str, instructions: &'a Instructions) -> BoxFuture<'a, Outcome>;

    /// The conversation that a close look follows: one that was held, with a server that is no mailbox provider's.
    fn may_look_closely<'a>(&self, _seen: &'a Outcome) -> Option<&'a ProbeReport> {
        None
    }

    /// Asks that server. Nothing where it can not be reached any more.
    fn look_closely<'a>(&'a self, _held: &'a ProbeReport, _asks: &'a Asks) -> BoxFuture<'a, Option<CloseLook>> {
        Box::pin(async { None })
    }

    /// Logs in at the server of a conversation that was held, in a conversation of its own. Nothing where it can not be reached any more.
    fn log_in<'a>(&'a self, _held: &'a ProbeReport, _credentials: Credentials) -> BoxFuture<'a, Option<ProbeReport>> {
        Box::pin(async { None })
    }

    /// Whether no connection was made for a reason that lies on the way.
    fn is_lost(&self, _probe: &ProbeReport) -> bool {
        false
    }

    /// Follows the way to an address that was lost.
    fn trace<'a>(&'a self, _lost: &'a ProbeReport) -> BoxFuture<'a, Option<PathTrace>> {
        Box::pin(async { None })
    }

    /// What is known of the block lists that were asked: which can be believed.
    fn list_health(&self) -> Vec<ZoneHealth> {
        Vec::new()
    }

    /// True for MX hosts of mailbox providers, which are probed at most every 15 minutes.
    fn is_provider(&self, host: &str) -> bool;
}

/// What an organisation has to say about how its target is looked at. Looks are shared by those who say the same.
#[derive(Debug, Clone, Default)]
pub struct Instructions {
    /// Of an audit.
    pub domain: DomainInstructions,
    /// Of a scan.
    pub lists: Arc<ListInstructions>,
    /// Of a service; absent where its settings can not be read.
    pub service: Option<ServiceSettings>,
}

/// Which block lists are asked, and with which keys.
#[derive(Debug, Clone, Default)]
pub struct ListInstructions {
    /// Lists on and off, and private ones.
    pub choice: ListChoice,
    /// Keys by the ids of their lists.
    pub keys: BTreeMap<String, SecretString>,
}

impl Instructions {
    /// The same for the same instructions, in this process.
    pub fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let DomainInstructions { selectors, seen_selectors, found_selectors, senders, records, lost_mx } = &self.domain;
        (selectors, seen_selectors, found_selectors, senders, lost_mx).hash(&mut hasher);
        // Not since when: that differs from one organisation to the next, and what it decides is a matter of months.
        for (family, records) in records {
            family.hash(&mut hasher);
            for known in records {
                known.record.hash(&mut hasher);
            }
        }
        self.service.hash(&mut hasher);
        let ListInstructions { choice, keys } = &*self.lists;
        // What prints alike is alike: no field is left out of the derived form.
        format!("{choice:?}").hash(&mut hasher);
        for (list, key) in keys {
            (list, key.expose_secret()).hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// What a check saw, shared by everybody who watches the target.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When it was seen.
    pub at: DateTime<Utc>,
    /// What was seen.
    pub outcome: Arc<Outcome>,
}

/// Answers the same for every target without any network: for the scheduler's benchmark and for tests of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct StubChecker {
    /// What every check says.
    pub verdict: Verdict,
    /// How long it takes.
    pub takes: Duration,
}

impl Default for StubChecker {
    fn default() -> Self {
        Self { verdict: Verdict::Up, takes: Duration::ZERO }
    }
}

impl Checker for StubChecker {
    fn check<'a>(&'a self, _kind: MonitorKind, target: &'a str, _instructions: &'a Instructions) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            if !self.takes.is_zero() {
                tokio::time::sleep(self.takes).await;
            }
            let (host, port) = split_target(target);
            stub_outcome(host, port, self.verdict)
        })
    }

    fn is_provider(&self, _host: &str) -> bool {
        false
    }
}

/// An SMTP outcome as a probe of one address would give it.
pub fn stub_outcome(host: &str, port: u16, verdict: Verdict) -> Outcome {
    let reason = match verdict {
        Verdict::Up => "Answers.",
        Verdict::Degraded => "Answers, with something to mend.",
        Verdict::Down => "The connection was refused.",
        Verdict::Unknown => "The name server did not answer.",
    };
    let total = (verdict != Verdict::Down && verdict != Verdict::Unknown).then_some(12.5);
    Outcome::Smtp(Box::new(SmtpReport {
        host: host.to_owned(),
        port,
        mode: ProbeMode::of_port(port),
        verdict,
        summary: reason.to_owned(),
        probes: vec![ProbeReport {
            host: host.to_owned(),
            address: None,
            port,
            mode: ProbeMode::of_port(port),
            verdict,
            reason: reason.to_owned(),
            stage_ms: StageMs { total, ..StageMs::default() },
            tls: None,
            auth: None,
            extensions: Vec::new(),
            banner: total.map(|_| format!("220 {host} ESMTP")),
            findings: Vec::new(),
            unknown: Vec::new(),
            transcript: Vec::new(),
            trace: None,
        }],
        close_looks: Vec::new(),
        login: None,
    }))
}

/// `mail.example.com:25` as host and port; 25 where none is given.
pub fn split_target(target: &str) -> (&str, u16) {
    match target.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            // An IPv6 address without a port has colons too.
            Ok(port) if !host.contains(':') || host.starts_with('[') => (host.trim_matches(['[', ']']), port),
            _ => (target.trim_matches(['[', ']']), 25),
        },
        None => (target, 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_split_into_host_and_port() {
        let table = [
            ("mail.example.com:465", ("mail.example.com", 465)),
            ("mail.example.com", ("mail.example.com", 25)),
            ("203.0.113.4:587", ("203.0.113.4", 587)),
            ("[2001:db8::1]:587", ("2001:db8::1", 587)),
            ("2001:db8::1", ("2001:db8::1", 25)),
        ];
        for (target, expected) in table {
            assert_eq!(split_target(target), expected);
        }
    }
}
