//! RFC 7208 4.6.4: what an evaluation may cost.

use super::*;
use SpfResult::{Fail, Neutral, Pass, PermError};

fn many(term: &str, n: usize, end: &str) -> String {
    format!("v=spf1 {}{end}", format!("{term} ").repeat(n))
}

#[tokio::test]
async fn ten_terms_whichever_they_are() {
    let others = [
        ("e.example", "A", "192.0.2.99"),
        ("e.example", "MX", "mx.e.example"),
        ("mx.e.example", "A", "192.0.2.99"),
        ("no.example", "TXT", "v=spf1 -all"),
        ("192.0.2.1", "PTR", "host.example"),
        ("five.example", "TXT", "v=spf1 a:e.example a:e.example a:e.example a:e.example a:e.example -all"),
        ("loop.example", "TXT", "v=spf1 include:loop.example -all"),
        ("turn.example", "TXT", "v=spf1 redirect=turn.example"),
        ("ping.example", "TXT", "v=spf1 include:pong.example"),
        ("pong.example", "TXT", "v=spf1 include:ping.example"),
    ];
    for term in ["a", "mx", "ptr:x.example", "include:no.example"] {
        table(&others, &[(&many(term, 10, "-all"), "192.0.2.1", Fail), (&many(term, 11, "-all"), "192.0.2.1", PermError)]).await;
    }
    table(
        &others,
        &[
            (&many("ip4:192.0.2.99", 40, "-all"), "192.0.2.1", Fail),
            // Nobody comes as far as the eleventh.
            (&format!("{} +ip4:192.0.2.1 a -all", many("a", 10, "").trim_end()), "192.0.2.1", Pass),
            // Counted over includes: 1 + 5 + 1 + … .
            ("v=spf1 include:five.example a a a a -all", "192.0.2.1", Fail),
            ("v=spf1 include:five.example a a a a a -all", "192.0.2.1", PermError),
            ("v=spf1 include:five.example a a a redirect=no.example", "192.0.2.1", Fail),
            ("v=spf1 include:five.example a a a a redirect=no.example", "192.0.2.1", PermError),
            ("v=spf1 include:loop.example -all", "192.0.2.1", PermError),
            ("v=spf1 redirect=turn.example", "192.0.2.1", PermError),
            ("v=spf1 include:ping.example", "192.0.2.1", PermError),
            ("v=spf1 redirect=e.example", "192.0.2.1", PermError),
        ],
    )
    .await;
}

#[tokio::test]
async fn two_lookups_may_find_nothing() {
    let others = [("e.example", "MX", "gone1.example"), ("e.example", "MX", "gone2.example"), ("six.example", "AAAA", "2001:db8::1")];
    table(
        &others,
        &[
            ("v=spf1 a:gone1.example mx:gone2.example ?all", "192.0.2.1", Neutral),
            ("v=spf1 a:gone1.example mx:gone2.example exists:gone3.example ?all", "192.0.2.1", PermError),
            ("v=spf1 a:gone1.example a:gone1.example a:gone1.example ?all", "192.0.2.1", PermError),
            // A name without addresses of the client's family finds nothing, too.
            ("v=spf1 a:six.example a:six.example a:six.example ?all", "192.0.2.1", PermError),
            ("v=spf1 a:six.example a:six.example a:six.example ?all", "2001:db8::2", Neutral),
            // The hosts of an mx are not terms.
            ("v=spf1 mx mx mx ?all", "192.0.2.1", Neutral),
        ],
    )
    .await;
    assert_eq!(eval(&[("e.example", "TXT", "v=spf1 a:gone.example ?all")], "192.0.2.1", "e.example").await.void_lookups, 1);
}

#[tokio::test]
async fn ten_hosts_of_an_mx_and_ten_names_of_a_ptr() {
    let hosts: Vec<String> = (0..12).map(|n| format!("h{n:02}.e.example")).collect();
    for (count, wanted) in [(10, Pass), (11, PermError)] {
        let mut zone = vec![("e.example", "TXT", "v=spf1 mx -all"), (hosts[0].as_str(), "A", "192.0.2.1")];
        zone.extend(hosts[..count].iter().map(|host| ("e.example", "MX", host.as_str())));
        assert_eq!(eval(&zone, "192.0.2.1", "e.example").await.result, wanted, "{count} MX hosts");
    }
    for (good, wanted) in [(9, Pass), (10, Fail)] {
        let mut zone = vec![("e.example", "TXT", "v=spf1 ptr -all"), (hosts[good].as_str(), "A", "192.0.2.1")];
        zone.extend(hosts.iter().map(|host| ("192.0.2.1", "PTR", host.as_str())));
        assert_eq!(eval(&zone, "192.0.2.1", "e.example").await.result, wanted, "the name after {good} others");
    }
}
