//! Lines of a POP3 server (RFC 1939 3), and the list of what it can (RFC 2449).

/// How an answer begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// `+OK text`.
    Ok(&'a str),
    /// `-ERR text`, and whether it will pass (RFC 3206, RFC 2449 8.1).
    Refused { text: &'a str, for_now: bool },
    /// Not POP3.
    Other,
}

/// Reads the first line of an answer.
pub(super) fn read(line: &str) -> Answer<'_> {
    let (word, text) = line.split_once(' ').unwrap_or((line, ""));
    match word.to_ascii_uppercase().as_str() {
        "+OK" => Answer::Ok(text),
        "-ERR" => {
            let code = text.to_ascii_uppercase();
            Answer::Refused { text, for_now: ["[SYS/TEMP]", "[IN-USE]", "[LOGIN-DELAY]"].iter().any(|known| code.starts_with(known)) }
        }
        _ => Answer::Other,
    }
}

/// Whether logging in shows a password to whoever listens: USER, or a mechanism that hands it over (RFC 2449 6.3, RFC 5034).
pub(super) fn takes_plain_login(capabilities: &[String]) -> bool {
    capabilities.iter().any(|line| {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some(word) if word.eq_ignore_ascii_case("USER") => true,
            Some(word) if word.eq_ignore_ascii_case("SASL") => {
                words.any(|word| ["PLAIN", "LOGIN"].iter().any(|bare| word.eq_ignore_ascii_case(bare)))
            }
            _ => false,
        }
    })
}

/// The list has this word.
pub(super) fn has(capabilities: &[String], wanted: &str) -> bool {
    capabilities.iter().any(|line| line.split_ascii_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let refused = |text, for_now| Answer::Refused { text, for_now };
        for (line, read_as) in [
            ("+OK ready", Answer::Ok("ready")),
            ("+OK", Answer::Ok("")),
            ("-ERR no", refused("no", false)),
            ("-ERR [SYS/TEMP] busy", refused("[SYS/TEMP] busy", true)),
            ("-ERR [SYS/PERM] broken", refused("[SYS/PERM] broken", false)),
            ("* OK ready", Answer::Other),
            ("", Answer::Other),
        ] {
            assert_eq!(read(line), read_as, "{line}");
        }
    }

    #[test]
    fn what_shows_a_password_is_told() {
        for (list, plain) in
            [(&["USER", "TOP"][..], true), (&["SASL PLAIN", "STLS"], true), (&["SASL SCRAM-SHA-1", "STLS"], false), (&["UIDL"], false)]
        {
            let list: Vec<String> = list.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(takes_plain_login(&list), plain, "{list:?}");
        }
        assert!(has(&["stls".to_owned()], "STLS") && !has(&["SASL STLS".to_owned()], "STLS"));
    }
}
