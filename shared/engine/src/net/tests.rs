//! The resolver and the single question against a small name server on loopback: what it answers is told apart as it should be.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::AtomicU32},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{
            A, AAAA, CNAME, MX, NS, NULL, PTR, SOA, TLSA, TXT,
            opt::EdnsOption,
            tlsa::{CertUsage, Matching, Selector},
        },
    },
    serialize::binary::BinEncodable,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};

use super::*;

/// An absolute name from its labels as they are.
pub(crate) fn absolute(name: &str) -> Option<Name> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Some(Name::root());
    }
    let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
    if labels.iter().any(|label| label.is_empty() || label.len() > 63) {
        return None;
    }
    let mut name = Name::from_labels(labels).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// What the server does with a name.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// Answers with these: `TXT text`, `A 192.0.2.1`, `MX 10 host`, `TLSA ab` and so on; other types of the name are empty.
    Records(Vec<String>),
    /// The same with the AD bit, as a validating resolver answers.
    Vouched(Vec<String>),
    /// A response code and nothing else.
    Code(ResponseCode),
    /// Never answers.
    Silence,
    /// SERVFAIL to questions of one type, these to all others.
    FailsFor(RecordType, Vec<String>),
    /// Truncated over UDP, these over TCP.
    TcpOnly(Vec<String>),
    /// SERVFAIL with this extended error (RFC 8914), as a validating resolver answers what it found bogus; these with CD.
    Bogus(u16, Vec<String>),
    /// SERVFAIL to so many questions that are to be validated, these to all others.
    FailsAtFirst(Arc<AtomicU32>, Vec<String>),
}

/// A name server on loopback that knows some names; all others are NXDOMAIN, without a SOA, as plain servers answer.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The names it was asked for over UDP.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it with records `(name, "TXT text")` and other behaviours.
    pub(crate) async fn start(records: &[(&str, &str)], others: &[(&str, Say)]) -> Self {
        let mut zone: BTreeMap<String, Say> = others.iter().map(|(name, say)| ((*name).to_owned(), say.clone())).collect();
        for (name, record) in records {
            match zone.entry((*name).to_owned()).or_insert_with(|| Say::Records(Vec::new())) {
                Say::Records(known) => known.push((*record).to_owned()),
                other => panic!("{name} is {other:?}"),
            }
        }
        let zone = Arc::new(zone);
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let known = Arc::clone(&zone);
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0_u8; 4096];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                log.lock().unwrap().push(asked_name(&Message::from_vec(&buffer[..length]).unwrap().queries[0]));
                if let Some(answer) = answer(&known, &buffer[..length], false) {
                    udp.send_to(&answer, from).await.unwrap();
                }
            }
        });
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let zone = Arc::clone(&zone);
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        let mut question = vec![0; usize::from(length)];
                        stream.read_exact(&mut question).await.unwrap();
                        let Some(answer) = answer(&zone, &question, true) else { return };
                        stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                        stream.write_all(&answer).await.unwrap();
                    }
                });
            }
        });
        Self { address, asked }
    }

    /// A [`Net`] that asks it.
    pub(crate) fn net(&self) -> Net {
        self.net_with(false)
    }

    /// A [`Net`] that asks it and believes its AD bit or does not.
    pub(crate) fn net_with(&self, trust_ad: bool) -> Net {
        Net::new(NetConfig { resolvers: vec![self.address], trust_ad, ..NetConfig::default() }).unwrap()
    }
}

