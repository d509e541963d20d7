//! What is said in one conversation, and what each answer means for its verdict.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use tokio::{net::TcpStream, time::Instant};
use waypost_types::{
    UnknownPart,
    outcome::{ProbeMode, ProbeReport, Verdict},
};

use super::{
    Credentials, ProbeTarget, Prober,
    auth::{self, Login},
    banner, bare,
    chain::{Shown, ShownChain},
    dane, ms, old_tls,
    remarks::{self, Seen},
    reply::Reply,
    server_name,
    tls::{handshake_failure, is_the_servers, shares_no_suite, was_cut},
    wire::{Wire, WireError},
};

/// Why a conversation was not held to its end.
pub(super) struct End {
    verdict: Verdict,
    pub reason: String,
    /// The server may still understand QUIT.
    pub in_step: bool,
}

impl End {
    fn down(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Down, reason: reason.into(), in_step: true }
    }

    fn broke(stage: &str, error: &WireError) -> Self {
        Self { verdict: Verdict::Down, reason: format!("{stage}: {error}"), in_step: false }
    }
}

pub(super) struct Talk<'a> {
    pub prober: &'a Prober,
    pub target: &'a ProbeTarget,
    address: IpAddr,
    pub wire: Wire<'a>,
    pub report: ProbeReport,
    seen: Seen,
    /// The certificates shown, DER, the server's own first.
    chain: Vec<CertificateDer<'static>>,
    /// The failed handshake is the server's answer.
    handshake_answered: bool,
    /// The connection ended in the handshake.
    pub handshake_cut: bool,
    /// The handshake failed as it does where no suite is shared.
    handshake_unshared: bool,
}

/// Holds the conversation and judges it.
pub(super) async fn hold(prober: &Prober, target: &ProbeTarget, address: IpAddr, stream: TcpStream, started: Instant) -> ProbeReport {
    let mut talk = Talk::new(prober, target, address, stream, started);
    let mut end = talk.run().await;
    talk.wire.quit(end.as_ref().err().is_none_or(|end| end.in_step)).await;
    let Talk { wire, mut report, mut seen, chain, handshake_unshared, .. } = talk;
    // The conversation ends here; what is asked of DNS about it afterwards is no part of its time.
    report.stage_ms.total = Some(ms(started));
    if handshake_unshared && let Some(suite) = old_tls::only_rsa(prober, target, address).await {
        // Most senders still speak it, so that the server is not down for them.
        let reason = format!("{}, which gives no forward secrecy", works_for_rsa(suite));
        end = Err(End { verdict: Verdict::Degraded, reason, in_step: false });
        (seen.handshake_failed, seen.only_rsa) = (None, Some(suite));
    }
    (seen.long_line, seen.bare_lf, seen.waits) = (wire.long_line, wire.bare_lf, wire.waits);
    let own_name = banner::own_name(&report, seen.ehlo_name.as_deref());
    let (foreign, as_helo, dane) = tokio::join!(
        banner::foreign(&prober.net, &report, address),
        banner::as_helo(&prober.net, own_name.as_deref(), address),
        dane::look(&prober.net, target, address, &chain)
    );
    let mut told = |subject: &str, untold: &str| report.unknown.push(UnknownPart::new(subject, untold));
    seen.foreign_banner = foreign.inspect_err(|why| told("banner", why)).ok().flatten();
    seen.as_helo = as_helo.inspect_err(|why| told("helo", why)).ok().flatten();
    if let Some(why) = dane.as_ref().and_then(|dane| dane.untold.as_deref()) {
        told("dane", why);
    }
    if let Some(tls) = &mut report.tls {
        tls.dane = dane.as_ref().and_then(|dane| dane.report.clone());
    }
    seen.dane_mismatch = dane.and_then(|dane| dane.mismatch);
    report.transcript = wire.transcript;
    remarks::add(&mut report, &seen, prober.net.now());
    (report.verdict, report.reason) = match end {
        Err(end) => (end.verdict, end.reason),
        Ok(()) => remarks::verdict(&report),
    };
    report
}

