//! Logins that organisations have stored for their mail servers: tried beside the checks, in conversations that are shared with nobody, at a
//! pace of their own. What comes of one is no part of the check's verdict: a server that refuses a login is not down.
//!
//! Whose turn it is, is decided in the database. An attempt is made only where the check has just seen a certificate that proves the server, and
//! the conversation of the attempt asks for that proof again before it says a word of the login.

use std::{net::IpAddr, sync::Arc, time::Duration};

use chrono::Utc;
use tokio::{sync::Semaphore, time::timeout};
use waypost_engine::probe::{Credentials, Mechanism, Secret};
use waypost_store::{
    Store, StoreError,
    schedule::DueUnit,
    server_logins::{Attempt, LoginStand},
};
use waypost_types::{
    MonitorId, OrgId,
    finding::Finding,
    incident::TimelineEvent,
    outcome::{LoginLook, LoginOutcome, LoginReport, Outcome, ProbeReport, SmtpReport},
    server_login::SecretKind,
};

use crate::{
    checker::{Checker, split_target},
    conditions::LOGIN,
    error::chain,
    seal::{Seal, login_of},
    shared_checks::PROVIDER_SPACING,
};

/// Attempts at once, over all organisations.
const AT_ONCE: usize = 16;
/// One attempt, however slow the server is: shorter than it may count as under way.
const LIMIT: Duration = Duration::from_secs(120);
const PAUSED: &str =
    "Waypost has paused the login after two refusals, so that the account does not get locked: no further attempt is made, from any region.";
const RESUME: &str = "Then give the new secret on the page of the mail server, or resume the login there once the server takes it.";

