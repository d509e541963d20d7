//! Two organisations of a person: `acme`, which watches one of everything, and `empty`, which watches nothing yet.

use serde_json::{Value, json};
use waypost_web::api::ApiRequest;

use crate::{audited, services, support::problem};

pub const DOMAIN: &str = "dom_00000000000000000000000000000001";
pub const SERVER: &str = "srv_00000000000000000000000000000002";
pub const ADDRESS: &str = "adr_00000000000000000000000000000003";
pub const INCIDENT: &str = "inc_00000000000000000000000000000004";
pub const CHANNEL: &str = "chn_00000000000000000000000000000001";
pub const ROUTE: &str = "rte_00000000000000000000000000000001";
pub const WINDOW: &str = "mnt_00000000000000000000000000000001";
pub const RULE: &str = "rul_00000000000000000000000000000001";
pub const POOL: &str = "ipp_00000000000000000000000000000001";
pub const NETWORK: &str = "adr_00000000000000000000000000000008";
pub const SERVICE: &str = "mon_00000000000000000000000000000011";
pub const RECORD: &str = "mon_00000000000000000000000000000012";
/// The block-list scan of the domain itself.
const SCAN: &str = "mon_00000000000000000000000000000006";
const RUNBOOK: &str = "unreachable";
const AT: &str = "2026-11-18T13:00:00Z";
const LONG: &str = "a-mail-server-with-a-very-long-name-that-somebody-chose.sub.department.example.com";

/// Every page of `acme`, and those of `empty` that look otherwise.
pub fn pages() -> Vec<String> {
    let mut pages: Vec<String> = [
        "",
        "/add",
        "/domains",
        "/servers",
        "/addresses",
        "/pools",
        "/all",
        "/import",
        "/monitors",
        "/monitors/new",
        "/monitors/new?kind=dns",
        "/lists",
        "/incidents",
        "/channels",
        "/changes",
        "/runbooks",
        "/routes",
        "/maintenance",
        "/rules",
        "/settings",
    ]
    .into_iter()
    .flat_map(|rest| [format!("/o/acme{rest}"), format!("/o/empty{rest}")])
    .collect();
    pages.extend(
        [
            ("domains", DOMAIN),
            ("servers", SERVER),
            ("addresses", ADDRESS),
            ("pools", POOL),
            ("incidents", INCIDENT),
            ("channels", CHANNEL),
            ("runbooks", RUNBOOK),
            ("routes", ROUTE),
            ("maintenance", WINDOW),
            ("monitors", SERVICE),
            ("monitors", RECORD),
            ("rules", RULE),
        ]
        .map(|(many, id)| format!("/o/acme/{many}/{id}")),
    );
    pages.push("/o/acme/channels/slack".to_owned());
    pages.extend(["", "?show=all"].map(|query| format!("/o/acme/addresses/{NETWORK}{query}")));
    pages
}

