//! The checker that looks at the world: the engine behind the pipeline's interface.

use std::{net::SocketAddr, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use waypost_engine::{
    audit::{AuditOptions, Known, audit, provider_of},
    blacklist::{Lists, Scanner, Subject},
    net::{Egress, Net, NetConfig, NetError},
    probe::{Asks, Credentials, Port25Memory, ProbeTarget, Prober, lost_on_the_way},
    service::ServiceCheck,
};
use waypost_store::{history::KnownRecord, instructions::DomainInstructions};
use waypost_types::{
    Cidr, DomainName, UnknownPart,
    lists::ZoneHealth,
    monitor::MonitorKind,
    outcome::{AuditReport, BlacklistReport, CloseLook, Outcome, PathTrace, ProbeMode, ProbeReport, ServiceReport, SmtpReport, Verdict},
    service::ServiceSettings,
};

use crate::{
    Config,
    checker::{Checker, Instructions, ListInstructions, split_target},
};

/// A scheduled audit has more time than a visitor who waits.
const AUDIT_DEADLINE: Duration = Duration::from_secs(20);

impl Config {
    /// The network as configured, behind the egress guard.
    pub fn net(&self) -> Result<Net, NetError> {
        Net::new(NetConfig {
            resolvers: self.resolver.clone(),
            trust_ad: self.resolver_trust_ad,
            egress: Egress::Guarded { allow: self.egress_allow.clone() },
            ca_file: self.ca_file.clone(),
            ehlo_name: self.ehlo_name.clone(),
            ..NetConfig::default()
        })
    }
}

/// Runs checks by the engine.
#[derive(Debug)]
pub struct EngineChecker {
    net: Net,
    prober: Prober,
    scanner: Scanner,
}

impl EngineChecker {
    /// A checker on this network. `port25_reached_at` is when the region last reached some port 25, so that a restart does not forget it.
    pub fn new(net: &Net, port25_reached_at: Option<DateTime<Utc>>) -> Self {
        let memory = Port25Memory::default();
        if let Some(at) = port25_reached_at {
            memory.reached(at);
        }
        Self { net: net.clone(), prober: Prober::new(net).with_port25(memory), scanner: Scanner::new(net) }
    }

    async fn audit(&self, target: &str, known: &DomainInstructions) -> AuditReport {
        match DomainName::from_ascii(target) {
            Ok(domain) => audit(&self.net, &domain, &options_of(known, self.prober.port25())).await,
            Err(error) => {
                let unknown = vec![UnknownPart::new("mx", error.to_string())];
                AuditReport { unknown, ..AuditReport::empty(target) }
            }
        }
    }

    async fn probe(&self, target: &str) -> SmtpReport {
        let (host, port) = split_target(target);
        let target = ProbeTarget { host: host.to_owned(), port, mode: ProbeMode::of_port(port), auth: None };
        self.prober.probe(&target).await
    }

    async fn service(&self, kind: MonitorKind, target: &str, settings: Option<&ServiceSettings>) -> ServiceReport {
        let read = settings.map(|settings| ServiceCheck::read(kind, target, settings));
        let reason = match read {
            Some(Ok(check)) => return self.prober.look(&check).await,
            Some(Err(error)) => format!("what is expected of it can not be read: {error}"),
            None => "what is expected of it can not be read".to_owned(),
        };
        ServiceReport { service: kind, target: target.to_owned(), verdict: Verdict::Unknown, summary: reason, looks: Vec::new(), records: None }
    }

    async fn scan(&self, target: &str, wanted: &ListInstructions) -> BlacklistReport {
        let subjects = subjects_of(target);
        if subjects.is_empty() {
            return BlacklistReport::empty(target);
        }
        let lists = Lists::of(&wanted.choice, &wanted.keys);
        let report = self.scanner.scan(&subjects, &lists, lists.time_for(&subjects)).await;
        // A network of 256 addresses on fifty lists is kept and shown by what is not clean.
        BlacklistReport { target: target.to_owned(), ..report }.compact()
    }
}

fn options_of(known: &DomainInstructions, port25: &Port25Memory) -> AuditOptions {
    let seen = |records: &Vec<KnownRecord>| records.iter().map(|known| (known.record.clone(), known.since)).collect();
    AuditOptions {
        selectors: known.selectors.clone(),
        seen_selectors: known.seen_selectors.clone(),
        found_selectors: known.found_selectors.clone(),
        senders: known.senders.iter().map(|address| (*address, "named as a sender".to_owned())).collect(),
        known: Known {
            records: known.records.iter().map(|(family, records)| (family.clone(), seen(records))).collect(),
            lost_mx: known.lost_mx.clone(),
        },
        guess_selectors: true,
        look_at_certificates: true,
        port25: port25.clone(),
        look_for_owner: true,
        deadline: AUDIT_DEADLINE,
    }
}

/// Every address of a network, or a domain.
fn subjects_of(target: &str) -> Vec<Subject> {
    if let Ok(cidr) = target.parse::<Cidr>() {
        return cidr.addresses().into_iter().map(Subject::Address).collect();
    }
    DomainName::from_ascii(target).map(Subject::Domain).into_iter().collect()
}

impl Checker for EngineChecker {
    fn check<'a>(&'a self, kind: MonitorKind, target: &'a str, instructions: &'a Instructions) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match kind {
                MonitorKind::Audit => Outcome::Audit(Box::new(self.audit(target, &instructions.domain).await)),
                MonitorKind::Smtp => Outcome::Smtp(Box::new(self.probe(target).await)),
                MonitorKind::Blacklist => Outcome::Blacklist(Box::new(self.scan(target, &instructions.lists).await)),
                MonitorKind::Tcp | MonitorKind::Https | MonitorKind::Dns | MonitorKind::Imap | MonitorKind::Pop => {
                    Outcome::Service(Box::new(self.service(kind, target, instructions.service.as_ref()).await))
                }
            }
        })
    }

    fn may_look_closely<'a>(&self, seen: &'a Outcome) -> Option<&'a ProbeReport> {
        let Outcome::Smtp(report) = seen else { return None };
        let held = report.probes.iter().filter(|probe| probe.stage_ms.ehlo.is_some());
        // The same one each day, whichever comes first in DNS.
        let held = held.min_by_key(|probe| probe.address).filter(|probe| probe.address.is_some())?;
        // Who points a name of their own at a provider's machine has not become its owner.
        let names = held.tls.iter().flat_map(|tls| &tls.names).map(String::as_str);
        let greeted = held.banner.iter().filter_map(|banner| banner.split_whitespace().next());
        let is_provider = names.chain(greeted).chain([report.host.as_str()]).any(|name| self.is_provider(name.trim_start_matches("*.")));
        (!is_provider).then_some(held)
    }

    fn look_closely<'a>(&'a self, held: &'a ProbeReport, asks: &'a Asks) -> BoxFuture<'a, Option<CloseLook>> {
        Box::pin(async move {
            let target = ProbeTarget { host: held.host.clone(), port: held.port, mode: held.mode, auth: None };
            self.prober.look_closely(&target, asks, held).await
        })
    }

    fn log_in<'a>(&'a self, held: &'a ProbeReport, credentials: Credentials) -> BoxFuture<'a, Option<ProbeReport>> {
        Box::pin(async move {
            let target = ProbeTarget { host: held.host.clone(), port: held.port, mode: held.mode, auth: Some(credentials) };
            Some(self.prober.probe_address(&target, held.address?).await)
        })
    }

    fn is_lost(&self, probe: &ProbeReport) -> bool {
        lost_on_the_way(probe)
    }

    fn trace<'a>(&'a self, lost: &'a ProbeReport) -> BoxFuture<'a, Option<PathTrace>> {
        Box::pin(async move { Some(self.prober.trace(SocketAddr::new(lost.address?, lost.port)).await) })
    }

    fn list_health(&self) -> Vec<ZoneHealth> {
        self.scanner.health()
    }

    fn is_provider(&self, host: &str) -> bool {
        provider_of(host).is_some()
    }
}
