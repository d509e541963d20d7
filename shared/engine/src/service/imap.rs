//! Lines of an IMAP server (RFC 9051 7): whose they are, and what they list.

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// `* OK text`, `* CAPABILITY …`: the first word and the rest.
    Untagged(&'a str, &'a str),
    /// The end of the answer to a command: whether it went well, and the text.
    Ended(Ended, &'a str),
    /// Anything else.
    Other,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Ok,
    No,
    Bad,
}

/// Reads a line that answers the command with this tag.
pub(super) fn read<'a>(line: &'a str, tag: &str) -> Line<'a> {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (word, text) = rest.split_once(' ').unwrap_or((rest, ""));
    if first == "*" && !word.is_empty() {
        return Line::Untagged(word, text);
    }
    if first != tag {
        return Line::Other;
    }
    match word.to_ascii_uppercase().as_str() {
        "OK" => Line::Ended(Ended::Ok, text),
        "NO" => Line::Ended(Ended::No, text),
        "BAD" => Line::Ended(Ended::Bad, text),
        _ => Line::Other,
    }
}

/// Whether logging in shows a password to whoever listens: LOGIN is a command of everybody unless it is switched off (RFC 9051 6.2.3).
pub(super) fn takes_plain_login(capabilities: &[String]) -> bool {
    !has(capabilities, "LOGINDISABLED") || has(capabilities, "AUTH=PLAIN") || has(capabilities, "AUTH=LOGIN")
}

/// Whether there is any way to log in.
pub(super) fn takes_login(capabilities: &[String]) -> bool {
    !has(capabilities, "LOGINDISABLED") || capabilities.iter().any(|word| word.to_ascii_uppercase().starts_with("AUTH="))
}

/// The list has this word.
pub(super) fn has(capabilities: &[String], wanted: &str) -> bool {
    capabilities.iter().any(|word| word.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        for (line, read_as) in [
            ("* OK [CAPABILITY IMAP4rev1] ready", Line::Untagged("OK", "[CAPABILITY IMAP4rev1] ready")),
            ("* BYE", Line::Untagged("BYE", "")),
            ("a1 OK done", Line::Ended(Ended::Ok, "done")),
            ("a1 no", Line::Ended(Ended::No, "")),
            ("a1 BAD what", Line::Ended(Ended::Bad, "what")),
            ("a2 OK done", Line::Other),
            ("a1", Line::Other),
            ("a1 WELL", Line::Other),
            ("*", Line::Other),
            ("220 mail.example ESMTP", Line::Other),
            ("", Line::Other),
        ] {
            assert_eq!(read(line, "a1"), read_as, "{line}");
        }
    }

    #[test]
    fn what_shows_a_password_is_told() {
        for (list, plain, any) in [
            ("IMAP4rev1", true, true),
            ("IMAP4rev1 AUTH=PLAIN LOGINDISABLED", true, true),
            ("IMAP4rev1 STARTTLS LOGINDISABLED", false, false),
            ("IMAP4rev1 logindisabled AUTH=SCRAM-SHA-256", false, true),
        ] {
            let list: Vec<String> = list.split(' ').map(str::to_owned).collect();
            assert_eq!((takes_plain_login(&list), takes_login(&list)), (plain, any), "{list:?}");
        }
    }
}
