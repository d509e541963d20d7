//! What a whole audit says beside its findings, how the records changed before, and where the domain was listed.

use serde_json::{Value, json};

const AT: &str = "2026-11-18T13:00:00Z";

/// What each rule took from the score, the most first.
pub fn lost() -> Value {
    json!([
        { "rule": "spf.lookups", "title": "SPF needs too many lookups", "severity": "critical", "points": 40, "gain": 39 },
        { "rule": "dmarc.none", "title": "DMARC only watches", "severity": "medium", "points": 8, "gain": 8 },
        { "rule": "ptr.mismatch", "title": "Reverse name does not lead back", "severity": "low", "points": 2, "gain": 0 }
    ])
}

fn term(text: &str, lookups: u32, note: Value, policy: Value) -> Value {
    let mut term = json!({ "text": text, "lookups": lookups });
    for (name, value) in [("note", note), ("policy", policy)] {
        if !value.is_null() {
            term[name] = value;
        }
    }
    term
}

fn policy(domain: &str, service: &str, lookups: u32, void: u32, terms: &[Value]) -> Value {
    json!({ "domain": domain, "service": service, "record": "v=spf1 …", "lookups": lookups, "void_lookups": void, "terms": terms })
}

fn spf() -> Value {
    let regions = ["eu", "us", "ap"].map(|region| {
        term(
            &format!("include:{region}.spf.mailers.example"),
            1,
            Value::Null,
            policy(&format!("{region}.spf.mailers.example"), "Mailers", 0, 0, &[term("ip4:198.51.100.0/24", 0, Value::Null, Value::Null)]),
        )
    });
    let old = json!({ "domain": "old-newsletter.example", "lookups": 0, "void_lookups": 1, "problem": "old-newsletter.example does not exist in DNS (NXDOMAIN)" });
    json!({
        "tree": { "domain": "xn--mnchen-3ya.example", "record": "v=spf1 …", "lookups": 12, "void_lookups": 1, "terms": [
            term("mx", 1, json!("leads to 192.0.2.25 and 2001:db8::25"), Value::Null),
            term("include:_spf.mailers.example", 4, Value::Null, policy("_spf.mailers.example", "Mailers", 3, 0, &regions)),
            term("include:_spf.a-newsletter-service-with-a-very-long-name.department.example.org", 5, json!("repeats what _spf.mailers.example says"), policy("_spf.example.org", "Newsletter <b>", 4, 0, &[term("exists:%{i}._spf.example.org", 1, Value::Null, Value::Null)])),
            term("include:old-newsletter.example", 1, Value::Null, old),
            term("~all", 0, Value::Null, Value::Null)
        ] },
        "senders": [
            { "address": "192.0.2.25", "origin": "MX host mail.example.com", "result": "pass", "mechanism": "mx" },
            { "address": "2001:db8:85a3:8d3:1319:8a2e:370:7348", "origin": "watched address", "result": "softfail", "mechanism": "~all" },
            { "address": "192.0.2.80", "origin": "named by hand", "result": "temperror" }
        ],
        "flattened": { "lookups": 4, "risk": "the addresses of Mailers change without notice, and the record must then be changed too",
            "records": [{ "kind": "TXT", "name": "xn--mnchen-3ya.example", "value": "v=spf1 mx ip4:198.51.100.0/24 include:_spf.example.org ~all" }] }
    })
}

