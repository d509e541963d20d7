//! Words and colours that providers share, and texts cut to what an API takes.

use waypost_render::mail::{CLOSED, RECOVERED, accent};
use waypost_types::{
    channel::{ChannelEvent, EventKind},
    incident::IncidentSeverity,
};

/// What happened, in two words.
pub(crate) const fn state(event: &ChannelEvent) -> &'static str {
    match (event.kind, event.severity) {
        (EventKind::Opened, severity) => severity.word(),
        (EventKind::Changed, IncidentSeverity::Critical) => "Now critical",
        (EventKind::Changed, IncidentSeverity::Warning) => "Now a warning",
        (EventKind::Changed, IncidentSeverity::Info) => "Now good to know",
        (EventKind::Resolved, _) if event.now.is_some() => "Recovered",
        (EventKind::Flapping, _) => "Flapping",
        (EventKind::Resolved, _) => "Resolved",
        (EventKind::LetGo, _) => "Closed",
        (EventKind::Handled, _) => "In hand",
        (EventKind::Escalated, _) => "Escalated",
        (EventKind::Reminded, _) => "Still open",
        (EventKind::Digest, _) => "Digest",
        (EventKind::Test, _) => "Test",
    }
}

/// State and title on one line; of an end how it stands now.
pub(crate) fn headline(event: &ChannelEvent) -> String {
    format!("{}: {}", state(event), line(event.now.as_deref().unwrap_or(&event.title)))
}

/// Of an end whose headline says how it stands now: what was wrong.
pub(crate) fn was(event: &ChannelEvent) -> Option<&str> {
    event.now.as_ref().map(|_| event.title.as_str())
}

/// Whether it is over.
pub(crate) const fn is_over(event: &ChannelEvent) -> bool {
    matches!(event.kind, EventKind::Resolved | EventKind::LetGo)
}

/// `#rrggbb`.
pub(crate) fn colour(event: &ChannelEvent) -> &'static str {
    match event.kind {
        EventKind::Resolved => RECOVERED,
        EventKind::LetGo => CLOSED,
        _ => accent(event.severity),
    }
}

/// White space and control characters become single spaces.
pub(crate) fn line(text: &str) -> String {
    let calm: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    calm.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most `most` characters, an ellipsis among them where some are gone.
pub(crate) fn within(text: &str, most: usize) -> String {
    escaped_within(text, most, |c, out| out.push(c))
}

/// The same of a text that `escape` writes character by character: no escape is cut in two.
pub(crate) fn escaped_within(text: &str, most: usize, escape: impl Fn(char, &mut String)) -> String {
    let mut out = String::new();
    let (mut length, mut room_for_dots) = (0, 0);
    for c in text.chars() {
        let before = out.len();
        escape(c, &mut out);
        length += out[before..].chars().count();
        if length > most {
            out.truncate(room_for_dots);
            out.push('…');
            break;
        }
        if length < most {
            room_for_dots = out.len();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_escapes() {
        let escape = |c: char, out: &mut String| if c == '&' { out.push_str("&amp;") } else { out.push(c) };
        for (text, most, wanted) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("a&", 6, "a&amp;"),
            ("a&", 5, "a…"),
            ("&&", 5, "…"),
            ("&&", 6, "&amp;…"),
            ("&&", 10, "&amp;&amp;"),
            ("äöü", 2, "ä…"),
            ("", 3, ""),
        ] {
            assert_eq!(escaped_within(text, most, escape), wanted, "{text} {most}");
        }
        assert_eq!(line(" a\r\n\tb\u{0}c "), "a b c");
    }
}