pub(super) fn answer(zone: &BTreeMap<String, Say>, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).unwrap();
    let asked = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_available = true;
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.add_query(asked.clone());
    let name = asked_name(&asked);
    // The root is signed everywhere: whoever asks it learns whether a resolver passes signatures on.
    let root = Say::Records(vec!["DNSKEY 0101030d00".to_owned(), "RRSIG 00300d00000000000000000000000000000000".to_owned()]);
    let said = zone.get(&name).or_else(|| wildcard(zone, &name)).or_else(|| name.is_empty().then_some(&root));
    match said {
        // A name exists, without records, when one below it does.
        None if zone.keys().any(|known| known.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'))) => {}
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(Say::Silence) => return None,
        Some(Say::Code(code)) => answer.metadata.response_code = *code,
        Some(Say::FailsFor(kind, _)) if asked.query_type() == *kind => answer.metadata.response_code = ResponseCode::ServFail,
        Some(Say::TcpOnly(_)) if !tcp => answer.metadata.truncation = true,
        Some(Say::FailsAtFirst(left, _)) if !question.metadata.checking_disabled && one_less(left) => {
            answer.metadata.response_code = ResponseCode::ServFail;
        }
        Some(Say::Bogus(code, _)) if !question.metadata.checking_disabled => {
            answer.metadata.response_code = ResponseCode::ServFail;
            let mut edns = Edns::new();
            edns.options_mut().insert(EdnsOption::Unknown(15, code.to_be_bytes().to_vec()));
            answer.set_edns(edns);
        }
        Some(
            say @ (Say::Records(records)
            | Say::Vouched(records)
            | Say::TcpOnly(records)
            | Say::Bogus(_, records)
            | Say::FailsFor(_, records)
            | Say::FailsAtFirst(_, records)),
        ) => {
            answer.metadata.authentic_data = matches!(say, Say::Vouched(_));
            let wanted = asked.query_type();
            // What an alias leads to comes with it, as from every resolver.
            let mut following = Some((asked.name().clone(), records));
            while let Some((owner, records)) = following.take() {
                for data in records.iter().map(|text| data(text)) {
                    let kind = data.record_type();
                    let signs = kind == RecordType::RRSIG && data.to_bytes().unwrap()[..2] == u16::from(wanted).to_be_bytes();
                    if let (RData::CNAME(target), true) = (&data, wanted != RecordType::CNAME)
                        && let Some(Say::Records(records)) = zone.get(target.0.to_lowercase().to_string().trim_end_matches('.'))
                    {
                        following = Some((target.0.clone(), records));
                    }
                    if kind == wanted || kind == RecordType::CNAME || signs {
                        answer.add_answer(Record::from_rdata(owner.clone(), 60, data));
                    }
                }
            }
        }
    }
    Some(answer.to_vec().unwrap())
}

fn asked_name(question: &Query) -> String {
    question.name().iter().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect::<Vec<_>>().join(".")
}

/// Whether some were left; then there is one less.
fn one_less(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// What `*` below the closest name that exists says (RFC 4592 3.3.1).
fn wildcard<'a>(zone: &'a BTreeMap<String, Say>, name: &str) -> Option<&'a Say> {
    let exists = |name: &str| zone.keys().any(|known| known.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    if exists(name) {
        return None;
    }
    let closest = name.match_indices('.').map(|(at, _)| &name[at + 1..]).find(|parent| exists(parent))?;
    zone.get(&format!("*.{closest}"))
}

fn unknown(code: RecordType, hex: &str) -> RData {
    let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    RData::Unknown { code, rdata: NULL::with(bytes) }
}