/// Tries stored logins.
#[derive(Clone)]
pub(crate) struct Logins {
    checker: Arc<dyn Checker>,
    store: Store,
    seal: Option<Seal>,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

impl Logins {
    pub fn new(checker: Arc<dyn Checker>, store: Store, seal: Option<Seal>) -> Self {
        Self { checker, store, seal, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Adds to what was seen of a server how its login stands, and tries it where that is due.
    pub async fn add(&self, unit: &DueUnit, seen: Arc<Outcome>) -> Arc<Outcome> {
        let Outcome::Smtp(report) = &*seen else { return seen };
        if !unit.login {
            return seen;
        }
        let look = match self.look(unit, report).await {
            Ok(look) => look,
            // It was taken away since the check was claimed.
            Err(StoreError::NotFound) => return seen,
            Err(error) => {
                tracing::warn!(monitor = %unit.monitor, error = chain(&error), "a login could not be read or written down");
                LoginLook::untried(Utc::now(), "the login was not tried, because Waypost could not read it")
            }
        };
        let mut report = report.clone();
        note_time(&mut report, &look);
        report.login = Some(look);
        Arc::new(Outcome::Smtp(report))
    }

    async fn look(&self, unit: &DueUnit, report: &SmtpReport) -> Result<LoginLook, StoreError> {
        let (host, port) = split_target(&unit.target);
        let mut place = where_to_try(report);
        let spacing = if self.checker.is_provider(host) { i32::try_from(PROVIDER_SPACING.as_secs()).unwrap_or(i32::MAX) } else { 0 };
        let permit = Arc::clone(&self.places).try_acquire_owned().ok();
        let mut tx = self.store.org_tx(unit.org).await?;
        if tx.is_in_window(Some(unit.monitor), Utc::now()).await? {
            // What a server refuses while it is worked on must not use up the two attempts.
            place = Err("the login was not tried, because the server is in a maintenance window".to_owned());
        } else if permit.is_none() && place.is_ok() {
            place = Err("the login was not tried now, because this worker is busy with others".to_owned());
        }
        let wanted = place.is_ok();
        let stand = tx.take_login_turn(unit.monitor, port, (wanted, unit.requested, spacing)).await?;
        tx.commit().await?;
        let unproven = stand.unproven;
        let known = |look: LoginLook| Ok(LoginLook { unproven, ..look });
        let LoginStand { attempt: Some(attempt), .. } = stand else { return known(as_it_stands(stand, place.err())) };
        let Ok(held) = place else { return known(as_it_stands(LoginStand::default(), place.err())) };
        let trial = Trial { logins: self.clone(), org: unit.org, monitor: unit.monitor, port, attempt, held: held.clone() };
        // A check that is broken off, in a shutdown say, does not take the attempt with it before its answer is written down.
        let tried = tokio::spawn(async move {
            let look = trial.run().await;
            drop(permit);
            look
        });
        let look = tried
            .await
            .unwrap_or_else(|_| Ok(LoginLook::untried(Utc::now(), "the login could not be judged, because the attempt broke off here")))?;
        Ok(LoginLook { unproven: unproven && look.result.outcome != LoginOutcome::Accepted, ..look })
    }
}

/// One attempt under way.
struct Trial {
    logins: Logins,
    org: OrgId,
    monitor: MonitorId,
    port: u16,
    attempt: Attempt,
    held: ProbeReport,
}

impl Trial {
    async fn run(self) -> Result<LoginLook, StoreError> {
        let mut look = match self.credentials() {
            Ok(credentials) => match timeout(LIMIT, self.logins.checker.log_in(&self.held, credentials)).await {
                Ok(said) => look_of(self.held.address, said),
                Err(_) => look_of(self.held.address, None),
            },
            Err(reason) => LoginLook::untried(Utc::now(), reason),
        };
        metrics::counter!("waypost_logins_total", "outcome" => word(look.result.outcome)).increment(1);
        let mut tx = self.logins.store.org_tx(self.org).await?;
        look.paused = tx.settle_login(&self.attempt, self.port, &look, counts(&look.result)).await?;
        if look.paused {
            // The one that is open already says so; one that opens from now on does by itself.
            for incident in tx.open_incidents_of(&[self.monitor]).await?.iter().filter(|incident| incident.condition == LOGIN) {
                tx.append_timeline(incident.id, look.at, TimelineEvent::Changed, PAUSED, None).await?;
            }
        }
        tx.commit().await?;
        Ok(told(look))
    }

    /// The secret, opened for this attempt alone.
    fn credentials(&self) -> Result<Credentials, String> {
        let Attempt { server, user, sealed, secret_kind, mechanism, .. } = &self.attempt;
        let seal = self.logins.seal.as_ref().ok_or("the login was not tried, because WAYPOST_SECRET_KEY is not set where the check runs")?;
        let secret = seal.open(self.org, &login_of(*server), sealed).map_err(|error| format!("the login was not tried, because {error}"))?;
        let secret = match secret_kind {
            SecretKind::Password => Secret::Password(secret),
            SecretKind::Token => Secret::Token(secret),
        };
        let mechanism = match mechanism.as_deref() {
            None => None,
            Some(name) => Some(
                Mechanism::ALL
                    .into_iter()
                    .find(|known| known.as_str() == name)
                    .ok_or("the login was not tried, because its mechanism is not known here")?,
            ),
        };
        Ok(Credentials { user: user.clone(), secret, mechanism, any_certificate: false })
    }
}

/// The conversation after which the login may be tried: with the same address each time, whichever comes first in DNS. Else why not.
fn where_to_try(report: &SmtpReport) -> Result<&ProbeReport, String> {
    let not = |reason: &str| format!("the login was not tried, because {reason}");
    let held = |probe: &&ProbeReport| probe.address.is_some() && probe.stage_ms.ehlo.is_some();
    if !report.probes.iter().any(|probe| held(&probe)) {
        return Err(not("the conversation with the server did not get so far"));
    }
    let proven = |probe: &&ProbeReport| probe.tls.as_ref().is_some_and(|tls| tls.trusted && tls.name_matches);
    let secure = |probe: &ProbeReport| probe.tls.is_some();
    match report.probes.iter().filter(held).filter(proven).min_by_key(|probe| probe.address) {
        Some(probe) => Ok(probe),
        None if report.probes.iter().any(secure) => {
            Err(not("the certificate does not prove that this is the server: the password would be shown to whoever answers in its place"))
        }
        None => Err(not("the connection is not encrypted: everybody on the way could read the password")),
    }
}

/// Whether an answer counts against the two after which no attempt is made: refused, or turned down in another way after the login had begun,
/// which some servers do to a wrong password.
fn counts(result: &LoginReport) -> bool {
    match result.outcome {
        LoginOutcome::Refused => true,
        LoginOutcome::Failed => result.mechanism.is_some(),
        LoginOutcome::Accepted | LoginOutcome::Unknown | LoginOutcome::Untried => false,
    }
}

/// What a conversation showed of the login.
fn look_of(address: Option<IpAddr>, said: Option<ProbeReport>) -> LoginLook {
    let at = Utc::now();
    let Some(said) = said else {
        return LoginLook { address, ..LoginLook::untried(at, "the login could not be judged, because the server did not answer in time") };
    };
    let broke = || {
        let (outcome, how) = match said.stage_ms.auth {
            Some(_) => (LoginOutcome::Unknown, "the login could not be judged"),
            None => (LoginOutcome::Untried, "the login was not tried"),
        };
        LoginReport { mechanism: None, outcome, reason: format!("{how}: {}", said.reason) }
    };
    let result = said.auth.as_ref().and_then(|auth| auth.login.clone()).unwrap_or_else(broke);
    let accepted = result.outcome == LoginOutcome::Accepted;
    LoginLook {
        address,
        // What goes with every check of the day is kept short.
        transcript: if accepted { Vec::new() } else { said.transcript },
        findings: said.findings.into_iter().filter(|finding| finding.rule.starts_with("smtp.login_")).collect(),
        auth_ms: said.stage_ms.auth.filter(|_| result.mechanism.is_some()),
        result,
        ..LoginLook::untried(at, "")
    }
}

/// Where no attempt is made: what is known, or why not.
fn as_it_stands(stand: LoginStand, why_not: Option<String>) -> LoginLook {
    let LoginStand { last, paused, .. } = stand;
    // A pause after attempts that nobody heard the end of says nothing of what was answered before them.
    let last = last.filter(|last| !paused || counts(&last.result));
    match (last, why_not) {
        (Some(last), why_not) if paused || why_not.is_none() => told(LoginLook { as_before: true, paused, ..last }),
        (_, Some(reason)) => LoginLook { paused, ..LoginLook::untried(Utc::now(), reason) },
        (_, None) if paused => LoginLook { paused, ..LoginLook::untried(Utc::now(), "the login was not tried, because it is paused") },
        (_, None) => LoginLook::untried(Utc::now(), "the login was not tried, because another attempt is under way"),
    }
}

/// A pause is said where the refusal is.
fn told(look: LoginLook) -> LoginLook {
    if !look.paused {
        return look;
    }
    let with_pause = |finding: Finding| Finding { why: format!("{} {PAUSED}", finding.why), fix: format!("{} {RESUME}", finding.fix), ..finding };
    LoginLook { findings: look.findings.into_iter().map(with_pause).collect(), ..look }
}

/// The time of the attempt belongs to the check that it was made with.
fn note_time(report: &mut SmtpReport, look: &LoginLook) {
    if look.as_before {
        return;
    }
    if let Some(probe) = report.probes.iter_mut().find(|probe| probe.address.is_some() && probe.address == look.address) {
        probe.stage_ms.auth = look.auth_ms;
    }
}

const fn word(outcome: LoginOutcome) -> &'static str {
    match outcome {
        LoginOutcome::Accepted => "accepted",
        LoginOutcome::Refused => "refused",
        LoginOutcome::Failed => "failed",
        LoginOutcome::Unknown => "unknown",
        LoginOutcome::Untried => "untried",
    }
}