/// Holds the conversation for its certificates alone.
pub(super) async fn chain(prober: &Prober, target: &ProbeTarget, address: IpAddr, stream: TcpStream, started: Instant) -> Shown {
    let mut talk = Talk::new(prober, target, address, stream, started);
    let end = talk.run().await;
    talk.wire.quit(end.as_ref().err().is_none_or(|end| end.in_step)).await;
    let Talk { seen, chain, handshake_answered, handshake_unshared, report, .. } = talk;
    if let Some(judged) = seen.certificate {
        return Shown::Chain(Box::new(ShownChain {
            certificates: chain,
            untrusted: judged.untrusted.map(|(problem, _)| problem),
            tls: judged.report,
        }));
    }
    if let Some((reason, _)) = seen.handshake_failed {
        // Senders that speak it do not fail, and see a certificate that we do not.
        if handshake_answered
            && handshake_unshared
            && let Some(suite) = old_tls::only_rsa(prober, target, address).await
        {
            return Shown::Ended(format!("{}; the certificate that they see is not known", works_for_rsa(suite)));
        }
        return if handshake_answered { Shown::BadHandshake(reason) } else { Shown::Ended(reason) };
    }
    if seen.starttls_missing {
        if crossed_out(&report.extensions).is_some() {
            return Shown::Ended("a firewall on the way from here crosses STARTTLS out".to_owned());
        }
        return Shown::NoStarttls;
    }
    if let Some(reply) = seen.starttls_refused {
        // A temporary refusal passes; senders come back, and so do we.
        return if reply.starts_with('4') { Shown::Ended(format!("STARTTLS is refused for now: {reply}")) } else { Shown::StarttlsRefused(reply) };
    }
    Shown::Ended(end.err().map_or_else(|| "the conversation ended early".to_owned(), |end| end.reason))
}

impl<'a> Talk<'a> {
    pub fn new(prober: &'a Prober, target: &'a ProbeTarget, address: IpAddr, stream: TcpStream, started: Instant) -> Self {
        Self {
            prober,
            target,
            address,
            wire: Wire::new(stream, &prober.limits, started),
            report: bare(target, Some(address), Verdict::Up, String::new()),
            seen: Seen::default(),
            chain: Vec::new(),
            handshake_answered: false,
            handshake_cut: false,
            handshake_unshared: false,
        }
    }

    async fn run(&mut self) -> Result<(), End> {
        self.open().await?;
        if let Some(credentials) = &self.target.auth {
            let begun = Instant::now();
            let outcome = self.log_in(credentials).await;
            self.report.stage_ms.auth = Some(ms(begun));
            outcome?;
        }
        Ok(())
    }

    /// Up to where mail or a login may begin.
    pub async fn open(&mut self) -> Result<(), End> {
        if self.target.mode == ProbeMode::Implicit {
            self.handshake().await?;
        }
        self.greeting().await?;
        let begun = Instant::now();
        self.ehlo().await?;
        self.report.stage_ms.ehlo = Some(ms(begun));
        if self.target.mode == ProbeMode::Starttls {
            self.starttls().await?;
        }
        Ok(())
    }

    pub async fn greeting(&mut self) -> Result<(), End> {
        let begun = Instant::now();
        let reply = self.wire.greeting().await;
        self.report.stage_ms.banner = Some(ms(begun));
        let reply = reply.map_err(|error| {
            let mut end = End::broke("no greeting", &error);
            if matches!(error, WireError::Silent(_)) && self.target.mode != ProbeMode::Implicit {
                end.reason.push_str("; a port that waits for TLS from the first byte behaves like this (try the mode implicit), so does a tarpit");
            }
            end
        })?;
        self.report.banner = reply.lines.first().cloned();
        match reply.class() {
            2 if reply.code == 220 => Ok(()),
            4 => Err(End {
                verdict: Verdict::Degraded,
                reason: format!("the server greets with a temporary refusal: {}; it is busy or throttles us", reply.text()),
                in_step: true,
            }),
            5 => Err(End::down(format!("the server refuses every conversation with us: {}", reply.text()))),
            _ => Err(End::down(format!("the greeting is not 220: {}", reply.text()))),
        }
    }

    pub async fn ehlo(&mut self) -> Result<(), End> {
        let name = self.prober.net.ehlo_name();
        let reply = self.ask(&format!("EHLO {name}"), "EHLO").await?;
        if reply.class() == 2 {
            self.seen.ehlo_name = reply.lines.first().cloned();
            self.report.extensions = reply.lines.into_iter().skip(1).filter(|line| !line.is_empty()).collect();
            self.note_mechanisms();
            return Ok(());
        }
        if reply.class() == 5 {
            // RFC 5321 3.2: an old server may know HELO only.
            let reply = self.ask(&format!("HELO {name}"), "HELO").await?;
            self.report.extensions.clear();
            self.seen.helo_only = true;
            if reply.class() == 2 {
                return Ok(());
            }
            return Err(refused("EHLO and HELO", &reply));
        }
        Err(refused("EHLO", &reply))
    }

