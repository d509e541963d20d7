//! An SPF record as it should be: what can be put right without asking anybody is, all of it in one record (RFC 7208 4.6, 5, 6).

use std::net::IpAddr;

use super::{
    spf_cost::{Question, Seen},
    spf_networks,
    spf_repeats::{repeats, terms},
};
use crate::spf::{Directive, MAX_VOID_LOOKUPS, MacroString, Mechanism, Qualifier, Record, is_term, parse};

/// What is known beside the record itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Known<'a> {
    pub(super) domain: &'a str,
    /// It takes no mail (null MX) and nothing is known that speaks for mail in its name.
    pub(super) silent: bool,
    /// Addresses that send for it and must keep their place.
    pub(super) senders: Vec<IpAddr>,
    /// Those of them that do not pass.
    pub(super) refused: Vec<IpAddr>,
    /// Lookups that find nothing, in all.
    pub(super) voids: u32,
    pub(super) seen: Option<&'a Seen>,
}

/// The record with each term that can not be read written as it was meant; nothing where one of them can only be guessed at.
pub(super) fn legible(text: &str) -> Option<String> {
    let mut out = vec!["v=spf1".to_owned()];
    let mut raw = text.split(' ').skip(1).filter(|term| !term.is_empty()).peekable();
    while let Some(term) = raw.next() {
        // “ip4: 192.0.2.1”: a space too many.
        let joined = raw.peek().filter(|next| !is_term(term) && term.ends_with([':', '=']) && !is_term(next)).map(|next| format!("{term}{next}"));
        let terms = match joined.filter(|joined| is_term(joined)) {
            Some(joined) => {
                raw.next();
                vec![joined]
            }
            None if is_term(term) => vec![term.to_owned()],
            None => listed(term)?,
        };
        for term in terms {
            // A modifier that stands twice with the same value says one thing.
            let modifier = term.split_once('=').is_some_and(|(name, _)| matches!(name.to_ascii_lowercase().as_str(), "redirect" | "exp"));
            if !(modifier && out.iter().any(|other| other.eq_ignore_ascii_case(&term))) {
                out.push(term);
            }
        }
    }
    let out = out.join(" ");
    parse(out.as_bytes()).is_ok().then_some(out)
}

/// Terms with tabs, commas or semicolons between them instead of spaces.
fn listed(term: &str) -> Option<Vec<String>> {
    term.split(['\t', ',', ';'])
        .filter(|piece| !piece.is_empty())
        .map(|piece| if is_term(piece) { Some(piece.to_owned()) } else { meant(piece) })
        .collect()
}

/// The term that somebody meant: an address under another name, or a dash that a word processor made longer.
fn meant(term: &str) -> Option<String> {
    let dashed = term.strip_prefix(['–', '—', '−', '‐', '‑']).map(|rest| format!("-{rest}"));
    let bare = dashed.as_deref().unwrap_or(term);
    let (sign, rest) = bare.split_at(usize::from(bare.starts_with(['+', '-', '~', '?'])));
    let lower = rest.to_ascii_lowercase();
    let address = ["ipv4:", "ipv6:", "ip4:", "ip6:", "ip:"].into_iter().find_map(|name| lower.strip_prefix(name)).unwrap_or(&lower);
    let is_address = address.split('/').next().is_some_and(|address| address.parse::<IpAddr>().is_ok());
    let kind = if address.contains(':') { "ip6" } else { "ip4" };
    let better = if is_address { format!("{sign}{kind}:{address}") } else { bare.to_owned() };
    is_term(&better).then_some(better)
}

