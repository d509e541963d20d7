//! Domains without the one SPF record that receivers ask for: none at all, one that begins wrongly, or several.

use std::net::IpAddr;

use waypost_types::{
    audit::{SpfDetail, SpfNode},
    outcome::Status,
};

use super::{
    Part,
    rules::remark,
    spf::{Audited, MOST_NAMED},
    spf_mend::{self, Written},
    spf_wire,
};

/// Characters of a record that are quoted.
const MOST_SHOWN: usize = 80;

pub(super) async fn multiple(on: Audited<'_>, wire: &spf_wire::Wire, part: &mut Part) {
    let domain = on.domain();
    let texts = on.net.dns().txt(domain).await.found().into_iter().filter(|txt| crate::spf::is_spf(txt));
    let records: Vec<String> = texts.map(|txt| String::from_utf8_lossy(&txt).into_owned()).collect();
    if records.len() < 2 {
        // The same question, answered otherwise a moment later: nothing to build advice on.
        part.unknown("spf", "the name servers give more than one SPF record at one time and not at another; it is asked again");
        part.word(Status::None, "No answer");
        return;
    }
    part.find(remark("spf.multiple_records", domain, format!("{domain} has {} SPF records; receivers take that as an error", records.len())));
    spf_wire::judge(domain, wire, part);
    spf_mend::rewrite(on, &spf_mend::merged(&records), part).await;
    part.detail.spf = Some(SpfDetail {
        tree: SpfNode { domain: domain.to_owned(), problem: Some(format!("has {} SPF records", records.len())), ..SpfNode::default() },
        ..SpfDetail::default()
    });
    part.records = records;
    part.word(Status::Bad, "Error");
}

/// What was meant for a record and is none: its terms are its owner's, so they are what is proposed, under the same rules as every repair.
pub(super) async fn begins_wrongly(on: Audited<'_>, (what, text, better): &(&str, String, String), part: &mut Part) {
    let domain = on.domain();
    let seen =
        format!("{domain} has no SPF record that receivers take for one: “{}” is meant to be it, but {what}", crate::text::shown(text, MOST_SHOWN));
    let found = remark("spf.missing", domain, seen);
    part.find(match spf_mend::written_anew(on, better).await {
        Written::Record(value) => {
            found.fix("Publish the record below in its place: it has to begin with exactly v=spf1 and a space.").record("TXT", domain, value)
        }
        none => found.fix(format!(
            "Correct it: it has to begin with exactly v=spf1 and a space, and name every host that sends for the domain.{}",
            none.why_not()
        )),
    });
    part.records.push(text.clone());
    part.word(Status::Bad, "Missing");
}

pub(super) fn missing(on: Audited<'_>, part: &mut Part) {
    let (domain, facts, sends) = (on.domain(), on.facts, on.sends());
    let found = remark("spf.missing", domain, format!("{domain} has no SPF record"));
    let senders: Vec<IpAddr> = on.options.senders.iter().take(MOST_NAMED).map(|(address, _)| address.to_canonical()).collect();
    let mut terms: Vec<String> = if facts.takes_mail() { vec!["mx".to_owned()] } else { Vec::new() };
    terms.extend(senders.iter().map(|address| format!("{}:{address}", if address.is_ipv4() { "ip4" } else { "ip6" })));
    part.find(match &sends {
        Some(sends) if facts.null_mx => found.fix(format!(
            "The domain takes no mail (null MX), and {}. Whether it sends mail is yours to decide: if it does, give it an MX record and name its senders \
             in an SPF record; if not, publish v=spf1 -all.",
            sends.how()
        )),
        _ if !terms.is_empty() => found
            .fix(
                "Publish one that names every host that sends for the domain; this one allows its MX hosts and the senders known here only. Change ~all to \
                 -all when all your senders are in it.",
            )
            .record("TXT", domain, format!("v=spf1 {} ~all", terms.join(" "))),
        _ if facts.receives => {
            found.fix("Publish one that names every host that sends for the domain, and ends in ~all. None is known here: its MX records lead to no host.")
        }
        Some(sends) => found.fix(format!(
            "Publish one that names every host that sends for the domain, and ends in ~all. Which these are is not known here, but {}. If nobody is to \
             send for it any more, publish v=spf1 -all.",
            sends.how()
        )),
        None => found.fix("Publish one that says that nobody sends for the domain.").record("TXT", domain, "v=spf1 -all"),
    });
    part.word(Status::Bad, "Missing");
}
