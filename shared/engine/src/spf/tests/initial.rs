//! RFC 7208 4.3 to 4.7: which names are asked, which record is taken, and that the whole of it is read before any of it is used.

use super::*;
use SpfResult::{Fail, Neutral, None, Pass, PermError, TempError};

#[tokio::test]
async fn names_that_are_none_have_no_policy_wherever_they_come_from() {
    let long = format!("{}.example", "x".repeat(64));
    let longer = vec!["abcdefg"; 40].join(".");
    for domain in
        ["", ".", "localhost", "localhost.", "a..b", ".e.example", "[192.0.2.1]", "[ipv6:2001:db8::1]", "b\u{fc}cher.example", &long, &longer]
    {
        // Even where such a name would have a record.
        let zone = [(domain, "TXT", "v=spf1 +all"), ("", "TXT", "v=spf1 +all")];
        assert_eq!(eval(&zone, "192.0.2.1", domain).await.result, None, "{domain}");
    }
    let single = [("localhost", "TXT", "v=spf1 +all"), ("e.example", "TXT", "v=spf1 include:%{l} -all")];
    let said = check_host(&Map::new(&single), "192.0.2.1".parse().unwrap(), "e.example", "localhost@e.example", "h.example", 0).await;
    assert_eq!(said.result, PermError, "an include of a single label: {said:?}");
    assert_eq!(eval(&[("e.example", "TXT", "v=spf1 -all")], "192.0.2.1", "e.example.").await.result, Fail);
    assert_eq!(eval(&[("_a-b.e.example", "TXT", "v=spf1 -all")], "192.0.2.1", "_a-b.e.example").await.result, Fail);
}

#[tokio::test]
async fn one_record_is_taken_and_two_are_an_error() {
    let rows: &[(&[&str], SpfResult)] = &[
        (&[], None),
        (&["v=spf1"], Neutral),
        (&["V=sPf1 -ALL"], Fail),
        (&["v=spf1 -all "], Fail),
        (&["v=spf1-all"], None),
        (&["v=spf10 -all"], None),
        (&["v=spf1\t-all"], None),
        (&[" v=spf1 -all"], None),
        (&["v=spf2.0/pra +all"], None),
        (&["v=spf2.0/pra +all", "v=spf1 -all"], Fail),
        (&["something", "v=spf1 -all", "caf\u{e9}"], Fail),
        (&["v=spf1 -all", "v=spf1 -all"], PermError),
        (&["v=spf1 -all", "v=spf1"], PermError),
        (&["v=spf1 nonsense", "V=SPF1 +all"], PermError),
        (&["TIMEOUT"], TempError),
    ];
    for (records, wanted) in rows {
        let zone: Vec<_> = records.iter().map(|record| ("e.example", "TXT", *record)).collect();
        assert_eq!(eval(&zone, "192.0.2.1", "e.example").await.result, *wanted, "{records:?}");
    }
}

#[tokio::test]
async fn a_mistake_anywhere_spoils_the_whole_record() {
    table(
        &[],
        &[
            ("v=spf1 +all", "192.0.2.1", Pass),
            ("v=spf1 +all foo", "192.0.2.1", PermError),
            ("v=spf1 +all ip4:192.0.2.999", "192.0.2.1", PermError),
            ("v=spf1 +all a:localhost", "192.0.2.1", PermError),
            ("v=spf1 +all redirect=", "192.0.2.1", PermError),
            ("v=spf1 +all x=%", "192.0.2.1", PermError),
            ("v=spf1 +all \u{7f}", "192.0.2.1", PermError),
            ("v=spf1 +all \u{0}", "192.0.2.1", PermError),
            ("v=spf1 a:x.example\rptr -all", "192.0.2.1", PermError),
            ("v=spf1 a:x.example\n-all", "192.0.2.1", PermError),
            ("v=spf1 a:x\u{0}y.example -all", "192.0.2.1", PermError),
            ("v=spf1 a:b\u{fc}cher.example -all", "192.0.2.1", PermError),
            ("v=spf1 x=b\u{fc}cher -all", "192.0.2.1", PermError),
            ("v=spf1 ++all", "192.0.2.1", PermError),
            ("v=spf1 !all", "192.0.2.1", PermError),
            ("v=spf1 -", "192.0.2.1", PermError),
            ("v=spf1 a,mx -all", "192.0.2.1", PermError),
            ("v=spf1 v=spf1 -all", "192.0.2.1", Fail),
            ("v=spf1      -all     ", "192.0.2.1", Fail),
        ],
    )
    .await;
}

#[tokio::test]
async fn nothing_matching_is_neutral_and_words_are_case_insensitive() {
    table(
        &[("e.example", "A", "192.0.2.1"), ("p.example", "TXT", "v=spf1 +all")],
        &[
            ("v=spf1 a", "192.0.2.2", Neutral),
            ("v=spf1 A", "192.0.2.1", Pass),
            ("v=spf1 -IP4:192.0.2.0/24", "192.0.2.1", Fail),
            ("v=spf1 Ip6:2001:DB8::/32", "2001:db8::1", Pass),
            ("v=spf1 INCLUDE:P.Example", "192.0.2.1", Pass),
            ("v=spf1 ReDirect=P.EXAMPLE", "192.0.2.1", Pass),
        ],
    )
    .await;
}