/// Details of every family.
pub fn detail() -> Value {
    let key = |selector: &str, origin: &str, kind: &str, bits: Value, revoked: bool| json!({ "selector": selector, "origin": origin, "kind": kind, "bits": bits, "revoked": revoked, "testing": false, "mark": "a1b2c3d4e5f60718" });
    let mut aliased = key("mailers1", "seen", "rsa", json!(2048), false);
    aliased["alias"] = json!("mailers1.domainkey.u1234567.wl42.mailers.example");
    aliased["service"] = json!("Mailers");
    aliased["first_seen"] = json!(AT);
    let record = |value: &str| json!({ "kind": "TXT", "name": "_dmarc.xn--mnchen-3ya.example", "value": value });
    json!({
        "spf": spf(),
        "dkim": [aliased, key("default", "catalog", "rsa", json!(1024), false), key("s2024", "hand", "rsa", Value::Null, true)],
        "dmarc": {
            "owner": "xn--mnchen-3ya.example", "policy": "none", "subdomains": "reject", "nonexistent": null, "testing": false, "dkim_alignment": "relaxed", "spf_alignment": "strict",
            "reports": ["dmarc@example.com"],
            "path": [
                { "title": "Watch", "text": "Publish p=none with an address for reports.", "done": true, "record": record("v=DMARC1; p=none; rua=mailto:dmarc@example.com") },
                { "title": "Send forged mail to spam", "text": "After two weeks in which the reports show no sender of yours that fails.", "done": false, "record": record("v=DMARC1; p=quarantine; rua=mailto:dmarc@example.com") },
                { "title": "Refuse forged mail", "text": "After two more weeks without complaints.", "done": false, "record": record("v=DMARC1; p=reject; rua=mailto:dmarc@example.com") }
            ]
        },
        "mta_sts": { "id": "20261101", "mode": "testing", "max_age": 604_800, "mx": ["mail.example.com", "*.example.net"],
            "text": "version: STSv1\r\nmode: testing\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n" },
        "bimi": { "logo": "https://example.com/logo.svg", "certificate": "https://example.com/vmc.pem", "certificate_kind": "VMC", "issuer": "Example CA", "expires": "2027-03-01T00:00:00Z" },
        "dane": [{ "host": "mail.example.com", "record": "3 1 1 8d02536c887482bc34ff54e41d2ba659bf85b341a0a20afadb5813dcfbcf286d", "matches": true },
            { "host": "mx2.example.com", "record": "3 1 1 0000536c887482bc34ff54e41d2ba659bf85b341a0a20afadb5813dcfbcf286d", "matches": false, "note": "the key was replaced" }],
        "certificates": [{ "host": "mail.example.com", "trusted": true, "name_matches": true, "expires": "2027-01-18T13:00:00Z" },
            { "host": "mx2.example.com", "trusted": false, "name_matches": true, "problem": "certificate ended on 1 Nov" }]
    })
}

/// Changes of records, newest first.
pub fn history() -> Vec<Value> {
    let change = |kind: &str, text: &str| json!({ "kind": kind, "text": text });
    let event = |digit: u8, family: &str, worse: bool, changes: Vec<Value>, before: Vec<&str>, after: Vec<&str>| json!({ "id": format!("00000000-0000-7000-8000-00000000000{digit}"), "at": AT, "family": family, "changes": changes, "before": before, "after": after, "worse": worse });
    vec![
        event(
            1,
            "spf",
            true,
            vec![
                change("added", "include:_spf.mailers.example may send now"),
                change("removed", "ip4:203.0.113.7 may send no longer"),
                change("changed", "all others: softfail instead of fail"),
            ],
            vec!["v=spf1 mx ip4:203.0.113.7 -all"],
            vec!["v=spf1 mx include:_spf.mailers.example ~all"],
        ),
        event(2, "mta_sts", false, vec![change("added", "senders are told to use encryption")], vec![], vec!["v=STSv1; id=20261101"]),
    ]
}

/// One stay that goes on and one that ended.
pub fn stays() -> Vec<Value> {
    let stay = |digit: u8, list: &str, ended: Value| json!({ "id": format!("00000000-0000-7000-8000-0000000000a{digit}"), "subject": "xn--mnchen-3ya.example", "list": list, "zone": "dbl.example.org", "severity": "high", "codes": ["127.0.1.2"], "meaning": "the domain was seen in spam", "reason": "", "began_at": "2026-11-10T09:00:00Z", "seen_at": AT, "ended_at": ended });
    vec![stay(1, "Domain List", Value::Null), stay(2, "Other List", json!("2026-11-12T10:00:00Z"))]
}

/// The table of the score, as the API gives it.
pub fn score_table() -> Value {
    let costs = [("critical", 40), ("high", 20), ("medium", 8), ("low", 2), ("info", 0)]
        .map(|(severity, points)| json!({ "severity": severity, "points": points }));
    let grades = [("A", 90), ("B", 75), ("C", 60), ("D", 40), ("E", 20), ("F", 0)].map(|(grade, least)| json!({ "grade": grade, "least": least }));
    json!({ "version": 1, "costs": costs, "grades": grades })
}
