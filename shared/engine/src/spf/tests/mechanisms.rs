//! RFC 7208 5: each mechanism, its arguments and its mistakes.

use super::*;
use SpfResult::{Fail, Neutral, Pass, PermError, SoftFail, TempError};

const V4: &str = "192.0.2.1";
const V6: &str = "2001:db8::1";

const ZONE: &[(&str, &str, &str)] = &[
    ("e.example", "A", "192.0.2.1"),
    ("e.example", "AAAA", "2001:db8::1"),
    ("e.example", "MX", "mx.e.example"),
    ("mx.e.example", "A", "192.0.2.9"),
    ("a:b/c.e.example", "A", "192.0.2.1"),
    ("host.xn--zckzah", "A", "192.0.2.1"),
    ("null.example", "MX", ""),
    ("slow.example", "A", "TIMEOUT"),
    ("slow.example", "AAAA", "TIMEOUT"),
    ("slow.example", "MX", "TIMEOUT"),
    ("slow.example", "TXT", "TIMEOUT"),
    ("slowmx.example", "MX", "slow.example"),
    ("pass.example", "TXT", "v=spf1 +all"),
    ("fail.example", "TXT", "v=spf1 -all exp=x.example"),
    ("soft.example", "TXT", "v=spf1 ~all"),
    ("neutral.example", "TXT", "v=spf1 ?all"),
    ("broken.example", "TXT", "v=spf1 nonsense -all"),
    ("two.example", "TXT", "v=spf1 -all"),
    ("two.example", "TXT", "v=spf1 +all"),
    ("nothing.example", "TXT", "hello"),
    ("yes.example", "A", "127.0.0.2"),
    ("six.example", "AAAA", "2001:db8::2"),
    ("192.0.2.1", "PTR", "liar.example"),
    ("192.0.2.1", "PTR", "slow.example"),
    ("192.0.2.1", "PTR", "Host.E.Example"),
    ("host.e.example", "A", "192.0.2.1"),
    ("liar.example", "A", "203.0.113.1"),
    ("2001:db8-1", "PTR", "six.e.example"),
    ("six.e.example", "AAAA", "2001:db8::1"),
    ("203.0.113.9", "PTR", "TIMEOUT"),
];

#[tokio::test]
async fn all() {
    table(
        ZONE,
        &[
            ("v=spf1 all", V4, Pass),
            ("v=spf1 ?all -all", V4, Neutral),
            ("v=spf1 ~all", V6, SoftFail),
            ("v=spf1 -all.", V4, PermError),
            ("v=spf1 -all:e.example", V4, PermError),
            ("v=spf1 -all/8", V4, PermError),
            ("v=spf1 -all:", V4, PermError),
        ],
    )
    .await;
}

#[tokio::test]
async fn include() {
    table(
        ZONE,
        &[
            ("v=spf1 include:pass.example -all", V4, Pass),
            ("v=spf1 -include:pass.example +all", V4, Fail),
            ("v=spf1 ?include:pass.example -all", V4, Neutral),
            ("v=spf1 include:fail.example ~all", V4, SoftFail),
            ("v=spf1 include:soft.example -all", V4, Fail),
            ("v=spf1 include:neutral.example -all", V4, Fail),
            ("v=spf1 include:slow.example +all", V4, TempError),
            ("v=spf1 include:broken.example +all", V4, PermError),
            ("v=spf1 include:two.example +all", V4, PermError),
            ("v=spf1 include:nothing.example +all", V4, PermError),
            ("v=spf1 include:gone.example +all", V4, PermError),
            ("v=spf1 include +all", V4, PermError),
            ("v=spf1 include: +all", V4, PermError),
            ("v=spf1 include:pass.example/24 -all", V4, PermError),
            ("v=spf1 include=pass.example -all", V4, Fail),
            ("v=spf1 include/pass.example -all", V4, PermError),
        ],
    )
    .await;
}

