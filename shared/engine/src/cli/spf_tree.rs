//! The tree of an SPF policy as text: what each term costs, and what lies behind it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use waypost_types::audit::{SpfDetail, SpfNode};

const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();

/// Writes it; colours are taken out again where the output shows none.
pub fn write(out: &mut impl Write, detail: &SpfDetail) -> io::Result<()> {
    let tree = &detail.tree;
    let lookups = if tree.lookups > 10 { BAD } else { GOOD };
    let voids = if tree.void_lookups > 2 { BAD } else { GOOD };
    writeln!(out, "{}  {lookups}{} of 10 lookups{lookups:#}, {voids}{} of 2 void lookups{voids:#}", tree.domain, tree.lookups, tree.void_lookups)?;
    node(out, tree, "  ")?;
    if !detail.senders.is_empty() {
        writeln!(out)?;
    }
    for sender in &detail.senders {
        let style = match sender.result.as_str() {
            "pass" => GOOD,
            "fail" | "permerror" => BAD,
            _ => WARN,
        };
        let term = sender.mechanism.as_deref().map_or_else(String::new, |term| format!(" by {}", waypost_engine::printable(term)));
        writeln!(out, "  {style}{:<9}{style:#} {} ({}){term}", sender.result, sender.address, waypost_engine::printable(&sender.origin))?;
    }
    if let Some(flat) = &detail.flattened {
        writeln!(out, "\n  With {} lookups instead of {}:", flat.lookups, tree.lookups)?;
        for record in &flat.records {
            writeln!(out, "    {} {} {}", record.name, record.kind, record.value)?;
        }
        writeln!(out, "    {WARN}{}{WARN:#}", flat.risk)?;
    }
    writeln!(out)
}

fn node(out: &mut impl Write, policy: &SpfNode, indent: &str) -> io::Result<()> {
    if let Some(problem) = &policy.problem {
        writeln!(out, "{indent}{BAD}{}{BAD:#}", waypost_engine::printable(problem))?;
    }
    for term in &policy.terms {
        let cost = if term.lookups > 0 { format!("{:>3}", term.lookups) } else { "  ·".to_owned() };
        let service = term.policy.as_ref().and_then(|policy| policy.service.as_ref()).map_or_else(String::new, |name| format!("  {name}"));
        let note = term.note.as_ref().map_or_else(String::new, |note| format!("  {note}"));
        writeln!(out, "{indent}{cost} {}{GOOD}{service}{GOOD:#}{QUIET}{note}{QUIET:#}", term.text)?;
        if let Some(below) = &term.policy {
            node(out, below, &format!("{indent}    "))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use waypost_types::audit::SpfTerm;

    use super::*;

    #[test]
    fn each_term_stands_under_the_policy_that_has_it() {
        let term = |text: &str, lookups| SpfTerm { text: text.to_owned(), lookups, ..SpfTerm::default() };
        let below = SpfNode { domain: "b.example".to_owned(), service: Some("Bee".to_owned()), terms: vec![term("a", 1)], ..SpfNode::default() };
        let include = SpfTerm { policy: Some(Box::new(below)), ..term("include:b.example", 2) };
        let all = SpfTerm { note: Some("ends it".to_owned()), ..term("-all", 0) };
        let tree = SpfNode { domain: "e.example".to_owned(), lookups: 2, terms: vec![include, all], ..SpfNode::default() };
        let mut written = Vec::new();
        write(&mut anstream::StripStream::new(&mut written), &SpfDetail { tree, ..SpfDetail::default() }).unwrap();
        let wanted = "e.example  2 of 10 lookups, 0 of 2 void lookups\n    2 include:b.example  Bee\n        1 a\n    · -all  ends it\n\n";
        assert_eq!(String::from_utf8(written).unwrap(), wanted);
    }
}
