//! RFC 7208 7: what each macro stands for, and where it may stand.

use super::*;
use SpfResult::{Fail, Neutral, Pass, PermError};

async fn expanded(text: &str, ip: &str, sender: &str, helo: &str, others: &[(&str, &'static str, &str)]) -> String {
    let mut zone = vec![("e.example", "TXT", "v=spf1 -all exp=x.example"), ("x.example", "TXT", text)];
    zone.extend_from_slice(others);
    check_host(&Map::new(&zone), ip.parse().unwrap(), "e.example", sender, helo, 1_234_567_890).await.explanation
}

#[tokio::test]
async fn letters_and_transformers() {
    for (text, wanted) in [
        ("%{s}|%{l}|%{o}|%{d}|%{h}", "a.b-c+d@f.example|a.b-c+d|f.example|e.example|h.example"),
        ("%{i} %{v} %{c} %{r} %{t}", "192.0.2.1 in-addr 192.0.2.1 unknown 1234567890"),
        ("%{ir} %{i1} %{i2r} %{i9}", "1.2.0.192 1 0.192 192.0.2.1"),
        ("%{l-} %{l+} %{l.-+} %{lr.-+}", "a.b.c+d a.b-c.d a.b.c.d d.c.b.a"),
        ("%{l1.-+} %{L1R.-+}", "d a"),
        ("%{d99999999999999999999}", "e.example"),
        ("%%%_%-", "% %20"),
        ("%{D} %{I}", "e.example 192.0.2.1"),
        ("%{S}", "a.b-c%2Bd%40f.example"),
    ] {
        assert_eq!(expanded(text, "192.0.2.1", "a.b-c+d@f.example", "h.example", &[]).await, wanted, "{text}");
    }
    assert_eq!(expanded("%{L}", "192.0.2.1", "~jack&j=u_p@f.example", "h", &[]).await, "~jack%26j%3Du_p");
    assert_eq!(expanded("%{s} %{l}", "192.0.2.1", "@f.example", "h", &[]).await, "postmaster@f.example postmaster");
    assert_eq!(expanded("%{l} %{o}", "192.0.2.1", "\"a@b\"@f.example", "h", &[]).await, "\"a@b\" f.example");
    let six = expanded("%{ir}.%{v} %{c}", "2001:db8::cb01", "a@f.example", "h", &[]).await;
    assert!(six.eq_ignore_ascii_case("1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6 2001:db8::cb01"), "{six}");
}

#[tokio::test]
async fn the_validated_name() {
    let rows: &[(&[Row<'_>], &str)] = &[
        (&[], "unknown"),
        (&[("192.0.2.1", "PTR", "liar.example"), ("liar.example", "A", "192.0.2.2")], "unknown"),
        (&[("192.0.2.1", "PTR", "TIMEOUT")], "unknown"),
        (&[("192.0.2.1", "PTR", "slow.example"), ("slow.example", "A", "TIMEOUT")], "unknown"),
        (&[("192.0.2.1", "PTR", "o.example"), ("o.example", "A", "192.0.2.1")], "o.example"),
        (
            &[
                ("192.0.2.1", "PTR", "o.example"),
                ("192.0.2.1", "PTR", "m.e.example"),
                ("o.example", "A", "192.0.2.1"),
                ("m.e.example", "A", "192.0.2.1"),
            ],
            "m.e.example",
        ),
        (
            &[
                ("192.0.2.1", "PTR", "m.e.example"),
                ("192.0.2.1", "PTR", "e.example"),
                ("e.example", "A", "192.0.2.1"),
                ("m.e.example", "A", "192.0.2.1"),
            ],
            "e.example",
        ),
    ];
    for (zone, wanted) in rows {
        assert_eq!(expanded("%{p}", "192.0.2.1", "a@f.example", "h", zone).await, *wanted, "{zone:?}");
    }
}

#[tokio::test]
async fn macros_in_names() {
    let others = [
        ("1.2.0.192.in-addr.x.example", "A", "127.0.0.2"),
        ("user.e.example", "A", "127.0.0.2"),
        ("mx.example.org", "A", "192.0.2.1"),
        ("a b%20%c.example", "A", "192.0.2.1"),
        ("e.example", "A", "192.0.2.1"),
    ];
    table(
        &others,
        &[
            ("v=spf1 exists:%{ir}.%{v}.x.example -all", "192.0.2.1", Pass),
            ("v=spf1 exists:%{IR}.%{V}.x.example -all", "192.0.2.1", Pass),
            ("v=spf1 exists:%{l}.%{o} -all", "192.0.2.1", Pass),
            ("v=spf1 a:%{h} -all", "192.0.2.1", Pass),
            ("v=spf1 a:%{h}/24 -all", "192.0.2.7", Pass),
            ("v=spf1 a:a%_b%-%%c.example -all", "192.0.2.1", Pass),
            ("v=spf1 a:%{d}. -all", "192.0.2.1", PermError),
            ("v=spf1 a:%{d}.example. ?all", "192.0.2.1", Neutral),
            ("v=spf1 a:example.%- ?all", "192.0.2.1", Neutral),
            ("v=spf1 a:x.example-%% ?all", "192.0.2.1", Neutral),
            ("v=spf1 a:x.%%- -all", "192.0.2.1", PermError),
            ("v=spf1 a:%{d}x -all", "192.0.2.1", PermError),
        ],
    )
    .await;
    for wrong in [
        "%",
        "%{",
        "%{}",
        "%{a}",
        "%{c}",
        "%{r}",
        "%{t}",
        "%{d0}",
        "%{d00}",
        "%{dr2}",
        "%{d2rr}",
        "%{d!}",
        "%{d.r}",
        "%{ d}",
        "%{d }",
        "%(d)",
        "%d",
        "%{d}}",
        "%{%{d}}",
        "%{\u{e9}}",
    ] {
        assert_eq!(
            result(&format!("v=spf1 exists:{wrong}.x.example -all"), "192.0.2.1").await,
            if wrong == "%{d}}" { Fail } else { PermError },
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn names_that_grow_too_long_lose_labels_on_the_left() {
    let local = ["abcdefghij"; 6].join(".");
    let tail = ["abcdefghi"; 24].join(".");
    // 65 + 1 + 247 characters: two labels of eleven go, and so does what makes the rest more than 253.
    let whole = format!("{local}.{tail}.example");
    let fitted = &whole[whole.len() - 247..];
    assert!(macros::fit(&whole).len() <= 253 && whole.ends_with(macros::fit(&whole)));
    assert!(macros::fit(&whole).len() >= fitted.len());
    let record = format!("v=spf1 exists:%{{l}}.{tail}.example -all");
    let zone = [("e.example", "TXT", record.as_str()), (macros::fit(&whole), "A", "127.0.0.2")];
    let said = check_host(&Map::new(&zone), "192.0.2.1".parse().unwrap(), "e.example", &format!("{local}@e.example"), "h", 0).await;
    assert_eq!(said.result, Pass, "{said:?}");
}