fn data(text: &str) -> RData {
    let (kind, value) = text.split_once(' ').unwrap();
    let name = |text: &str| if text == "." { Name::root() } else { absolute(text).unwrap() };
    match kind {
        "TXT" => RData::TXT(TXT::new(value.split('|').map(str::to_owned).collect())),
        "A" => RData::A(A(value.parse().unwrap())),
        "AAAA" => RData::AAAA(AAAA(value.parse().unwrap())),
        "MX" => {
            let (preference, host) = value.split_once(' ').unwrap();
            RData::MX(MX::new(preference.parse().unwrap(), name(host)))
        }
        "NS" => RData::NS(NS(name(value))),
        "PTR" => RData::PTR(PTR(name(value))),
        "DNSKEY" => unknown(RecordType::DNSKEY, value),
        "DS" => unknown(RecordType::DS, value),
        "RRSIG" => unknown(RecordType::RRSIG, value),
        "TLSA" if value.contains(' ') => {
            let fields: Vec<&str> = value.splitn(4, ' ').collect();
            let number = |at: usize| fields[at].parse::<u8>().unwrap();
            unknown(RecordType::TLSA, &format!("{:02x}{:02x}{:02x}{}", number(0), number(1), number(2), fields[3]))
        }
        "TLSA" => RData::TLSA(TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, vec![u8::from_str_radix(value, 16).unwrap(); 32])),
        "CNAME" => RData::CNAME(CNAME(name(value))),
        // The primary, and a serial where it matters.
        "SOA" => {
            let (primary, serial) = value.split_once(' ').unwrap_or((value, "1"));
            RData::SOA(SOA::new(name(primary), name(primary), serial.parse().unwrap(), 7200, 900, 1_209_600, 300))
        }
        "SPF" => {
            let text = [&[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
            RData::Unknown { code: RecordType::Unknown(99), rdata: NULL::with(text) }
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn found_absent_and_unknown_are_told_apart() {
    let records = [
        ("a.example", "A 192.0.2.1"),
        ("a.example", "TXT v=spf1|mx"),
        ("foo:bar/baz.example", "MX 10 foo:bar/baz.example"),
        ("a b%c.example", "A 192.0.2.2"),
        ("alias.example", "CNAME a.example"),
    ];
    let others = [
        ("servfail.example", Say::Code(ResponseCode::ServFail)),
        ("refused.example", Say::Code(ResponseCode::Refused)),
        ("big.example", Say::TcpOnly(vec![format!("TXT {}", "x".repeat(250))])),
    ];
    let server = Server::start(&records, &others).await;
    let net = server.net();
    let dns = net.dns();
    assert_eq!(dns.a("a.example").await, Lookup::Found(vec!["192.0.2.1".parse().unwrap()]));
    assert_eq!(dns.txt("A.Example.").await, Lookup::Found(vec![b"v=spf1mx".to_vec()]));
    assert_eq!(dns.mx("a.example").await, Lookup::Missing(Absence::NoData));
    assert_eq!(dns.txt("none.example").await, Lookup::Missing(Absence::NxDomain));
    assert_eq!(dns.a("single-label").await, Lookup::Missing(Absence::NxDomain));
    assert_eq!(dns.txt("servfail.example").await, Lookup::Failed(DnsFailure::ServFail));
    assert_eq!(dns.txt("refused.example").await, Lookup::Failed(DnsFailure::Refused));
    assert_eq!(dns.txt("big.example").await, Lookup::Found(vec![vec![b'x'; 250]]));
    assert_eq!(dns.mx("foo:bar/baz.example").await, Lookup::Found(vec![(10, "foo:bar/baz.example".to_owned())]));
    assert_eq!(dns.a("a b%c.example").await, Lookup::Found(vec!["192.0.2.2".parse().unwrap()]));
    assert_eq!(dns.cname("alias.example").await, Lookup::Found(vec!["a.example".to_owned()]));
    assert_eq!(dns.a("alias.example").await, Lookup::Found(vec!["192.0.2.1".parse().unwrap()]));
    assert!(matches!(dns.a("a..example").await, Lookup::Failed(DnsFailure::BadName(_))));
}

#[tokio::test]
async fn silence_is_a_failure_and_has_an_end() {
    let server = Server::start(&[], &[("silent.example", Say::Silence)]).await;
    let net = server.net();
    let answer = tokio::time::timeout(Duration::from_secs(20), net.dns().txt("silent.example")).await.unwrap();
    assert!(matches!(answer, Lookup::Failed(_)), "{answer:?}");
}

#[tokio::test]
async fn a_single_question_sees_codes_and_goes_on_over_tcp() {
    let big = Say::TcpOnly(vec![format!("TXT {}", "x".repeat(250))]);
    let server =
        Server::start(&[("a.example", "A 192.0.2.1")], &[("servfail.example", Say::Code(ResponseCode::ServFail)), ("big.example", big)]).await;
    let net = server.net();
    let flags = QueryFlags { recursion: true, ..QueryFlags::default() };
    let code = async |name, kind| net.query(None, name, kind, flags).await.map(|answer| (answer.code, answer.answers.len()));
    assert_eq!(code("a.example", RecordType::A).await, Ok((0, 1)));
    assert_eq!(code("none.example", RecordType::A).await, Ok((3, 0)));
    assert_eq!(code("servfail.example", RecordType::A).await, Ok((2, 0)));
    assert_eq!(code("big.example", RecordType::TXT).await, Ok((0, 1)));
}

#[tokio::test]
async fn a_single_question_goes_on_to_the_next_resolver() {
    let server = Server::start(&[("a.example", "A 192.0.2.1")], &[]).await;
    let dead = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let net = Net::new(NetConfig { resolvers: vec![dead, server.address], ..NetConfig::default() }).unwrap();
    let answer = net.query(None, "a.example", RecordType::A, QueryFlags { recursion: true, ..QueryFlags::default() }).await.unwrap();
    assert_eq!(answer.answers.len(), 1);
}

#[test]
fn the_guard_refuses_what_is_not_public_in_every_form() {
    let guard = Egress::Guarded { allow: Vec::new() };
    for address in [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "fec0::1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:1::80ff:fffe",
    ] {
        assert!(guard.check(address.parse().unwrap()).is_err(), "{address}");
    }
    for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"] {
        assert!(guard.check(address.parse().unwrap()).is_ok(), "{address}");
    }
    let allowed = Egress::Guarded { allow: vec!["127.0.0.0/8".parse().unwrap()] };
    assert!(allowed.check("127.0.0.1".parse().unwrap()).is_ok() && allowed.check("::ffff:127.0.0.1".parse().unwrap()).is_ok());
    assert!(allowed.check("10.0.0.1".parse().unwrap()).is_err());
}

#[test]
fn the_machine_itself_is_named_but_not_dialled_unless_allowed() {
    let own = Own::read_by(|| Ok(vec!["8.8.8.8/32".parse().unwrap(), "2001:4860:4860::8888/128".parse().unwrap()]));
    let guard = Egress::Guarded { allow: Vec::new() };
    for address in ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:4860:4860::8888"] {
        let address = address.parse().unwrap();
        assert!(guard.check(address).is_ok(), "{address}");
        let denied = guard.check_dial(address, &own).unwrap_err();
        assert_eq!((denied.address, denied.reason), (address, "an address of this machine itself"));
        assert!(Egress::Unrestricted.check_dial(address, &own).is_ok());
    }
    assert!(guard.check_dial("8.8.4.4".parse().unwrap(), &own).is_ok());
    let allowed = Egress::Guarded { allow: vec!["8.8.8.0/24".parse().unwrap()] };
    assert!(allowed.check_dial("8.8.8.8".parse().unwrap(), &own).is_ok());
}

#[tokio::test]
async fn a_forbidden_address_is_not_dialled() {
    let net = Net::new(NetConfig {
        egress: Egress::Guarded { allow: Vec::new() },
        resolvers: vec!["127.0.0.1:9".parse().unwrap()],
        ..NetConfig::default()
    })
    .unwrap();
    let refused = net.dial("127.0.0.1:25".parse().unwrap(), Duration::from_secs(1)).await;
    assert!(matches!(refused, Err(DialError::Forbidden(_))));
    let asked = net.query(Some("10.0.0.1:53".parse().unwrap()), "a.example", RecordType::A, QueryFlags::default()).await;
    assert!(matches!(asked, Err(DnsFailure::Other(reason)) if reason.contains("private")));
}