/// The API as a member with this role meets it.
pub fn member(role: &'static str) -> impl Fn(&ApiRequest) -> (u16, Value) + Send + Sync + 'static {
    move |request| {
        let path = request.path.split('?').next().unwrap_or_default();
        let list = |items: Vec<Value>| json!({ "items": items, "next": null });
        let body = match path.strip_prefix("/api/v1/").unwrap_or_default() {
            "me" => me(role),
            "orgs/acme/overview" => overview(),
            "orgs/acme/domains" => list(vec![domain(), long_domain()]),
            "orgs/acme/servers" => list(vec![server()]),
            "orgs/acme/addresses" => list(vec![address()]),
            "orgs/acme/members" => list(people(role)),
            "orgs/acme/invitations" => list(invitations()),
            "orgs/acme/pools" => list(vec![pool()]),
            "orgs/empty/pools" => list(vec![]),
            "orgs/acme/monitors" => list(vec![services::mailbox(), services::record()]),
            "orgs/acme/monitors/counts" => json!({ "down": 1, "degraded": 0, "unknown": 0, "pending": 0, "up": 1, "paused": 0 }),
            "orgs/empty/monitors/counts" => json!({ "down": 0, "degraded": 0, "unknown": 0, "pending": 0, "up": 0, "paused": 0 }),
            "orgs/acme/incidents" => list(vec![incident()]),
            "orgs/acme/incidents/counts" => json!({ "open": 1, "acknowledged": 0, "resolved": 3 }),
            "orgs/empty/incidents/counts" => json!({ "open": 0, "acknowledged": 0, "resolved": 0 }),
            "orgs/empty/overview" => {
                json!({ "score": null, "counts": { "domains": 0, "servers": 0, "addresses": 0, "monitors": 0, "open_incidents": 0 },
                    "last_checked_at": null, "ports": [], "domains": [], "addresses": [], "incidents": [], "port25_blocked": null })
            }
            "orgs/empty/domains"
            | "orgs/empty/servers"
            | "orgs/empty/addresses"
            | "orgs/empty/monitors"
            | "orgs/empty/incidents"
            | "orgs/empty/channels"
            | "orgs/empty/changes"
            | "orgs/empty/routes"
            | "orgs/empty/rules"
            | "orgs/empty/maintenance" => list(Vec::new()),
            "orgs/acme/channels" => list(vec![channel(true), channel(false)]),
            "orgs/acme/slack" => {
                json!({ "available": true, "install": { "team_id": "T0LAB00001", "team_name": "Post <b>", "installed_by": "ops@example.com", "installed_at": AT } })
            }
            "orgs/acme/slack/channels" => {
                json!({ "items": [slack_channel("C0LAB00002", "mail <b>", false), slack_channel("C0LAB00004", "war-room", true)], "next": "dGVhbTpD200" })
            }
            "orgs/empty/slack/channels" => return problem(422, "", &[("slack", "Add the app to Slack first.")]),
            "orgs/empty/slack" => json!({ "available": false }),
            "orgs/acme/routes" => list(vec![route(), quiet_route()]),
            "orgs/acme/routes/preview" => preview(),
            "orgs/empty/routes/preview" => json!({ "routes": [], "members": { "when": "now" }, "channels": [], "follow_ups": [] }),
            "orgs/acme/maintenance" => list(vec![window(), weekly()]),
            "orgs/acme/rules" => list(vec![rule()]),
            "orgs/acme/settings" | "orgs/empty/settings" => json!({ "name": "Acme Mail", "time_zone": "Europe/Berlin", "version": 3 }),
            "orgs/acme/tags" => list(vec![
                json!({ "tag": "berlin", "domains": 0, "servers": 1, "addresses": 0 }),
                json!({ "tag": "web", "domains": 3, "servers": 1, "addresses": 0, "services": 1 }),
            ]),
            "orgs/acme/changes" => list(vec![change()]),
            "orgs/acme/runbooks" | "orgs/empty/runbooks" => list(vec![runbook(true), runbook(false)]),
            "orgs/acme/lists" => lists(),
            "orgs/empty/lists" => json!({ "catalog": [], "choice": {}, "keys": [], "version": 0 }),
            "lookup/example.com" => lookup(),
            "lookup/address/192.0.2.25" => address_lookup(),
            "score" => audited::score_table(),
            other => match other.strip_prefix("orgs/acme/").and_then(|rest| rest.split_once('/')) {
                Some(("domains", DOMAIN)) => domain(),
                Some(("domains", rest)) if rest == format!("{DOMAIN}/history") => {
                    json!({ "items": audited::history(), "next": (!request.path.contains("cursor=")).then_some("old er") })
                }
                Some(("domains", rest)) if rest == format!("{DOMAIN}/listings") => list(audited::stays()),
                Some(("monitors", rest)) if rest == format!("{SCAN}/outcome") => {
                    json!({ "kind": "blacklist", "target": "xn--mnchen-3ya.example", "entries": entries() })
                }
                Some(("monitors", SERVICE)) => services::mailbox(),
                Some(("monitors", RECORD)) => services::record(),
                Some(("monitors", rest)) if rest == format!("{SERVICE}/outcome") => services::mailbox_seen(),
                Some(("monitors", rest)) if rest == format!("{RECORD}/outcome") => services::record_seen(),
                Some(("servers", SERVER)) => server(),
                Some(("addresses", ADDRESS)) => address(),
                Some(("pools", POOL)) => pool(),
                Some(("addresses", NETWORK)) => network(),
                Some(("addresses", rest)) if rest.ends_with("/listings") => list(listings()),
                Some(("channels", CHANNEL)) => hook(),
                Some(("channels", rest)) if rest == format!("{CHANNEL}/deliveries") => list(vec![delivery()]),
                Some(("routes", ROUTE)) => route(),
                Some(("maintenance", WINDOW)) => window(),
                Some(("rules", RULE)) => rule(),
                Some(("rules", rest)) if rest == format!("{RULE}/values") => rule_values(),
                Some(("incidents", INCIDENT)) => incident(),
                Some(("incidents", rest)) if rest == format!("{INCIDENT}/related") => related(),
                Some(("runbooks", RUNBOOK)) => runbook(true),
                Some(("monitors", rest)) if rest.ends_with("/outcome") => smtp(),
                Some(("monitors", rest)) if rest.ends_with("/rollups") => list(rollups()),
                Some(("monitors", rest)) if rest.ends_with("/timings") => timings(),
                Some(("monitors", rest)) if rest.ends_with("/results") => list(vec![result()]),
                _ => return problem(404, "", &[]),
            },
        };
        (200, body)
    }
}

/// On, and covering the server alone.
pub fn window() -> Value {
    let (from, to) = ("2026-11-18T12:00:00Z", "2999-01-18T13:00:00Z");
    json!({ "id": WINDOW, "name": "New disks <b>", "covers": { "everything": false, "servers": [SERVER], "domains": ["dom_000000000000000000000000000000ff"] },
        "plan": { "kind": "once", "from": from, "to": to }, "time_zone": "Europe/Berlin", "active": { "from": from, "to": to }, "next": null,
        "version": 4, "created_at": AT })
}

/// One that fires for one of two monitors.
pub fn rule() -> Value {
    json!({ "id": RULE, "name": "Slow <b>", "enabled": true, "series": "response_time_p95", "over_minutes": 30, "threshold": 2000.0, "clear": 1500.0,
        "for_minutes": 15, "severity": "warning", "scope": { "everything": false, "servers": [SERVER], "tags": ["web"] }, "firing": 1, "waiting": 0,
        "judged_at": AT, "version": 4, "created_at": AT })
}

pub fn rule_values() -> Value {
    let item = |digit: &str, value: Value, standing: &str| json!({ "monitor_id": format!("mon_0000000000000000000000000000000{digit}"), "kind": "smtp", "target": format!("{LONG}:25"), "server_id": SERVER, "value": value, "checks": 12, "standing": standing });
    let mut firing = item("1", json!(2840.4), "firing");
    firing["since"] = json!(AT);
    firing["incident_id"] = json!(INCIDENT);
    json!({ "monitors": 102, "valued": 1, "over": 1, "too_rare": 2, "rarest_s": 3600, "left_out": false, "items": [firing, item("2", Value::Null, "no_value")] })
}

fn weekly() -> Value {
    json!({ "id": "mnt_00000000000000000000000000000002", "name": "Patch night", "covers": { "everything": true },
        "plan": { "kind": "weekly", "days": ["tue", "fri"], "at": "02:30", "minutes": 90 }, "time_zone": "Europe/Berlin", "active": null,
        "next": { "from": "2026-11-20T01:30:00Z", "to": "2026-11-20T03:00:00Z" }, "version": 1, "created_at": AT })
}

/// Escalates and reminds, for what is tagged.
pub fn route() -> Value {
    json!({ "id": ROUTE, "name": "On call <b>", "enabled": true, "min_severity": "critical", "tags": ["mail", "web"], "times": { "kind": "always" },
        "tells": { "members": false, "every_channel": false, "channels": [CHANNEL] }, "hold": { "kind": "nothing" }, "remind_minutes": 60,
        "steps": [{ "after_minutes": 15, "tells": { "members": true, "every_channel": false, "channels": [] } }], "version": 3, "created_at": AT })
}

fn quiet_route() -> Value {
    json!({ "id": "rte_00000000000000000000000000000002", "name": "Office", "enabled": true, "min_severity": "warning", "tags": [],
        "times": { "kind": "hours", "days": ["mon", "tue"], "from": "08:00", "to": "18:00" }, "tells": { "members": true, "every_channel": false, "channels": [] },
        "hold": { "kind": "daily", "up_to": "warning", "at": "08:00" }, "steps": [], "version": 1, "created_at": AT })
}

fn preview() -> Value {
    json!({ "routes": [ROUTE], "members": { "when": "held", "until": "2026-11-19T07:00:00Z" }, "channels": [{ "channel": CHANNEL, "at": { "when": "now" } }],
        "follow_ups": [{ "route": ROUTE, "step": 1, "due_at": "2026-11-18T13:15:00Z" }, { "route": ROUTE, "step": 0, "due_at": "2026-11-18T14:00:00Z" }] })
}

fn people(role: &str) -> Vec<Value> {
    vec![
        json!({ "id": "usr_0000000000000000000000000000000a", "email": "ops@example.com", "email_verified": true, "role": role, "joined_at": AT, "version": 1 }),
        json!({ "id": "usr_00000000000000000000000000000002", "email": "owner+<b>@example.com", "email_verified": true, "role": "owner", "joined_at": AT, "version": 4 }),
        json!({ "id": "usr_00000000000000000000000000000003", "email": "ed@example.com", "email_verified": false, "role": "editor", "joined_at": AT, "version": 2 }),
    ]
}

fn invitations() -> Vec<Value> {
    vec![
        json!({ "id": "inv_00000000000000000000000000000001", "email": "new@example.com", "role": "viewer", "invited_by": "ops@example.com", "sent_at": AT,
                    "expires_at": "2999-01-01T00:00:00Z", "created_at": AT, "version": 1 }),
        json!({ "id": "inv_00000000000000000000000000000002", "email": "late@example.com", "role": "editor", "invited_by": "ops@example.com", "sent_at": AT,
                    "expires_at": "2020-01-01T00:00:00Z", "created_at": AT, "version": 1 }),
    ]
}

fn me(role: &str) -> Value {
    let org = |digit: &str, slug: &str, name: &str| json!({ "id": format!("org_0000000000000000000000000000000{digit}"), "slug": slug, "name": name, "role": role });
    json!({
        "user": { "id": "usr_0000000000000000000000000000000a", "email": "ops@example.com", "email_verified": true, "created_at": AT },
        "orgs": [org("1", "acme", "Acme Mail"), org("2", "empty", "Nothing yet")]
    })
}

fn overview() -> Value {
    let host = |name: &str, state: &str, latency: Value| json!({ "server_id": SERVER, "monitor_id": "mon_00000000000000000000000000000025", "host": name, "state": state, "latency_ms": latency });
    let port = |number: u16, hosts: Vec<Value>| json!({ "port": number, "uptime_30d": 99.94, "total": if number == 25 { 6 } else { hosts.len() }, "up": 1, "degraded": 0, "down": 1, "hosts": hosts });
    json!({
        "score": 61, "counts": { "domains": 2, "servers": 1, "addresses": 1, "monitors": 6, "open_incidents": 1 }, "last_checked_at": AT,
        "ports": [port(25, vec![host(LONG, "down", json!(31.0)), host("mail.example.com", "up", json!(1140.0))]), port(465, vec![host(LONG, "pending", json!(null))]), port(587, vec![])],
        "domains": [domain(), long_domain()], "addresses": [address()], "incidents": [incident()],
        "port25_blocked": null
    })
}

fn audit() -> Value {
    let finding = |rule: &str, severity: &str, subject: &str, summary: &str| {
        json!({ "rule": rule, "severity": severity, "subject": subject, "summary": summary, "why": "Receivers stop there.", "fix": "Publish the record below.",
            "record": { "kind": "TXT", "name": "xn--mnchen-3ya.example", "value": "v=spf1 ip4:192.0.2.25 -all" }, "reference": "RFC 7208, section 4.6.4" })
    };
    let check = |status: &str, word: &str| json!({ "status": status, "word": word });
    json!({
        "domain": "xn--mnchen-3ya.example", "score": 61, "grade": "C",
        "findings": [
            finding("spf.lookups", "critical", "xn--mnchen-3ya.example", "SPF needs 12 DNS lookups, 10 are allowed"),
            finding("dmarc.none", "medium", "_dmarc.xn--mnchen-3ya.example", "DMARC only watches: p=none"),
            finding("bimi.missing", "info", "default._bimi.xn--mnchen-3ya.example", "BIMI is not set")
        ],
        "unknown": [{ "subject": "ns", "reason": "did not answer in time; it is asked again at the next check" }],
        "checks": { "mx": check("ok", "2 hosts"), "spf": check("bad", "Error"), "dkim": check("warn", "1024 bit"), "dmarc": check("warn", "p=none"), "mta_sts": check("none", "Not set"),
            "tls_rpt": check("none", "Not set"), "dane": check("none", "Not set"), "bimi": check("none", "Not set"), "ptr": check("warn", "Mismatch"), "dnssec": check("none", "Not signed") },
        "records": { "dmarc": ["v=DMARC1; p=none"], "mta_sts": ["v=STSv1; id=20261101", "version: STSv1 / mode: testing / mx: mail.example.com / mx: *.example.net / max_age: 604800"], "mx": [format!("10 {LONG}.")], "ns": ["ns1.example.net."], "spf": ["v=spf1 include:_spf.example.net include:_spf.example.org ~all"] },
        "lost": audited::lost(), "detail": audited::detail(),
        "mx_hosts": [{ "preference": 10, "host": LONG, "addresses": ["192.0.2.25", "2001:db8::25"], "provider": null }]
    })
}

fn monitor(id: &str, kind: &str, target: &str, state: &str) -> Value {
    json!({ "id": format!("mon_000000000000000000000000000000{id}"), "kind": kind, "target": target, "interval_s": 3600, "regions": ["local"], "paused": false, "state": state, "state_since": AT,
        "summary": "connection refused by 192.0.2.25; nothing listens on the port", "latency_ms": 31.0, "last_checked_at": AT, "next_check_at": AT, "domain_id": null, "server_id": null,
        "address_id": null, "version": 3, "created_at": AT })
}

/// Audited once, with a verdict that a second audit has yet to confirm.
fn domain() -> Value {
    json!({ "id": DOMAIN, "name": "xn--mnchen-3ya.example", "display": "münchen.example", "state": "pending", "score": 61, "grade": "C", "last_checked_at": AT, "next_check_at": AT,
        "audit": audit(), "listings": [
            { "subject": "xn--mnchen-3ya.example", "list": "Example RHSBL", "zone": "rhsbl.example.org", "severity": "medium" },
            { "subject": "192.0.2.25", "list": "Example List", "zone": "dnsbl.example.org", "severity": "medium" }
        ], "selectors": ["s2024"], "senders": ["192.0.2.80", "2001:db8::80"],
        "ownership": { "name": "_waypost-verify.xn--mnchen-3ya.example", "value": "waypost-verify=0123456789abcdef0123456789abcdef", "verified": false, "seen_at": null },
        "monitors": [monitor("06", "blacklist", "xn--mnchen-3ya.example", "up"), monitor("01", "audit", "xn--mnchen-3ya.example", "pending")], "version": 3, "created_at": AT })
}

/// Not audited yet.
fn long_domain() -> Value {
    json!({ "id": "dom_00000000000000000000000000000009", "name": LONG, "display": LONG, "state": "pending", "score": null, "grade": null, "last_checked_at": null, "next_check_at": AT,
        "audit": null, "monitors": [], "version": 1, "created_at": AT })
}

fn server() -> Value {
    let port = |number: u16, state: &str| monitor(&format!("{:02}", number % 100), "smtp", &format!("{LONG}:{number}"), state);
    json!({ "id": SERVER, "host": LONG, "display": LONG, "ports": [25, 465, 587], "source": "mx", "role": "gateway", "least_size_mb": 25, "tags": ["berlin", "web"], "state": "down",
        "monitors": [port(25, "down"), port(465, "up"), port(587, "pending")], "last_checked_at": AT, "version": 3, "created_at": AT })
}

pub fn smtp() -> Value {
    json!({ "kind": "smtp", "host": LONG, "port": 25, "mode": "starttls", "verdict": "down", "summary": "connection refused by 192.0.2.25", "probes": [{
        "host": LONG, "address": "192.0.2.25", "port": 25, "mode": "starttls", "verdict": "degraded", "reason": "certificate ends in 6 days", "stage_ms": { "connect": 3.2, "banner": 18.0, "total": 31.0 },
        "tls": { "version": "TLSv1.3", "cipher": "TLS13_AES_256_GCM_SHA384", "trusted": false, "name_matches": true, "expires": "2027-01-18T13:00:00Z", "subject": LONG, "issuer": "Example CA",
            "names": [LONG, "mail.example.com"], "trust_problem": "self-signed certificate", "fingerprint": "ab".repeat(32) },
        "extensions": ["PIPELINING", "SIZE 10240000", "STARTTLS"], "banner": "220 mail.example.com ESMTP", "findings": [],
        "transcript": [{ "at_ms": 18, "from": "server", "line": "220 mail.example.com ESMTP" }, { "at_ms": 18, "from": "client", "line": "EHLO probe.waypost.example" }]
    }] })
}

fn rollups() -> Vec<Value> {
    (10..18).map(|day| json!({ "at": format!("2026-11-{day}T00:00:00Z"), "checks": 288, "up": 280, "down": day - 10, "unknown": 0, "latency_avg_ms": 30.0 + f64::from(day), "latency_max_ms": 90.0 })).collect()
}

/// A day of quarters, two of them in maintenance and one without an answer, under an incident that is open.
fn timings() -> Value {
    let spread = |stage: &str, p50: f64| json!({ "stage": stage, "p50": p50, "p95": p50 * 2.0 });
    let point = |minute: u32| {
        let stages =
            if minute == 30 { vec![] } else { vec![spread("dns", 2.0), spread("connect", 10.0), spread("tls", 20.5), spread("total", 40.0)] };
        json!({ "at": format!("2026-11-18T13:{minute:02}:00Z"), "checks": 3, "maintenance": if minute == 15 { 3 } else { 0 }, "down": if minute == 30 { 3 } else { 0 }, "stages": stages })
    };
    let region = |name: &str, verdict: &str, day: Value| json!({ "region": name, "verdict": verdict, "summary": "connection refused <here>", "at": AT, "day": day });
    json!({ "since": "2026-11-17T14:00:00Z", "until": "2026-11-18T14:00:00Z", "step_s": 900, "points": [point(0), point(15), point(30), point(45)],
        "incidents": [{ "id": INCIDENT, "title": "mx.example.com refuses <all>", "severity": "critical", "opened_at": "2026-11-18T13:30:00Z", "resolved_at": null }],
        "regions": [region("eu", "down", Value::Null), region("us", "up", json!({ "p50": 104.0, "p95": 171.0 }))] })
}

fn result() -> Value {
    json!({ "id": "res_00000000000000000000000000000007", "monitor_id": "mon_00000000000000000000000000000025", "region": "local", "at": AT, "verdict": "down",
        "summary": "connection refused by 192.0.2.25", "latency_ms": null })
}

fn entry(list: &str, state: &str, reason: &str) -> Value {
    json!({ "subject": "192.0.2.25", "list": list, "zone": "dnsbl.example.org", "state": state, "codes": if state == "listed" { vec!["127.0.0.2"] } else { vec![] },
        "meaning": if state == "listed" { "the address sent spam" } else { "" }, "reason": reason, "severity": "medium", "delist_url": "https://example.org/remove" })
}

fn entries() -> Vec<Value> {
    vec![
        entry("Example List", "listed", "seen on 17 Nov"),
        entry("Other List", "clean", ""),
        entry("Silent List", "unknown", "the list refuses public resolvers"),
    ]
}

fn address() -> Value {
    json!({ "id": ADDRESS, "cidr": "192.0.2.25", "source": "mx", "hosts": [LONG], "state": "degraded", "listed": 1, "answered": 2, "asked": 3, "last_checked_at": AT, "next_check_at": AT,
        "report": { "target": "192.0.2.25", "entries": entries() }, "monitors": [monitor("05", "blacklist", "192.0.2.25", "degraded")], "version": 3, "created_at": AT })
}

/// Of four addresses one is listed, and one was not scanned yet.
pub fn pool() -> Value {
    let of = |last: u8, listed: u32, answered: u32, asked: u32| {
        let mut address = address();
        address["id"] = json!(format!("adr_000000000000000000000000000000{last:02}"));
        address["cidr"] = json!(format!("192.0.2.{last}"));
        (address["listed"], address["answered"], address["asked"]) = (json!(listed), json!(answered), json!(asked));
        address["pool"] = json!({ "id": POOL, "name": "newsletter" });
        address["report"] = json!(null);
        address
    };
    json!({ "id": POOL, "name": "newsletter", "tag": "pool:newsletter", "note": "Weekly <b>news</b>", "standing": { "listed": 1, "clean": 2, "unknown": 1 },
        "addresses": [of(25, 1, 40, 41), of(26, 0, 40, 41), of(27, 0, 41, 41), of(28, 0, 0, 0)], "version": 3, "created_at": AT })
}

/// A compact report: of 256 addresses, three are listed; clean ones are counted only.
fn network() -> Value {
    let listed = |last: u8, list: &str, zone: &str, codes: Value| {
        json!({ "subject": format!("198.51.100.{last}"), "list": list, "zone": zone, "state": "listed", "codes": codes,
        "meaning": "the address sent spam", "reason": "", "severity": "medium", "delist_url": "http://insecure.example/remove" })
    };
    let list = |name: &str, zone: &str, counts: [u32; 3], reason: &str, untold: Value| {
        json!({ "list": name, "zone": zone, "id": zone, "list_type": "block", "severity": "medium",
        "asked": 256, "listed": counts[0], "clean": counts[1], "unknown": counts[2], "reason": reason, "untold": untold, "delisting": "Ask at the form.", "effect": "Mail is refused." })
    };
    let report = json!({ "target": "198.51.100.0/24", "subjects": 256,
        "entries": [listed(7, "Example List", "dnsbl.example.org", json!(["127.0.0.2"])), listed(9, "Example List", "dnsbl.example.org", json!(["127.0.0.3"])),
            listed(200, "Example List", "dnsbl.example.org", json!(["127.0.0.2"])), listed(7, "Partly Silent", "partly.example.org", json!(["127.0.0.2"]))],
        "lists": [list("Example List", "dnsbl.example.org", [3, 253, 0], "", json!([])), list("Quiet List", "quiet.example.org", [0, 256, 0], "", json!([])),
            list("Partly Silent", "partly.example.org", [1, 127, 128], "no answer in time", json!(["198.51.100.128-198.51.100.255"])),
            list("Dead List", "dead.example.org", [0, 0, 256], "the list refuses public resolvers", json!([]))] });
    json!({ "id": NETWORK, "cidr": "198.51.100.0/24", "source": "manual", "hosts": [], "state": "degraded", "listed": 4, "answered": 3, "asked": 4, "last_checked_at": AT, "next_check_at": AT,
        "report": report, "monitors": [monitor("06", "blacklist", "198.51.100.0/24", "degraded")], "version": 3, "created_at": AT })
}

/// A channel that is on, or one that is off.
fn slack_channel(id: &str, name: &str, private: bool) -> Value {
    json!({ "id": id, "name": name, "private": private })
}

pub fn channel(enabled: bool) -> Value {
    json!({ "id": if enabled { CHANNEL } else { "chn_00000000000000000000000000000002" }, "name": "Tools <b>", "kind": "slack", "shown": "https://hooks.slack.com/…a1b2",
        "min_severity": "warning", "enabled": enabled, "created_at": AT, "version": 4 })
}

/// The one that has a page: a webhook whose key was renewed.
fn hook() -> Value {
    let mut hook = channel(true);
    hook["kind"] = "webhook".into();
    hook["old_key_until"] = "2999-11-18T13:00:00Z".into();
    hook
}

fn delivery() -> Value {
    json!({ "id": "dlv_00000000000000000000000000000001", "at": AT, "event": "test", "incident_id": null, "attempt": 1, "result": "failed", "status": 404,
        "answer": "404 no_service <b>", "took_ms": 120 })
}

fn listings() -> Vec<Value> {
    let one = |digit: u8, ended: Value| {
        json!({ "id": format!("00000000-0000-7000-8000-00000000000{digit}"), "subject": "192.0.2.25", "list": "Example List", "zone": "dnsbl.example.org",
        "severity": "medium", "codes": ["127.0.0.2"], "meaning": "the address sent spam", "reason": "see <b>", "began_at": "2026-11-01T13:00:00Z", "seen_at": AT, "ended_at": ended })
    };
    vec![one(1, json!(null)), one(2, json!("2026-11-03T13:00:00Z"))]
}

fn lists() -> Value {
    let info = |id: &str, zone: &str, severity: &str, more: Value| {
        let mut info = json!({ "id": id, "name": format!("The {id} list"), "zone": zone, "operator": "Example Operator", "list_type": "block", "kinds": ["ip4", "domain"], "severity": severity,
            "severity_reason": "Many receivers refuse on it.", "lists": "senders of spam", "codes": { "127.0.0.2": "the address sent spam" }, "lookup_url": "http://insecure.example/look",
            "delist_url": "https://example.org/remove", "delisting": "Ask at the form.", "auto_expiry": "After 7 days.", "needs_key": false, "takes_key": false, "queryable": true,
            "default_enabled": true, "query_policy": "free below 100,000 a day" });
        for (key, value) in more.as_object().into_iter().flatten() {
            info[key] = value.clone();
        }
        info
    };
    json!({
        "catalog": [info("example", "dnsbl.example.org", "critical", json!({})), info("keyed", "keyed.example.org", "high", json!({ "needs_key": true, "takes_key": true, "default_enabled": false })),
            info("hashes", "", "info", json!({ "queryable": false, "kinds": ["email_sha1"] }))],
        "choice": { "off": [], "on": ["gone"], "custom": [{ "zone": "bl.acme.example", "name": "Ours", "kinds": ["ip4"], "severity": "high" }] }, "keys": ["keyed"], "version": 4
    })
}

fn address_lookup() -> Value {
    json!({ "address": "192.0.2.25", "names": [{ "name": "mail.example.com", "leads_back": false }], "reverse": { "status": "warn", "word": "Mismatch" },
        "reverse_reason": "The reverse name mail.example.com does not lead back to 192.0.2.25. Receivers do not believe such a name.",
        "blacklists": { "target": "192.0.2.25", "entries": entries(), "lists": [], "subjects": 1 }, "complete": false, "checked_at": AT, "took_ms": 2140 })
}

fn incident() -> Value {
    let event = |digit: u8, event: &str, text: &str, actor: Value| json!({ "id": format!("tml_0000000000000000000000000000000{digit}"), "at": AT, "event": event, "text": text, "actor": actor });
    json!({ "id": INCIDENT, "monitor_id": null, "kind": "smtp", "target": format!("{LONG}:25"), "title": format!("{LONG} port 25 is down"),
        "summary": "connection refused by 192.0.2.25; nothing listens on the port", "severity": "critical", "status": "open", "opened_at": AT, "acknowledged_at": null, "resolved_at": null,
        "timeline": [event(1, "opened", "two checks in a row failed", json!(null)), event(2, "notified", "accepted for ops@example.com", json!(null)), event(3, "comment", "restarting it", json!("ops@example.com"))],
        "evidence": smtp(), "runbook": RUNBOOK, "version": 3 })
}

fn change() -> Value {
    json!({ "id": "chg_00000000000000000000000000000001", "at": AT, "kind": "firewall", "text": "Port 25 closed for <b>guests</b>", "target": LONG,
        "by": "ops@example.com", "version": 1 })
}

fn related() -> Value {
    let event = |text: &str, cause: Value| json!({ "source": "change", "kind": "firewall", "at": AT, "target": LONG, "text": text, "cause": cause });
    json!({ "from": "2026-11-17T13:00:00Z", "until": "2026-11-18T14:00:00Z",
        "causes": [event("Firewall: port 25 closed", json!({ "score": 90, "reason": "A firewall was changed 4 minutes before." }))],
        "beside": [event("Firewall: port 25 opened", json!(null))] })
}

fn runbook(own: bool) -> Value {
    let text = "## Check first\n\n- Is `postfix` running?\n\n<script>alert(1)</script>";
    let (by, at) = if own { (json!("ops@example.com"), json!(AT)) } else { (json!(null), json!(null)) };
    json!({ "topic": if own { RUNBOOK } else { "spf-missing" }, "title": "A port does not answer", "text": text, "edited_by": by, "edited_at": at, "version": i64::from(own) })
}

fn lookup() -> Value {
    json!({ "domain": "xn--mnchen-3ya.example", "display": "münchen.example", "complete": false, "checked_at": AT, "took_ms": 2140, "audit": audit(), "blacklists": entries() })
}
