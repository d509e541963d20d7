//! RFC 7208 6: redirect, exp, and modifiers nobody knows yet.

use super::*;
use SpfResult::{Fail, Neutral, Pass, PermError, SoftFail, TempError};

const V4: &str = "192.0.2.1";

#[tokio::test]
async fn redirect() {
    let others = [
        ("pass.example", "TXT", "v=spf1 +all"),
        ("soft.example", "TXT", "v=spf1 ~all"),
        ("open.example", "TXT", "v=spf1 ip4:203.0.113.1"),
        ("broken.example", "TXT", "v=spf1 nonsense"),
        ("slow.example", "TXT", "TIMEOUT"),
        ("chain.example", "TXT", "v=spf1 redirect=soft.example"),
    ];
    table(
        &others,
        &[
            ("v=spf1 redirect=pass.example", V4, Pass),
            ("v=spf1 redirect=pass.example -ip4:192.0.2.1", V4, Fail),
            ("v=spf1 redirect=pass.example ?all", V4, Neutral),
            ("v=spf1 redirect=chain.example", V4, SoftFail),
            ("v=spf1 redirect=open.example", V4, Neutral),
            ("v=spf1 redirect=gone.example", V4, PermError),
            ("v=spf1 redirect=broken.example", V4, PermError),
            ("v=spf1 redirect=slow.example", V4, TempError),
            ("v=spf1 redirect=%{l}.example", V4, PermError),
            ("v=spf1 redirect=%{d1}", V4, PermError),
            ("v=spf1 redirect= +all", V4, PermError),
            ("v=spf1 redirect +all", V4, PermError),
            ("v=spf1 redirect:pass.example", V4, PermError),
            ("v=spf1 +redirect=pass.example", V4, PermError),
            ("v=spf1 redirect=pass.example/24 -all", V4, PermError),
            ("v=spf1 redirect=localhost -all", V4, PermError),
            ("v=spf1 redirect=pass.example -all redirect=pass.example", V4, PermError),
        ],
    )
    .await;
}

#[tokio::test]
async fn modifiers_nobody_knows() {
    table(
        &[],
        &[
            ("v=spf1 x= -all", V4, Fail),
            ("v=spf1 default=pass", V4, Neutral),
            ("v=spf1 x-1_2.y=a/b:c=d -all", V4, Fail),
            ("v=spf1 x=1 x=2 -all", V4, Fail),
            ("v=spf1 x=%{d}%{r}%%%_%- -all", V4, Fail),
            ("v=spf1 x=%abc -all", V4, PermError),
            ("v=spf1 x=%{z} -all", V4, PermError),
            ("v=spf1 x=%{d -all", V4, PermError),
            ("v=spf1 =x -all", V4, PermError),
            ("v=spf1 1x=y -all", V4, PermError),
            ("v=spf1 -x=y -all", V4, PermError),
            ("v=spf1 x!=y -all", V4, PermError),
            ("v=spf1 exp= -all", V4, PermError),
            ("v=spf1 exp=-all", V4, PermError),
            ("v=spf1 exp=%{r}.example -all", V4, PermError),
            ("v=spf1 exp=a.example exp=b.example -all", V4, PermError),
        ],
    )
    .await;
}

#[tokio::test]
async fn words_of_the_domain_or_why_there_are_none() {
    let said = async |records: &[&str]| {
        let mut zone = vec![("e.example", "TXT", "v=spf1 exp=x.example -all")];
        zone.extend(records.iter().map(|text| ("x.example", "TXT", *text)));
        let got = eval(&zone, V4, "e.example").await;
        assert_eq!(got.result, Fail, "{records:?}");
        got.explanation
    };
    assert_eq!(said(&["Not ours. See %{d}."]).await, "Not ours. See e.example.");
    let own = said(&[]).await;
    assert!(own.contains("-all"), "{own}");
    for wrong in [&["one", "two"] as &[&str], &["TIMEOUT"], &["%{q}"], &["100%"], &["caf\u{e9}"], &["bell\u{7}"], &["%{d0}"]] {
        assert_eq!(said(wrong).await, own, "{wrong:?}");
    }
}

#[tokio::test]
async fn only_the_record_that_decides_explains() {
    let words = |zone: &'static [(&str, &'static str, &str)]| async move { eval(zone, V4, "e.example").await };
    let include = words(&[
        ("e.example", "TXT", "v=spf1 include:i.example -all exp=mine.example"),
        ("i.example", "TXT", "v=spf1 -all exp=theirs.example"),
        ("mine.example", "TXT", "mine"),
        ("theirs.example", "TXT", "theirs"),
    ]);
    assert_eq!(include.await.explanation, "mine");
    let no_words_there = words(&[
        ("e.example", "TXT", "v=spf1 exp=mine.example redirect=r.example"),
        ("r.example", "TXT", "v=spf1 -all"),
        ("mine.example", "TXT", "mine"),
    ]);
    assert!(no_words_there.await.explanation.contains("r.example"));
    // The domain in the words is that of the record that has them.
    let redirect = words(&[
        ("e.example", "TXT", "v=spf1 redirect=r.example"),
        ("r.example", "TXT", "v=spf1 -all exp=x.%{d}"),
        ("x.r.example", "TXT", "%{d} %{o}"),
    ]);
    assert_eq!(redirect.await.explanation, "r.example e.example");
    // Only a failure is explained.
    let soft = words(&[("e.example", "TXT", "v=spf1 ~all exp=mine.example"), ("mine.example", "TXT", "mine")]).await;
    assert_eq!((soft.result, soft.explanation.contains("mine")), (SoftFail, false));
}
