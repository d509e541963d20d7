//! The lab does what its switches say, seen from outside: by `dig`, `openssl` and plain sockets. Needs root and the Debian packages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;
use waypost_lab::{Fault, FaultSetting, Lab, LabConfig, LeaseRequest, Signing, SinkFault, ZoneFault};

const LIMIT: Duration = Duration::from_secs(10);

async fn lab() -> Lab {
    match Lab::start(LabConfig::default()).await {
        Ok(lab) => lab,
        Err(error) => panic!("{error}"),
    }
}

async fn output(program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(args).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = timeout(LIMIT * 2, command.output()).await.unwrap().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What `dig +short` says, without line ends around.
async fn dig(lab: &Lab, name: &str, kind: &str) -> String {
    let server = format!("@127.{}.0.53", lab.ready.slot);
    output("dig", &["+short", "+tries=1", "+time=2", &server, name, kind]).await.trim().to_owned()
}

async fn status(lab: &Lab, name: &str) -> String {
    let server = format!("@127.{}.0.53", lab.ready.slot);
    let text = output("dig", &["+tries=1", "+time=2", &server, name, "A"]).await;
    text.split("status: ").nth(1).map_or_else(|| "none".to_owned(), |rest| rest.split(',').next().unwrap().to_owned())
}

/// Sends lines one by one, each after an answer; returns all that came until the server closed, or for as long as `patience`.
async fn talk(address: Ipv4Addr, port: u16, lines: &[&str], patience: Duration) -> Result<String, std::io::Error> {
    let mut stream = timeout(LIMIT, TcpStream::connect((address, port))).await.unwrap()?;
    let mut said = Vec::new();
    let mut lines = lines.iter();
    let mut buffer = vec![0; 65536];
    // A drip never pauses for long: there is an end to all of it.
    let until = Instant::now() + patience * 3;
    while Instant::now() < until {
        match timeout(patience, stream.read(&mut buffer)).await {
            Err(_) | Ok(Ok(0)) => break,
            Ok(length) => said.extend_from_slice(&buffer[..length?]),
        }
        let complete = said.ends_with(b"\n") && said.split(|&byte| byte == b'\n').rev().nth(1).is_some_and(|line| line.get(3) == Some(&b' '));
        if let Some(line) = lines.next_if(complete) {
            stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        }
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

trait NextIf<'a> {
    fn next_if(&mut self, wanted: bool) -> Option<&'a str>;
}

impl<'a> NextIf<'a> for std::slice::Iter<'_, &'a str> {
    fn next_if(&mut self, wanted: bool) -> Option<&'a str> {
        if wanted { self.next().copied() } else { None }
    }
}

async fn tls(lab: &Lab, address: Ipv4Addr, port: u16, host: &str) -> String {
    let (connect, ca) = (format!("{address}:{port}"), lab.ready.ca_file.as_str());
    let mut args = vec!["s_client", "-connect", &connect, "-CAfile", ca, "-verify_hostname", host, "-verify_return_error", "-brief"];
    if port != 465 {
        args.extend(["-starttls", "smtp"]);
    }
    output("openssl", &args).await
}

#[tokio::test]
async fn an_edit_of_a_zone_shows_at_once() {
    let lab = lab().await;
    let client = lab.client();
    let lease = client.lease("zone").await.unwrap();
    assert_eq!(dig(&lab, &lease.domain, "MX").await, format!("10 {}.", lease.mx_host));
    assert_eq!(dig(&lab, &lease.mx_host, "A").await, lease.address.to_string());
    let [_, b, c, d] = lease.address.octets();
    assert_eq!(dig(&lab, &format!("{d}.{c}.{b}.127.in-addr.arpa"), "PTR").await, format!("{}.", lease.mx_host));
    assert!(dig(&lab, &format!("default._domainkey.{}", lease.domain), "TXT").await.contains("v=DKIM1"));
    client.add_record(&lease.zone, "@ 1 IN TXT \"v=spf1 +all\"").await.unwrap();
    assert_eq!(client.remove_records(&lease.zone, "@", Some("TXT"), Some("mx -all")).await.unwrap(), 1);
    assert_eq!(dig(&lab, &lease.domain, "TXT").await, "\"v=spf1 +all\"");
    let wrong = client.add_record(&lease.zone, "@ 1 IN MX nonsense").await.unwrap_err();
    assert!(wrong.to_string().contains("would be wrong"), "{wrong}");
    client.set_zone("acme.example", &["@ 1 IN A 192.0.2.1"]).await.unwrap();
    assert_eq!(dig(&lab, "acme.example", "A").await, "192.0.2.1");
    client.drop_zone("acme.example").await.unwrap();
    assert_eq!(status(&lab, "acme.example").await, "NXDOMAIN");
    let unicode = client.lease_domain("b\u{fc}cher.example").await.unwrap();
    assert_eq!(unicode.domain, "xn--bcher-kva.example");
    assert_eq!(dig(&lab, "xn--bcher-kva.example", "MX").await, format!("10 {}.", unicode.mx_host));
    client.give_back(&unicode.domain).await.unwrap();
    assert_eq!(status(&lab, "xn--bcher-kva.example").await, "NXDOMAIN");
    assert_eq!(status(&lab, "nowhere.invalid").await, "NXDOMAIN");
}

#[tokio::test]
async fn name_servers_fail_as_told_and_recover() {
    let lab = lab().await;
    let client = lab.client();
    let lease = client.lease("broken").await.unwrap();
    for (fault, expected) in [(ZoneFault::Servfail, "SERVFAIL"), (ZoneFault::Refused, "SERVFAIL"), (ZoneFault::Timeout, "none")] {
        client.zone_fault(&lease.zone, fault).await.unwrap();
        assert_eq!(status(&lab, &lease.domain).await, expected, "{fault:?}");
        client.zone_fault(&lease.zone, ZoneFault::None).await.unwrap();
        assert_eq!(dig(&lab, &lease.domain, "A").await, lease.address.to_string(), "after {fault:?}");
    }
    client.zone_fault("psbl.surriel.com", ZoneFault::Servfail).await.unwrap();
    assert_eq!(status(&lab, "2.0.0.127.psbl.surriel.com").await, "SERVFAIL");
    client.zone_fault("psbl.surriel.com", ZoneFault::None).await.unwrap();
    assert_eq!(dig(&lab, "2.0.0.127.psbl.surriel.com", "A").await, "127.0.0.2");
    client.resolver_dead(true).await.unwrap();
    assert_eq!(status(&lab, &lease.domain).await, "none");
    client.add_record(&lease.zone, "late 1 IN A 192.0.2.7").await.unwrap();
    client.resolver_dead(false).await.unwrap();
    assert_eq!(dig(&lab, &format!("late.{}", lease.domain), "A").await, "192.0.2.7");
}

#[tokio::test]
async fn block_lists_list_and_unlist() {
    let lab = lab().await;
    let client = lab.client();
    for zone in ["zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org", "psbl.surriel.com"] {
        assert_eq!(dig(&lab, &format!("2.0.0.127.{zone}"), "A").await, "127.0.0.2", "{zone}");
        assert_eq!(status(&lab, &format!("1.0.0.127.{zone}")).await, "NXDOMAIN", "{zone}");
    }
    assert_eq!(dig(&lab, "1.0.0.127.dnsbl.zapbl.net", "A").await, "127.0.0.2", "lists the world");
    // Twice within a second, so that the files differ in nothing but content.
    for address in [Ipv4Addr::new(192, 0, 2, 5), Ipv4Addr::new(192, 0, 2, 6)] {
        let name = format!("{}.2.0.192.zen.spamhaus.org", address.octets()[3]);
        client.list_as("zen.spamhaus.org", address, Ipv4Addr::new(127, 0, 0, 4)).await.unwrap();
        assert_eq!(dig(&lab, &name, "A").await, "127.0.0.4");
        assert!(dig(&lab, &name, "TXT").await.contains("listed by the lab"));
        client.unlist("zen.spamhaus.org", address).await.unwrap();
        assert_eq!(status(&lab, &name).await, "NXDOMAIN");
    }
    assert!(client.list("nobody.example", Ipv4Addr::LOCALHOST).await.is_err());
}

#[tokio::test]
async fn block_lists_hold_ipv6_addresses_and_domains_and_some_refuse() {
    let lab = lab().await;
    let client = lab.client();
    let six = format!("1{}.8.b.d.0.1.0.0.2.zen.spamhaus.org", ".0".repeat(23));
    assert_eq!(status(&lab, &six).await, "NXDOMAIN");
    client.list("zen.spamhaus.org", "2001:db8::1").await.unwrap();
    assert_eq!(dig(&lab, &six, "A").await, "127.0.0.2");
    client.unlist("zen.spamhaus.org", "2001:db8::1").await.unwrap();
    assert_eq!(status(&lab, &six).await, "NXDOMAIN");
    assert_eq!(dig(&lab, "dbltest.com.dbl.spamhaus.org", "A").await, "127.0.0.2");
    client.list_as("dbl.spamhaus.org", "Bad.Example", Ipv4Addr::new(127, 0, 1, 4)).await.unwrap();
    assert_eq!(dig(&lab, "bad.example.dbl.spamhaus.org", "A").await, "127.0.1.4");
    assert_eq!(status(&lab, "good.example.dbl.spamhaus.org").await, "NXDOMAIN");
    assert_eq!(dig(&lab, "1.2.0.192.refusing.bl.test", "A").await, "127.255.255.254");
    assert_eq!(status(&lab, "1.2.0.192.silent.bl.test").await, "none");
    for (zone, entry) in [("dbl.spamhaus.org", "192.0.2.1"), ("bl.spamcop.net", "2001:db8::1"), ("zen.spamhaus.org", "bad.example")] {
        assert!(client.list(zone, entry).await.is_err(), "{entry} at {zone}");
    }
}

#[tokio::test]
async fn the_resolver_validates_below_one_zone() {
    let lab = lab().await;
    let client = lab.client();
    let server = format!("@127.{}.0.53", lab.ready.slot);
    let ask = async |name: &str| output("dig", &["+dnssec", "+tries=1", "+time=2", &server, name, "MX"]).await;
    let lease = client.lease_signed("signed", Signing::Valid).await.unwrap();
    assert_eq!((lease.domain.as_str(), lease.mx_host.as_str()), ("signed.dnssec.test", "mx-signed.dnssec.test"));
    let text = ask(&lease.domain).await;
    assert!(text.contains("status: NOERROR") && text.contains(" ad;") && text.contains("RRSIG"), "{text}");
    for signing in [Signing::Bogus, Signing::Expired] {
        client.sign_zone(&lease.zone, signing).await.unwrap();
        let text = ask(&lease.domain).await;
        assert!(text.contains("status: SERVFAIL") && text.contains("EDE: "), "{signing:?}: {text}");
    }
    client.sign_zone(&lease.zone, Signing::Valid).await.unwrap();
    client.add_record(&lease.zone, "late 1 IN MX 10 mx").await.unwrap();
    assert!(ask(&format!("late.{}", lease.domain)).await.contains(" ad;"));
    client.give_back(&lease.domain).await.unwrap();
    let text = ask(&lease.domain).await;
    assert!(text.contains("status: NXDOMAIN") && text.contains(" ad;"), "{text}");
    let plain = client.lease("plain").await.unwrap();
    let text = ask(&plain.domain).await;
    assert!(text.contains("status: NOERROR") && !text.contains(" ad;"), "{text}");
    assert!(client.sign_zone(&plain.zone, Signing::Valid).await.unwrap_err().to_string().contains("dnssec.test"));
}

#[tokio::test]
async fn every_fault_changes_what_a_client_sees() {
    let lab = lab().await;
    let client = lab.client();
    let lease = client.lease("fault").await.unwrap();
    let (address, patience) = (lease.address, Duration::from_millis(1500));
    let ehlo = ["EHLO client.test", "STARTTLS"];
    let healthy = talk(address, 25, &["EHLO client.test", "QUIT"], patience).await.unwrap();
    assert!(healthy.starts_with(&format!("220 {} ", lease.mx_host)) && healthy.contains("250-STARTTLS"), "{healthy}");
    for port in [25, 465, 587] {
        let seen = tls(&lab, address, port, &lease.mx_host).await;
        assert!(seen.contains("Verification: OK"), "{port}: {seen}");
    }
    let said = async |fault: Fault| {
        client.fault(address, 25, fault).await.unwrap();
        talk(address, 25, &ehlo, patience).await
    };
    assert_eq!(said(Fault::Refuse).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(said(Fault::Silent).await.unwrap(), "");
    assert!(said(Fault::Garbage).await.unwrap().contains("HTTP/1.1"));
    let drip = said(Fault::Drip).await.unwrap();
    assert!(!drip.is_empty() && "220-...................".starts_with(&drip[..drip.len().min(10)]), "{drip}");
    assert!(said(Fault::LongLine).await.unwrap().len() > 1_000_000);
    let bare = said(Fault::NoStarttls).await.unwrap();
    assert!(!bare.contains("250-STARTTLS") && bare.contains("502 "), "{bare}");
    assert!(said(Fault::Greet4xx).await.unwrap().starts_with("421 "));
    assert!(said(Fault::Greet5xx).await.unwrap().starts_with("554 "));
    assert!(said(Fault::Reset).await.is_err());
    client.fault_with(address, 25, FaultSetting { fault: Fault::Tarpit, delay_ms: Some(700) }).await.unwrap();
    let started = Instant::now();
    assert!(talk(address, 25, &["QUIT"], patience).await.unwrap().contains("221 "));
    assert!(started.elapsed() >= Duration::from_millis(1400));
    for (fault, expected) in [
        (Fault::ExpiredCert, "certificate has expired"),
        (Fault::SelfSigned, "self-signed certificate"),
        (Fault::WrongName, "hostname mismatch"),
        (Fault::CloseMidTls, "unexpected eof"),
        (Fault::Ssl3Only, "alert"),
    ] {
        for port in [25, 465] {
            client.fault(address, port, fault).await.unwrap();
            let seen = tls(&lab, address, port, &lease.mx_host).await;
            assert!(seen.to_ascii_lowercase().contains(expected), "{fault:?} on {port}: {seen}");
        }
    }
    client.fault(address, 25, Fault::None).await.unwrap();
    assert!(tls(&lab, address, 25, &lease.mx_host).await.contains("Verification: OK"));
}

#[tokio::test]
async fn mail_goes_through_postfix_into_the_sink() {
    let lab = lab().await;
    let client = lab.client();
    let lease = client.lease_with(&LeaseRequest { name: Some("mail".into()), ..LeaseRequest::default() }).await.unwrap();
    let to = format!("someone@{}", lease.domain);
    let rcpt = format!("RCPT TO:<{to}>");
    let message = "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9\r\n.";
    let lines = ["EHLO client.test", "MAIL FROM:<a@client.test>", &rcpt, "DATA", message, "QUIT"];
    let said = talk(lease.address, 25, &lines, LIMIT).await.unwrap();
    assert!(said.contains("queued as"), "{said}");
    let mail = client.wait_for_mail(&to, 1, LIMIT).await.unwrap().remove(0);
    assert_eq!((mail.subject.as_str(), mail.text.trim()), ("Gr\u{fc}\u{df}e", "caf\u{e9}"));
    assert!(mail.header("received").unwrap().contains("Postfix"));
    let relay = talk(lease.address, 25, &["EHLO c.test", "MAIL FROM:<a@c.test>", "RCPT TO:<b@elsewhere.org>", "QUIT"], LIMIT).await.unwrap();
    assert!(relay.contains("Relay access denied"), "{relay}");

    client.clear_mail().await.unwrap();
    let sink = Ipv4Addr::new(127, lab.ready.slot, 0, 30);
    for (fault, expected) in [(SinkFault::Refuse4xx, "451 "), (SinkFault::Refuse5xx, "550 ")] {
        client.sink_fault(fault).await.unwrap();
        assert!(talk(sink, 25, &["EHLO c.test", "MAIL FROM:<a@c.test>", &rcpt, "QUIT"], LIMIT).await.unwrap().contains(expected));
    }
    client.sink_fault(SinkFault::Drop).await.unwrap();
    assert_eq!(talk(sink, 25, &[], LIMIT).await.unwrap_or_default(), "");
    assert_eq!(client.mail(&to).await.unwrap(), []);
}

#[tokio::test]
async fn a_user_submits_with_a_password() {
    let lab = lab().await;
    let lease = lab.client().lease("submit").await.unwrap();
    // What `AUTH PLAIN` sends for user@lab.test and its password (RFC 4616), then with a wrong one.
    for (secret, expected) in [("AHVzZXJAbGFiLnRlc3QAc2VjcmV0LWxhYg==", "235 "), ("AHVzZXJAbGFiLnRlc3QAd3Jvbmc=", "535 ")] {
        let script = format!(
            "(sleep 0.3; printf 'EHLO c.test\\r\\n'; sleep 0.3; printf 'AUTH PLAIN {secret}\\r\\n'; sleep 1; printf 'QUIT\\r\\n'; sleep 0.2) \
             | openssl s_client -quiet -starttls smtp -connect {}:587 -CAfile {}",
            lease.address, lab.ready.ca_file
        );
        let said = output("sh", &["-c", &script]).await;
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn the_policy_host_speaks_for_every_domain() {
    let lab = lab().await;
    let lease = lab.client().lease("sts").await.unwrap();
    let host = format!("mta-sts.{}", lease.domain);
    let get = async || {
        let request = format!("printf 'GET /.well-known/mta-sts.txt HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n'");
        let connect = format!("openssl s_client -quiet -connect 127.{}.0.80:443 -servername {host} -CAfile {}", lab.ready.slot, lab.ready.ca_file);
        output("sh", &["-c", &format!("({request}; sleep 0.5) | {connect} -verify_hostname {host} -verify_return_error")]).await
    };
    assert_eq!(dig(&lab, &host, "A").await, format!("127.{}.0.80", lab.ready.slot));
    assert!(get().await.contains(&format!("mx: {}", lease.mx_host)));
    lab.client().set_policy(&lease.domain, 503, "busy").await.unwrap();
    assert!(get().await.contains("HTTP/1.1 503"));
}

#[tokio::test]
async fn nothing_is_left_when_the_lab_ends() {
    let lab = Lab::start(LabConfig { demo: true, ..LabConfig::default() }).await.unwrap_or_else(|error| panic!("{error}"));
    let demo = lab.ready.demo.clone().unwrap();
    assert_eq!(demo.domains, ["acme.lab.test", "globex.lab.test", "initech.lab.test"]);
    let state = lab.client().state().await.unwrap();
    assert_eq!(state["leases"].as_array().map(Vec::len), Some(3));
    let dir = lab.ready.dir.clone();
    assert!(running(&dir) > 3);
    let slot = lab.ready.slot;
    let taken = Lab::start(LabConfig { slot: Some(slot), ..LabConfig::default() }).await.unwrap_err();
    assert!(taken.to_string().contains("is taken"), "{taken}");
    drop(lab);
    assert_eq!(running(&dir), 0);
    assert!(!Path::new(&dir).exists());
}

/// How many programs have a lab's directory in their command line.
fn running(dir: &str) -> usize {
    let commands = std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    commands.filter(|command| String::from_utf8_lossy(command).contains(&format!("{dir}/"))).count()
}
