//! Whether a mail server that says no to one of our own messages will say no for ever.

/// True when a 5xx reply speaks about the recipient or the message. One that speaks about us (a password that was changed, relaying that is
/// not allowed, a server that does not want to talk) is the operator's to mend, and the message waits for it: an alert must not be lost
/// to that. `code` is the reply code, `text` what follows it; the enhanced status codes are those of RFC 3463.
pub(crate) fn is_final(code: u16, text: &str) -> bool {
    match enhanced(text) {
        // 5.1 address, 5.2 mailbox, 5.6 content; 5.3.4 the message is too big.
        Some((1 | 2 | 6, _) | (3, 4)) => true,
        Some(_) => false,
        None => matches!(code, 550..=553 | 556),
    }
}

/// Subject and detail of the first `5.subject.detail`.
fn enhanced(text: &str) -> Option<(u16, u16)> {
    text.split(|char: char| !char.is_ascii_digit() && char != '.').find_map(|word| {
        let mut parts = word.split('.');
        let (class, subject, detail) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (class == "5" && parts.next().is_none()).then_some((subject, detail))
    })
}

#[cfg(test)]
mod tests {
    use super::is_final;

    #[test]
    fn only_what_speaks_of_recipient_or_message_is_final() {
        for (code, text, wanted) in [
            (550, "5.1.1 No such mailbox", true),
            (550, "no such user here", true),
            (552, "5.2.2 Mailbox full", true),
            (552, "5.3.4 Message too big", true),
            (554, "5.6.0 Malformed message", true),
            (550, "5.7.1 Relaying denied", false),
            (554, "No mail from you", false),
            (554, "5.7.1 Blocked, see https://192.0.2.5.6/", false),
            (535, "5.7.8 Authentication credentials invalid", false),
            (530, "Authentication required", false),
            (503, "5.5.1 Bad sequence of commands", false),
        ] {
            assert_eq!(is_final(code, text), wanted, "{code} {text}");
        }
    }
}