    async fn starttls(&mut self) -> Result<(), End> {
        if !offers(&self.report.extensions, "STARTTLS") {
            self.seen.starttls_missing = true;
            return Ok(());
        }
        let begun = Instant::now();
        let reply = self.ask("STARTTLS", "STARTTLS").await?;
        if reply.code != 220 {
            self.report.stage_ms.tls = Some(ms(begun));
            self.seen.starttls_refused = Some(reply.text());
            return Ok(());
        }
        self.handshake().await?;
        self.report.stage_ms.tls = Some(ms(begun));
        let begun = Instant::now();
        self.ehlo().await?;
        self.report.stage_ms.ehlo = Some(self.report.stage_ms.ehlo.unwrap_or(0.0) + ms(begun));
        Ok(())
    }

    pub async fn handshake(&mut self) -> Result<(), End> {
        let begun = Instant::now();
        let tls = self.prober.tls.as_ref().map_err(|error| End {
            verdict: Verdict::Unknown,
            reason: format!("TLS could not be set up here: {error}"),
            in_step: true,
        })?;
        let name = server_name(&self.target.host, self.address);
        let done = self.wire.start_tls(tls.config.clone(), name.clone()).await;
        self.report.stage_ms.tls = Some(ms(begun));
        match done {
            Ok(stream) => {
                let judged = tls.judge(stream, &name, self.prober.net.now());
                self.chain = stream.get_ref().1.peer_certificates().unwrap_or_default().iter().map(|der| der.clone().into_owned()).collect();
                self.report.tls = Some(judged.report.clone());
                self.seen.certificate = Some(judged);
                Ok(())
            }
            Err(error) => {
                let (reason, old) = handshake_failure(&error);
                self.handshake_answered = is_the_servers(&error);
                self.handshake_cut = was_cut(&error);
                self.handshake_unshared = shares_no_suite(&error);
                self.seen.handshake_failed = Some((reason.clone(), old));
                Err(End { verdict: Verdict::Down, reason, in_step: false })
            }
        }
    }

    async fn log_in(&mut self, credentials: &Credentials) -> Result<(), End> {
        let offered = auth::offered(&self.report.extensions);
        let proven = self.report.tls.as_ref().is_some_and(|tls| tls.trusted && tls.name_matches);
        let login = Login { credentials, offered: &offered, server: (&self.target.host, self.target.port), proven };
        let login = auth::log_in(&mut self.wire, &login).await.map_err(|error| End::broke("after AUTH", &error))?;
        self.report.auth.get_or_insert_default().login = Some(login);
        Ok(())
    }

    /// The mechanisms offered now, kept where they were offered.
    fn note_mechanisms(&mut self) {
        let offered = auth::offered(&self.report.extensions);
        if offered.is_empty() {
            return;
        }
        let auth = self.report.auth.get_or_insert_default();
        *(if self.wire.is_tls() { &mut auth.under_tls } else { &mut auth.in_clear }) = offered;
    }

    async fn ask(&mut self, command: &str, stage: &str) -> Result<Reply, End> {
        self.wire.ask(command).await.map_err(|error| End::broke(&format!("after {stage}"), &error))
    }
}

fn works_for_rsa(suite: &str) -> String {
    format!("TLS works only for programs that speak RSA key exchange ({suite})")
}

fn refused(what: &str, reply: &Reply) -> End {
    if reply.class() == 4 {
        let reason = format!("{what} is refused for now: {}", reply.text());
        return End { verdict: Verdict::Degraded, reason, in_step: reply.code != 421 };
    }
    End::down(format!("{what} is refused: {}", reply.text()))
}

/// The reply to EHLO has this keyword.
pub(super) fn offers(extensions: &[String], word: &str) -> bool {
    extensions.iter().any(|line| keyword(line).eq_ignore_ascii_case(word))
}

/// What stands where STARTTLS should: some firewalls overwrite the word with X on its way, so that nobody behind them uses TLS.
pub(super) fn crossed_out(extensions: &[String]) -> Option<&str> {
    let crosses = |word: &str| word.matches(['X', 'x']).count() >= 4 && word.bytes().all(|byte| matches!(byte, b'X' | b'x' | b'A'));
    extensions.iter().map(|line| keyword(line)).find(|word| crosses(word))
}

pub(super) fn keyword(line: &str) -> &str {
    line.split([' ', '=']).next().unwrap_or(line)
}
