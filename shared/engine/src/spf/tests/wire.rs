//! Evaluations through the real resolver: names, bytes and failures as a name server shows them.

use hickory_proto::op::ResponseCode;

use super::*;
use crate::net::tests::{Say, Server};
use SpfResult::{Fail, Neutral, Pass, PermError, TempError};

async fn ask(server: &Server, ip: &str, domain: &str, sender: &str, helo: &str) -> SpfEvaluation {
    check_host(server.net().dns(), ip.parse().unwrap(), domain, sender, helo, 0).await
}

#[tokio::test]
async fn answers_of_a_name_server() {
    let long = ["abcdefghi"; 24].join(".");
    let record = format!("TXT v=spf1 exists:%{{l}}.|{long}.example -all");
    // With the local part it has 302 characters; all labels of that go, as one would already be too many.
    let fitted = format!("{long}.example");
    let records = [
        ("split.example", "TXT v=spf1 ip4:192|.0.2.1| -all"),
        ("glued.example", "TXT v=spf1|mx -all"),
        ("alias.example", "CNAME split.example"),
        ("odd.example", "TXT v=spf1 a:foo:bar/baz.%{d} a:sp%_ce.%{d} mx:%{L}.%{d} -all"),
        ("foo:bar/baz.odd.example", "A 192.0.2.1"),
        ("sp ce.odd.example", "A 192.0.2.2"),
        ("jo%26hn.odd.example", "MX 10 sp ce.odd.example"),
        ("helo.example", "TXT v=spf1 a:%{h} ?all"),
        ("empty.example", "TXT v=spf1 exists:%{l}..empty.example ?all"),
        ("null.example", "TXT v=spf1 mx -all"),
        ("null.example", "MX 0 ."),
        ("old.example", "SPF v=spf1 +all"),
        ("exists.example", "TXT v=spf1 exists:six.example -all"),
        ("six.example", "AAAA 2001:db8::1"),
        ("ptr.example", "TXT v=spf1 ptr -all exp=why.ptr.example"),
        ("why.ptr.example", "TXT |%{p} is |not ours"),
        ("1.2.0.192.in-addr.arpa", "PTR Host.PTR.example"),
        ("host.ptr.example", "A 192.0.2.1"),
        ("3.2.0.192.in-addr.arpa", "PTR other.example"),
        ("other.example", "A 192.0.2.3"),
        ("1.0.0.127.in-addr.arpa", "PTR lo.ptr.example"),
        ("lo.ptr.example", "A 127.0.0.1"),
        ("long.example", record.as_str()),
        (fitted.as_str(), "A 127.0.0.2"),
        ("mute-in.example", "TXT v=spf1 include:servfail.example +all"),
        ("mute-a.example", "TXT v=spf1 a:refused.example +all"),
        ("mute-exp.example", "TXT v=spf1 -all exp=servfail.example"),
        ("mute-ptr.example", "TXT v=spf1 ptr ?all"),
    ];
    let others = [
        ("servfail.example", Say::Code(ResponseCode::ServFail)),
        ("refused.example", Say::Code(ResponseCode::Refused)),
        ("9.2.0.192.in-addr.arpa", Say::Code(ResponseCode::ServFail)),
        ("big.example", Say::TcpOnly(vec!["TXT v=spf1 +all".to_owned()])),
    ];
    let server = Server::start(&records, &others).await;
    let local = format!("{}.abcdefghij", ["abcdefghij"; 4].join("."));
    for (domain, ip, local, helo, wanted) in [
        ("split.example", "192.0.2.1", "u", "h.example", Pass),
        ("SPLIT.example.", "192.0.2.1", "u", "h.example", Pass),
        ("alias.example", "192.0.2.1", "u", "h.example", Pass),
        ("glued.example", "192.0.2.1", "u", "h.example", SpfResult::None),
        ("old.example", "192.0.2.1", "u", "h.example", SpfResult::None),
        ("gone.example", "192.0.2.1", "u", "h.example", SpfResult::None),
        ("odd.example", "192.0.2.1", "u", "h.example", Pass),
        ("odd.example", "192.0.2.2", "u", "h.example", Pass),
        ("odd.example", "192.0.2.3", "jo&hn", "h.example", Fail),
        ("helo.example", "192.0.2.1", "u", "no name, is it", Neutral),
        ("helo.example", "192.0.2.1", "u", "", Neutral),
        ("empty.example", "192.0.2.1", "u", "h.example", Neutral),
        ("null.example", "192.0.2.1", "u", "h.example", Fail),
        ("exists.example", "2001:db8::1", "u", "h.example", Fail),
        ("ptr.example", "192.0.2.1", "u", "h.example", Pass),
        ("ptr.example", "192.0.2.3", "u", "h.example", Fail),
        ("ptr.example", "127.0.0.1", "u", "h.example", Pass),
        ("long.example", "192.0.2.1", local.as_str(), "h.example", Pass),
        ("servfail.example", "192.0.2.1", "u", "h.example", TempError),
        ("refused.example", "192.0.2.1", "u", "h.example", TempError),
        ("mute-in.example", "192.0.2.1", "u", "h.example", TempError),
        ("mute-a.example", "192.0.2.1", "u", "h.example", TempError),
        ("mute-exp.example", "192.0.2.1", "u", "h.example", Fail),
        ("mute-ptr.example", "192.0.2.9", "u", "h.example", Neutral),
        ("big.example", "192.0.2.1", "u", "h.example", Pass),
    ] {
        let got = ask(&server, ip, domain, &format!("{local}@{domain}"), helo).await;
        assert_eq!(got.result, wanted, "{domain} for {ip}: {got:?}");
    }
    assert_eq!(ask(&server, "192.0.2.3", "ptr.example", "u@ptr.example", "h").await.explanation, "other.example is not ours");
    assert_eq!(ask(&server, "192.0.2.1", "mute-in.example", "", "[192.0.2.1]").await.result, TempError);
    assert_ne!(ask(&server, "192.0.2.1", "ptr.example", "", "h").await.result, PermError);
}