/// The record with all of it put right; terms behind `all` come before it only where that is asked for. Nothing where there is nothing to do, or
/// where the record can not be read.
pub(super) fn repaired(text: &str, known: &Known<'_>, move_all: bool) -> Option<String> {
    let record = parse(text.as_bytes()).ok()?;
    let value = if known.silent && !lets_send(&record) {
        "v=spf1 -all".to_owned()
    } else {
        let value = rewritten(text, &record, known, move_all);
        // Who takes out the last sender refuses all mail: that is no repair.
        let value = if lets_send(&record) && !parse(value.as_bytes()).is_ok_and(|record| lets_send(&record)) {
            rewritten(text, &record, &Known { seen: None, senders: Vec::new(), refused: known.refused.clone(), ..*known }, move_all)
        } else {
            value
        };
        without_repeats(&value, known.domain)?
    };
    let plain = |text: &str| text.split(' ').filter(|term| !term.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    (plain(&value) != plain(text)).then_some(value)
}

/// Whether a record lets anybody pass, by a term that is read: not by what stands behind `all`, nor by a redirect beside it (RFC 7208 6.1).
pub(super) fn lets_send(record: &Record) -> bool {
    let all = record.directives.iter().position(|directive| directive.mechanism == Mechanism::All);
    let read = &record.directives[..all.map_or(record.directives.len(), |at| at + 1)];
    read.iter().any(|directive| directive.qualifier == Qualifier::Pass) || (all.is_none() && record.redirect.is_some())
}

/// Whether a record ends in an `all` that lets everybody pass; only the first is read.
pub(super) fn lets_everybody(record: &Record) -> bool {
    record.directives.iter().find(|directive| directive.mechanism == Mechanism::All).is_some_and(|all| all.qualifier == Qualifier::Pass)
}

/// Whether somebody may pass under a record who does not under a later one: unless the later one has all its terms in their order, and between
/// them only more that let pass. Who is refused at the end passes under neither.
pub(super) fn takes_away(text: &str, later: &str) -> bool {
    let (Ok(record), Ok(later)) = (parse(text.as_bytes()), parse(later.as_bytes())) else { return true };
    let (kept, mut redirect) = decisive(&record);
    let (now, led) = decisive(&later);
    redirect = redirect.or(led);
    let mut kept = kept.into_iter().peekable();
    let only_more = now.iter().all(|(term, qualifier)| kept.next_if(|(old, _)| old == term).is_some() || *qualifier == Qualifier::Pass);
    !only_more || kept.next().is_some() || redirect != led
}

/// The terms that are read, each once, without the `all` that refuses; and the redirect that is followed.
fn decisive(record: &Record) -> (Vec<(String, Qualifier)>, Option<&MacroString>) {
    let mut terms: Vec<(String, Qualifier)> = Vec::new();
    for directive in &record.directives {
        let (term, is_all) = (directive.text.to_ascii_lowercase(), directive.mechanism == Mechanism::All);
        if !(is_all && directive.qualifier != Qualifier::Pass) && terms.iter().all(|(other, _)| *other != term) {
            terms.push((term, directive.qualifier));
        }
        if is_all {
            return (terms, None);
        }
    }
    (terms, record.redirect.as_ref())
}

fn rewritten(text: &str, record: &Record, known: &Known<'_>, move_all: bool) -> String {
    let all = record.directives.iter().position(|directive| directive.mechanism == Mechanism::All);
    let ending = all.map(|at| match record.directives[at].qualifier {
        Qualifier::Pass | Qualifier::Neutral => "~all".to_owned(),
        Qualifier::Fail | Qualifier::SoftFail => record.directives[at].text.clone(),
    });
    let moved = move_all && all.is_some_and(|at| at + 1 < record.directives.len());
    let mut out = vec!["v=spf1".to_owned()];
    // A sender is let in before the first term that refuses somebody, and before “all”.
    let mut place = None;
    for (term, index) in terms(text, record) {
        let Some(index) = index else {
            // Beside “all” nobody follows redirect; a second version is what is left of a record that was put behind the first.
            if !term.eq_ignore_ascii_case("v=spf1") && (all.is_none() || !term.to_ascii_lowercase().starts_with("redirect=")) {
                out.push(term.to_owned());
            }
            continue;
        };
        let directive = &record.directives[index];
        if directive.qualifier != Qualifier::Pass || Some(index) == all {
            place = place.or(Some(out.len()).filter(|_| !(moved && Some(index) == all)));
        }
        match (&directive.mechanism, &ending) {
            (Mechanism::All, Some(ending)) if Some(index) == all && !moved => out.push(ending.clone()),
            (Mechanism::All, _) => {}
            _ if is_dead(directive, known) => {}
            _ => out.push(term.to_owned()),
        }
    }
    let place = place.unwrap_or(out.len());
    let added = known.refused.iter().map(|address| format!("{}:{address}", if address.is_ipv4() { "ip4" } else { "ip6" }));
    out.splice(place..place, added);
    match ending {
        Some(ending) if moved => out.push(ending),
        None if record.redirect.is_none() => out.push("~all".to_owned()),
        _ => {}
    }
    out.join(" ")
}

/// A term that lets nobody in, or whom it must not: a policy that does not exist, a name that anybody may register, a network that is no part
/// of the internet, the record itself; and a name that is not there, where there are too many such.
fn is_dead(directive: &Directive, known: &Known<'_>) -> bool {
    let Some(seen) = known.seen else { return false };
    let literal = |spec: &MacroString| spec.literal().map(str::to_ascii_lowercase);
    let own = |spec: &Option<MacroString>| spec.as_ref().map_or_else(|| Some(known.domain.to_owned()), literal);
    let (question, name) = match &directive.mechanism {
        Mechanism::Include(spec) => (None, literal(spec)),
        Mechanism::Exists(spec) => (Some(Question::Exists), literal(spec)),
        Mechanism::A(spec, _) => (Some(Question::A), own(spec)),
        Mechanism::Mx(spec, _) => (Some(Question::Mx), own(spec)),
        Mechanism::Ip4(..) | Mechanism::Ip6(..) => return is_nowhere(directive, known),
        Mechanism::All | Mechanism::Ptr(_) => return false,
    };
    let Some(name) = name else { return false };
    if seen.lapsed.iter().any(|(lapsed, _)| *lapsed == name) {
        return true;
    }
    match question {
        None => seen.without_record.contains(&name) || name == known.domain,
        // That a name has no addresses says nothing of its MX records.
        Some(question) => known.voids > MAX_VOID_LOOKUPS && seen.voids.contains(&(question, name)),
    }
}

fn is_nowhere(directive: &Directive, known: &Known<'_>) -> bool {
    let Some(network) = spf_networks::allowed(directive) else { return false };
    spf_networks::is_private(&network) && !known.senders.iter().any(|address| network.contains(address))
}

/// The record without terms that say again what others say.
fn without_repeats(text: &str, domain: &str) -> Option<String> {
    let mut text = text.to_owned();
    loop {
        let record = parse(text.as_bytes()).ok()?;
        let repeats = repeats(&record, domain);
        let kept: Vec<&str> =
            terms(&text, &record).into_iter().filter(|(_, index)| index.is_none_or(|index| repeats[index].is_none())).map(|(term, _)| term).collect();
        let next = std::iter::once("v=spf1").chain(kept).collect::<Vec<_>>().join(" ");
        if next == text {
            return Some(text);
        }
        text = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_keyboard_are_written_as_they_were_meant() {
        for (text, wanted) in [
            ("v=spf1 ip4: 192.0.2.1 -all", Some("v=spf1 ip4:192.0.2.1 -all")),
            ("v=spf1 include: a.example ~all", Some("v=spf1 include:a.example ~all")),
            ("v=spf1 ip4:192.0.2.1,ip4:192.0.2.2;ip6:2001:db8::1 -all", Some("v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 ip6:2001:db8::1 -all")),
            ("v=spf1 ip4:192.0.2.1,192.0.2.2 -all", Some("v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all")),
            ("v=spf1 mx –all", Some("v=spf1 mx -all")),
            ("v=spf1 mx\t-all\t", Some("v=spf1 mx -all")),
            ("v=spf1 include: mx -all", None),
            ("v=spf1 ip4:192.0.2.1/033 -all", None),
            ("v=spf1 ip4: -all", None),
            ("v=spf1 a,mx", Some("v=spf1 a mx")),
            ("v=spf1 –redirect=a.example", None),
        ] {
            assert_eq!(legible(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn only_the_first_all_is_read() {
        for (policy, open) in
            [("v=spf1 all", true), ("v=spf1 mx +ALL -all", true), ("v=spf1 -all +all", false), ("v=spf1 ?all", false), ("v=spf1 mx", false)]
        {
            assert_eq!(lets_everybody(&parse(policy.as_bytes()).unwrap()), open, "{policy}");
        }
    }

    #[test]
    fn what_only_lets_in_more_takes_nothing_away() {
        for (before, later, lost) in [
            ("v=spf1 mx -all", "v=spf1 mx ip4:8.8.8.8 -all", false),
            ("v=spf1 mx a mx ?all", "v=spf1 mx a ~all", false),
            ("v=spf1 -a mx -all a", "v=spf1 ip4:8.8.8.8 -a mx a -all", false),
            ("v=spf1 mx", "v=spf1 MX ~all", false),
            ("v=spf1 a redirect=x.example", "v=spf1 a mx redirect=x.example", false),
            ("v=spf1 -all redirect=x.example", "v=spf1 -all", false),
            ("v=spf1 mx +all", "v=spf1 mx ~all", true),
            ("v=spf1 mx a -all", "v=spf1 mx -all", true),
            ("v=spf1 mx -all", "v=spf1 -a mx -all", true),
            ("v=spf1 -a mx -all", "v=spf1 mx -a -all", true),
            ("v=spf1 a redirect=x.example", "v=spf1 a ~all", true),
            ("v=spf1 a", "v=spf1 x:y", true),
        ] {
            assert_eq!(takes_away(before, later), lost, "{before} | {later}");
        }
    }

    #[test]
    fn policies_that_let_nobody_send_are_known() {
        for (policy, sends) in [
            ("v=spf1 -all", false),
            ("v=spf1 ~all", false),
            ("v=spf1 -mx ?all exp=why.e.example", false),
            ("v=spf1", false),
            ("v=spf1 -all mx redirect=a.example", false),
            ("v=spf1 include:a.example -all", true),
            ("V=SPF1 +mx -all", true),
            ("v=spf1 redirect=a.example", true),
            ("v=spf1 all", true),
        ] {
            assert_eq!(lets_send(&parse(policy.as_bytes()).unwrap()), sends, "{policy}");
        }
    }
}