#[tokio::test]
async fn a() {
    table(
        ZONE,
        &[
            ("v=spf1 a -all", V4, Pass),
            ("v=spf1 a -all", V6, Pass),
            ("v=spf1 a -all", "::ffff:192.0.2.1", Pass),
            ("v=spf1 a/28//64 -all", "192.0.2.14", Pass),
            ("v=spf1 a/28//64 -all", "192.0.2.17", Fail),
            ("v=spf1 a/28//64 -all", "2001:db8::f:1", Pass),
            ("v=spf1 a/0 -all", "203.0.113.1", Pass),
            ("v=spf1 a/0 -all", "2001:db9::1", Fail),
            ("v=spf1 a//0 -all", "203.0.113.1", Fail),
            ("v=spf1 a//0 -all", "2001:db9::1", Pass),
            ("v=spf1 a//0 -all", "::ffff:203.0.113.1", Fail),
            ("v=spf1 a:gone.example//0 -all", V6, Fail),
            ("v=spf1 a:gone.example/0 -all", V4, Fail),
            ("v=spf1 a:e.example. -all", V4, Pass),
            ("v=spf1 a:e.example/32//128 -all", V4, Pass),
            ("v=spf1 a:a:b/c.e.example -all", V4, Pass),
            ("v=spf1 a:a:b/c.e.example/24 -all", "192.0.2.7", Pass),
            ("v=spf1 a:host.xn--zckzah -all", V4, Pass),
            ("v=spf1 a:slow.example -all", V4, TempError),
        ],
    )
    .await;
    for wrong in [
        "a:",
        "a/",
        "a//",
        "a/33",
        "a/-1",
        "a/032",
        "a/00",
        "a/+1",
        "a/ 24",
        "a//129",
        "a//064",
        "a///64",
        "a/24/64",
        "a/24//",
        "a/24//64/",
        "a//64/24",
        "a/x",
        "a:/24",
        "a:e.example/",
        "a:e.example//x",
        "a:localhost",
        "a:museum",
        "a:museum.",
        "a:.",
        "a:..",
        "a:111.222.33.44",
        "a:abc.123",
        "a:abc.-de",
        "a:abc.de-",
        "a:e.example..",
        "a:e.example:8080",
        "a:e.example,x",
        "a:e.exa_mple",
        "a:(e).(example)",
        "a;e.example",
        "a.e.example",
    ] {
        assert_eq!(result(&format!("v=spf1 {wrong} -all"), V4).await, PermError, "{wrong}");
    }
}

#[tokio::test]
async fn mx() {
    table(
        ZONE,
        &[
            ("v=spf1 mx -all", "192.0.2.9", Pass),
            ("v=spf1 mx -all", V4, Fail),
            ("v=spf1 mx/24 -all", V4, Pass),
            ("v=spf1 mx:e.example//0 -all", V6, Fail),
            ("v=spf1 mx:e.example/0 -all", V4, Pass),
            ("v=spf1 mx:null.example -all", V4, Fail),
            // No MX record: its own addresses do not stand in for it.
            ("v=spf1 mx:host.e.example -all", V4, Fail),
            ("v=spf1 mx:gone.example -all", V4, Fail),
            ("v=spf1 mx:slow.example -all", V4, TempError),
            ("v=spf1 mx:slowmx.example -all", V4, TempError),
            ("v=spf1 mx: -all", V4, PermError),
            ("v=spf1 mx/33 -all", V4, PermError),
            ("v=spf1 mx//129 -all", V4, PermError),
            ("v=spf1 mx:e.example:25 -all", V4, PermError),
            ("v=spf1 mx:com -all", V4, PermError),
            ("v=spf1 mxx -all", V4, PermError),
        ],
    )
    .await;
}

