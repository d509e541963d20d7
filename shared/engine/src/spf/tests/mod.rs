//! `check_host()` against a map of records, one row per rule of the standard.
#![allow(clippy::unwrap_used)]

use std::{collections::HashMap, net::IpAddr};

use proptest::prelude::*;

use super::*;
use crate::net::{Absence, DnsFailure, Lookup};

mod initial;
mod limits;
mod macro_letters;
mod mechanisms;
mod modifiers;
mod wire;

/// A record of a test's world: name, type, value.
type Row<'a> = (&'a str, &'static str, &'a str);

#[derive(Default)]
struct Map {
    records: HashMap<(String, &'static str), Vec<String>>,
}

impl Map {
    fn new(zone: &[(&str, &'static str, &str)]) -> Self {
        let mut map = Self::default();
        for (name, kind, value) in zone {
            map.records.entry(((*name).to_owned(), kind)).or_default().push((*value).to_owned());
        }
        map
    }

    fn get(&self, name: &str, kind: &'static str) -> Lookup<String> {
        let name = name.to_ascii_lowercase();
        if name.split('.').any(|label| label.is_empty() || label.len() > 63) {
            return Lookup::Failed(DnsFailure::BadName(name));
        }
        match self.records.get(&(name.clone(), kind)) {
            Some(values) if values[0] == "TIMEOUT" => Lookup::Failed(DnsFailure::Timeout),
            Some(values) => Lookup::Found(values.clone()),
            None if self.records.keys().any(|(other, _)| *other == name) => Lookup::Missing(Absence::NoData),
            None => Lookup::Missing(Absence::NxDomain),
        }
    }
}

impl SpfDns for Map {
    async fn txt(&self, name: &str) -> Lookup<Vec<u8>> {
        self.get(name, "TXT").filter_map(|text| Some(text.into_bytes()))
    }
    async fn address(&self, name: &str, v6: bool) -> Lookup<IpAddr> {
        self.get(name, if v6 { "AAAA" } else { "A" }).filter_map(|text| text.parse().ok())
    }
    async fn mx(&self, name: &str) -> Lookup<(u16, String)> {
        self.get(name, "MX").filter_map(|host| Some((10, host)))
    }
    async fn ptr(&self, address: IpAddr) -> Lookup<String> {
        self.get(&address.to_string().replace("::", "-"), "PTR")
    }
}

async fn eval(zone: &[(&str, &'static str, &str)], ip: &str, domain: &str) -> SpfEvaluation {
    check_host(&Map::new(zone), ip.parse().unwrap(), domain, &format!("user@{domain}"), "mx.example.org", 0).await
}

/// Rows of `(record of e.example, client, wanted)` with the same other names for all; says every row that differs.
async fn table(others: &[(&str, &'static str, &str)], rows: &[(&str, &str, SpfResult)]) {
    let mut wrong = Vec::new();
    for (record, ip, wanted) in rows {
        let mut zone = vec![("e.example", "TXT", *record)];
        zone.extend_from_slice(others);
        let got = eval(&zone, ip, "e.example").await;
        if got.result != *wanted {
            wrong.push(format!("{record} for {ip}: wanted {}, got {} ({})", wanted.as_str(), got.result.as_str(), got.explanation));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn result(record: &str, ip: &str) -> SpfResult {
    let zone = [
        ("e.example", "TXT", record),
        ("e.example", "A", "192.0.2.1"),
        ("e.example", "MX", "mx.e.example"),
        ("mx.e.example", "A", "192.0.2.9"),
        ("mx.e.example", "AAAA", "2001:db8::9"),
        ("pass.example", "TXT", "v=spf1 +all"),
        ("fail.example", "TXT", "v=spf1 -all"),
        ("broken.example", "TXT", "v=spf1 nonsense -all"),
        ("slow.example", "TXT", "TIMEOUT"),
        ("slow.example", "A", "TIMEOUT"),
        ("1.2.0.192.x.example", "A", "127.0.0.2"),
        ("192.0.2.1", "PTR", "host.e.example"),
        ("host.e.example", "A", "192.0.2.1"),
    ];
    eval(&zone, ip, "e.example").await.result
}

#[tokio::test]
async fn each_rule_has_its_row() {
    use SpfResult::{Fail, Neutral, Pass, PermError, SoftFail, TempError};
    for (record, ip, wanted) in [
        ("v=spf1 -all", "192.0.2.1", Fail),
        ("v=spf1", "192.0.2.1", Neutral),
        ("V=SPF1 A -ALL", "192.0.2.1", Pass),
        ("v=spf1  a   ~all ", "192.0.2.2", SoftFail),
        ("v=spf1 ?all", "192.0.2.2", Neutral),
        ("v=spf1 a/24 -all", "192.0.2.77", Pass),
        ("v=spf1 a/0 -all", "198.51.100.1", Pass),
        ("v=spf1 a//0 -all", "198.51.100.1", Fail),
        ("v=spf1 a/33 -all", "192.0.2.1", PermError),
        ("v=spf1 a/024 -all", "192.0.2.1", PermError),
        ("v=spf1 a/ -all", "192.0.2.1", PermError),
        ("v=spf1 a//129 -all", "192.0.2.1", PermError),
        ("v=spf1 a:localhost -all", "192.0.2.1", PermError),
        ("v=spf1 a:e.example:8080 -all", "192.0.2.1", PermError),
        ("v=spf1 a:111.222.33.44 -all", "192.0.2.1", PermError),
        ("v=spf1 a:foo:bar/baz.e.example -all", "192.0.2.1", Fail),
        ("v=spf1 mx -all", "192.0.2.9", Pass),
        ("v=spf1 mx//64 -all", "2001:db8::77", Pass),
        ("v=spf1 mx/26//64 -all", "2001:db8:1::77", Fail),
        ("v=spf1 ip4:192.0.2.0/24 -all", "192.0.2.200", Pass),
        ("v=spf1 ip4:192.0.2.0/24 -all", "::ffff:192.0.2.200", Pass),
        ("v=spf1 ip4:192.0.2 -all", "192.0.2.1", PermError),
        ("v=spf1 ip4:192.0.2.1//32 -all", "192.0.2.1", PermError),
        ("v=spf1 ip4/192.0.2.1 -all", "192.0.2.1", PermError),
        ("v=spf1 ip4=192.0.2.1 -all", "192.0.2.1", Fail),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::1", Pass),
        ("v=spf1 ip6:::1.1.1.1/0 -all", "2001:db8::1", Pass),
        ("v=spf1 include:pass.example -all", "192.0.2.1", Pass),
        ("v=spf1 include:fail.example ~all", "192.0.2.1", SoftFail),
        ("v=spf1 include:none.example -all", "192.0.2.1", PermError),
        ("v=spf1 include:broken.example -all", "192.0.2.1", PermError),
        ("v=spf1 include:slow.example -all", "192.0.2.1", TempError),
        ("v=spf1 include -all", "192.0.2.1", PermError),
        ("v=spf1 redirect=fail.example", "192.0.2.1", Fail),
        ("v=spf1 redirect=none.example", "192.0.2.1", PermError),
        ("v=spf1 redirect=pass.example ?all", "192.0.2.1", Neutral),
        ("v=spf1 redirect=pass.example redirect=pass.example", "192.0.2.1", PermError),
        ("v=spf1 -redirect=pass.example", "192.0.2.1", PermError),
        ("v=spf1 redirect:pass.example", "192.0.2.1", PermError),
        ("v=spf1 exists:%{ir}.x.example -all", "192.0.2.1", Pass),
        ("v=spf1 exists:%{r}.x.example -all", "192.0.2.1", PermError),
        ("v=spf1 exists:%{d0}.x.example -all", "192.0.2.1", PermError),
        ("v=spf1 exists:%{d}%.x.example -all", "192.0.2.1", PermError),
        ("v=spf1 a:%{d} -all", "192.0.2.1", Pass),
        ("v=spf1 ptr -all", "192.0.2.1", Pass),
        ("v=spf1 ptr:e.example -all", "192.0.2.2", Fail),
        ("v=spf1 ptr: -all", "192.0.2.1", PermError),
        ("v=spf1 a:slow.example -all", "192.0.2.1", TempError),
        ("v=spf1 +all nonsense", "192.0.2.1", PermError),
        ("v=spf1 all:x.example", "192.0.2.1", PermError),
        ("v=spf1 moose=%{r}x ip4:192.0.2.1 -all", "192.0.2.1", Pass),
        ("v=spf1 moose=%{x} ip4:192.0.2.1 -all", "192.0.2.1", PermError),
        ("v=spf1 =x -all", "192.0.2.1", PermError),
        ("v=spf1 - -all", "192.0.2.1", PermError),
        ("v=spf1\ta -all", "192.0.2.1", SpfResult::None),
        ("v=spf1 a\t-all", "192.0.2.1", PermError),
        ("v=spf10 -all", "192.0.2.1", SpfResult::None),
        ("v=spf1 a:v1.example a:v2.example ?all", "192.0.2.1", Neutral),
        ("v=spf1 a:v1.example a:v2.example a:v3.example ?all", "192.0.2.1", PermError),
        ("v=spf1 a:%{d}..example ?all", "192.0.2.1", Neutral),
        ("v=spf1 ip4:192.0.2.1 é -all", "192.0.2.1", PermError),
    ] {
        assert_eq!(result(record, ip).await, wanted, "{record} for {ip}");
    }
}

#[tokio::test]
async fn what_is_no_domain_has_no_policy() {
    for domain in ["", "localhost", "a..b", ".example.com", &format!("{}.example", "x".repeat(64)), &vec!["abcdefg"; 40].join(".")] {
        assert_eq!(eval(&[], "192.0.2.1", domain).await.result, SpfResult::None, "{domain}");
    }
}

#[tokio::test]
async fn ten_lookups_pass_and_eleven_do_not() {
    let chain = |n: usize| -> String {
        std::iter::once("v=spf1".to_owned())
            .chain((0..n).map(|_| "exists:e.example".to_owned()))
            .chain(["-all".to_owned()])
            .collect::<Vec<_>>()
            .join(" ")
    };
    let ten = chain(10).replace("exists:e.example", "mx:e.example");
    assert_eq!(result(&ten, "198.51.100.1").await, SpfResult::Fail);
    let eleven = chain(11).replace("exists:e.example", "mx:e.example");
    assert_eq!(result(&eleven, "198.51.100.1").await, SpfResult::PermError);
}

#[tokio::test]
async fn two_records_or_eleven_mx_hosts_are_a_permanent_error() {
    let two = [("e.example", "TXT", "v=spf1 +all"), ("e.example", "TXT", "v=spf1 -all"), ("e.example", "TXT", "something else")];
    assert_eq!(eval(&two, "192.0.2.1", "e.example").await.result, SpfResult::PermError);
    let hosts: Vec<String> = (0..11).map(|n| format!("mx{n}.e.example")).collect();
    let mut zone = vec![("e.example", "TXT", "v=spf1 mx -all")];
    zone.extend(hosts.iter().map(|host| ("e.example", "MX", host.as_str())));
    assert_eq!(eval(&zone, "192.0.2.1", "e.example").await.result, SpfResult::PermError);
}

#[tokio::test]
async fn the_domain_explains_a_failure_in_its_own_words() {
    let zone = |text: &'static str| [("e.example", "TXT", "v=spf1 -all exp=why.%{d}"), ("why.e.example", "TXT", text)];
    let said = eval(&zone("%{i} is not one of %{d}'s %% %{c} %{r}"), "192.0.2.1", "e.example").await;
    assert_eq!(said.explanation, "192.0.2.1 is not one of e.example's % 192.0.2.1 unknown");
    assert_eq!(said.mechanism.as_deref(), Some("-all"));
    for broken in ["%{x}", "caf\u{e9}", "%"] {
        assert!(eval(&zone(broken), "192.0.2.1", "e.example").await.explanation.contains("matches"), "{broken}");
    }
    // The words of a redirect's target count; those of an include do not.
    let redirect = [
        ("e.example", "TXT", "v=spf1 redirect=r.example exp=why.e.example"),
        ("why.e.example", "TXT", "wrong"),
        ("r.example", "TXT", "v=spf1 -all exp=why.r.example"),
        ("why.r.example", "TXT", "right"),
    ];
    assert_eq!(eval(&redirect, "192.0.2.1", "e.example").await.explanation, "right");
}

#[tokio::test]
async fn macros_of_the_standard() {
    // The table of RFC 7208 7.4.
    for (text, wanted) in [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{S}", "strong-bad%40email.example.com"),
    ] {
        let zone = [("email.example.com", "TXT", "v=spf1 -all exp=x.example"), ("x.example", "TXT", text)];
        let map = Map::new(&zone);
        let said = check_host(&map, "192.0.2.3".parse().unwrap(), "email.example.com", "strong-bad@email.example.com", "h.example", 0).await;
        assert_eq!(said.explanation, wanted, "{text}");
    }
}

#[tokio::test]
async fn an_empty_sender_is_the_postmaster_of_the_helo_name() {
    let zone = Map::new(&[("h.example", "TXT", "v=spf1 -all exp=x.example"), ("x.example", "TXT", "%{s} %{l} %{o} %{h}")]);
    let said = check_host(&zone, "2001:db8::1".parse().unwrap(), "h.example", "", "h.example", 0).await;
    assert_eq!(said.explanation, "postmaster@h.example postmaster h.example h.example");
}

#[test]
fn a_mistake_is_shown_where_it_stands() {
    let error = parse(b"v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all").unwrap_err();
    assert_eq!((error.term.as_str(), error.position), ("ipv4:192.0.2.2", 22));
}

#[test]
fn long_names_lose_labels_from_the_left() {
    let long = vec!["abcdefghi"; 30].join(".");
    let fitted = macros::fit(&long);
    assert!(fitted.len() <= 253 && long.ends_with(fitted) && fitted.starts_with('a'));
}

proptest! {
    #[test]
    fn no_record_makes_the_parser_panic(tail in "\\PC{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _: Result<_, _> = parse(format!("v=spf1 {tail}").as_bytes());
        let _: Result<_, _> = parse(&[b"v=spf1 ".as_slice(), &bytes].concat());
    }
}
