//! Names as people read them: U-labels (RFC 5890) where they deceive nobody, A-labels elsewhere.

use unicode_script::{Script, UnicodeScript as _};

use crate::DomainName;

/// Small letters of Cyrillic and Greek that look like Latin ones.
const LATIN_LOOKALIKES: &str = "асԁеһіјӏорԛѕԝхуьѵүαικνορυχ";

/// The form of an ASCII name for people. A label keeps its ASCII form where it may deceive: where it mixes scripts (UTS 39 5.1), and where it is
/// of another script and all of it looks Latin (UTS 39 4), as no word of that language does.
pub fn display(ascii: &str) -> String {
    if !has_a_label(ascii) {
        return ascii.to_owned();
    }
    let (text, result) = idna::domain_to_unicode(ascii);
    if result.is_err() {
        return ascii.to_owned();
    }
    let labels = text.split('.').zip(ascii.split('.'));
    labels.map(|(label, ascii)| if is_of_one_script(label) && !looks_latin(label) { label } else { ascii }).collect::<Vec<_>>().join(".")
}

/// A sentence for people: names in it that stand by themselves, or before a port, are written as [`display`] does. What is part of a record or
/// of an address keeps the form in which it is pasted.
pub fn in_text(text: &str) -> String {
    if !has_a_label(text) {
        return text.to_owned();
    }
    text.split_inclusive(char::is_whitespace).map(word).collect()
}

/// A name with its ASCII form behind it where the two differ, and its port where it has one: `münchen.example:25 (xn--mnchen-3ya.example)`.
pub fn with_ascii(target: &str) -> String {
    let shown = in_text(target);
    let name = target.rsplit_once(':').map_or(target, |(name, _)| name);
    if shown == target { shown } else { format!("{shown} ({name})") }
}

fn has_a_label(text: &str) -> bool {
    text.as_bytes().windows(4).any(|four| four.eq_ignore_ascii_case(b"xn--"))
}

fn word(word: &str) -> String {
    let is_of_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let Some(from) = word.find(is_of_names) else { return word.to_owned() };
    let (head, rest) = word.split_at(from);
    let (name, tail) = rest.split_at(rest.find(|c| !is_of_names(c)).unwrap_or(rest.len()));
    let (name, dots) = name.split_at(name.trim_end_matches('.').len());
    let port = tail.strip_prefix(':').map_or("", |after| &after[..after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())]);
    let after = tail.strip_prefix(':').and_then(|after| after.strip_prefix(port)).filter(|_| !port.is_empty()).unwrap_or(tail);
    let alone = |text: &str| !text.contains(|c: char| c.is_alphanumeric() || matches!(c, '=' | '/' | '@' | '\\'));
    if !has_a_label(name) || !alone(head) || !alone(after) || DomainName::from_ascii(name).is_err() {
        return word.to_owned();
    }
    format!("{head}{}{dots}{tail}", display(name))
}

/// Letters of one script, or of those that one language writes together: Japanese, and Chinese with Bopomofo.
fn is_of_one_script(label: &str) -> bool {
    let script = |c: char| match c.script() {
        Script::Common | Script::Inherited => None,
        Script::Hiragana | Script::Katakana | Script::Bopomofo => Some(Script::Han),
        other => Some(other),
    };
    let mut scripts = label.chars().filter_map(script);
    scripts.next().is_none_or(|first| scripts.all(|other| other == first))
}

fn looks_latin(label: &str) -> bool {
    let mut letters = label.chars().filter(|c| c.is_alphabetic()).peekable();
    letters.peek().is_some_and(|first| !first.is_ascii()) && letters.all(|c| LATIN_LOOKALIKES.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_their_own_letters_unless_they_mix_scripts() {
        for (ascii, shown) in [
            ("example.com", "example.com"),
            ("xn--mnchen-3ya.example", "münchen.example"),
            ("_dmarc.xn--mnchen-3ya.example", "_dmarc.münchen.example"),
            // Cyrillic а among Latin letters.
            ("xn--pple-43d.example", "xn--pple-43d.example"),
            ("mail.xn--pple-43d.xn--mnchen-3ya.example", "mail.xn--pple-43d.münchen.example"),
            // All Cyrillic, and all of it looks like apple.
            ("xn--80ak6aa92e.com", "xn--80ak6aa92e.com"),
            ("xn--e1afmkfd.example", "пример.example"),
            // Hiragana and Han.
            ("xn--48jwgn17gdel797d.example", "郵便屋さん.example"),
            ("xn--0.example", "xn--0.example"),
        ] {
            assert_eq!(display(ascii), shown, "{ascii}");
        }
    }

    #[test]
    fn what_is_pasted_stays_ascii_within_a_sentence() {
        for (text, shown) in [
            ("No record at _dmarc.xn--mnchen-3ya.example.", "No record at _dmarc.münchen.example."),
            ("xn--mnchen-3ya.example: SPF is broken", "münchen.example: SPF is broken"),
            ("Port 25 of mx.xn--mnchen-3ya.example:25, “xn--mnchen-3ya.example”", "Port 25 of mx.münchen.example:25, “münchen.example”"),
            ("v=spf1 include:xn--mnchen-3ya.example -all", "v=spf1 include:xn--mnchen-3ya.example -all"),
            ("rua=mailto:a@xn--mnchen-3ya.example", "rua=mailto:a@xn--mnchen-3ya.example"),
            ("see https://xn--mnchen-3ya.example/x", "see https://xn--mnchen-3ya.example/x"),
            ("plain  text\n", "plain  text\n"),
        ] {
            assert_eq!(in_text(text), shown);
        }
        assert_eq!(with_ascii("mx.xn--mnchen-3ya.example:25"), "mx.münchen.example:25 (mx.xn--mnchen-3ya.example)");
        assert_eq!(with_ascii("mx.example:25"), "mx.example:25");
    }
}