#[tokio::test]
async fn ptr() {
    table(
        ZONE,
        &[
            ("v=spf1 ptr -all", V4, Pass),
            ("v=spf1 ptr:E.EXAMPLE -all", V4, Pass),
            ("v=spf1 ptr:host.e.example -all", V4, Pass),
            ("v=spf1 ptr:ost.e.example -all", V4, Fail),
            ("v=spf1 ptr:liar.example -all", V4, Fail),
            ("v=spf1 ptr -all", V6, Pass),
            ("v=spf1 ptr -all", "203.0.113.9", Fail),
            ("v=spf1 ptr -all", "203.0.113.10", Fail),
            ("v=spf1 ptr: -all", V4, PermError),
            ("v=spf1 ptr/0 -all", V4, PermError),
            ("v=spf1 ptr:e.example/24 -all", V4, PermError),
        ],
    )
    .await;
}

#[tokio::test]
async fn ip4_and_ip6() {
    table(
        ZONE,
        &[
            ("v=spf1 ip4:192.0.2.1 -all", V4, Pass),
            ("v=spf1 ip4:192.0.2.1 -all", "::ffff:c000:201", Pass),
            ("v=spf1 ip4:192.0.2.99/24 -all", V4, Pass),
            ("v=spf1 ip4:0.0.0.0/0 -all", V4, Pass),
            ("v=spf1 ip4:0.0.0.0/0 -all", V6, Fail),
            ("v=spf1 ip4:192.0.2.0/31 -all", "192.0.2.2", Fail),
            ("v=spf1 ip6:2001:db8::1 -all", V6, Pass),
            ("v=spf1 ip6:2001:db8::/32 -all", V6, Pass),
            ("v=spf1 ip6:2001:db8::/33 -all", "2001:db8:8000::1", Fail),
            ("v=spf1 ip6:::192.0.2.1/0 -all", V6, Pass),
            ("v=spf1 ip6:::/0 -all", V4, Fail),
            ("v=spf1 ip6:::ffff:192.0.2.1 -all", V4, Fail),
            ("v=spf1 ip6:::ffff:192.0.2.1/0 -all", "::ffff:192.0.2.1", Fail),
        ],
    )
    .await;
    for wrong in [
        "ip4",
        "ip4:",
        "ip4:192.0.2",
        "ip4:192.0.2.1.1",
        "ip4:192.0.2.256",
        "ip4:192.0.2.01",
        "ip4:192.0.2.1/",
        "ip4:192.0.2.1/33",
        "ip4:192.0.2.1/032",
        "ip4:192.0.2.1/24/24",
        "ip4:192.0.2.1//24",
        "ip4:192.0.2.1:25",
        "ip4:e.example",
        "ip4:%{i}",
        "ip4:2001:db8::1",
        "ip6",
        "ip6:",
        "ip6:192.0.2.1",
        "ip6::2001:db8::1",
        "ip6:2001:db8::1::",
        "ip6:2001:db8::1/129",
        "ip6:2001:db8::1/",
        "ip6:2001:db8::1/064",
        "ip6:2001:db8::1//64",
        "ip6:fe80::1%eth0",
        "ip6:[2001:db8::1]",
        "ip6:12345::",
        "ip:192.0.2.1",
        "ipv4:192.0.2.1",
    ] {
        assert_eq!(result(&format!("v=spf1 {wrong} -all"), V4).await, PermError, "{wrong}");
    }
}

#[tokio::test]
async fn exists() {
    table(
        ZONE,
        &[
            ("v=spf1 exists:yes.example -all", V4, Pass),
            // Always an A record, also for IPv6 clients.
            ("v=spf1 exists:yes.example -all", V6, Pass),
            ("v=spf1 exists:six.example -all", V6, Fail),
            ("v=spf1 exists:gone.example -all", V4, Fail),
            ("v=spf1 exists:slow.example -all", V4, TempError),
            ("v=spf1 exists -all", V4, PermError),
            ("v=spf1 exists: -all", V4, PermError),
            ("v=spf1 exists:yes.example/24 -all", V4, PermError),
        ],
    )
    .await;
}
