//! Codes of replies: which success belongs to which command (RFC 5321 4.3.2 and those of the extensions), and where a server says another.

use waypost_types::outcome::{Speaker, TranscriptLine};

use crate::audit::rules::{Remark, remark};

/// The rule about it.
pub(super) const RULE: &str = "smtp.reply_code";

/// A command, the codes that say that it succeeded, and where that is said.
struct Expected {
    command: &'static str,
    codes: &'static [u16],
    section: &'static str,
}

const fn expected(command: &'static str, codes: &'static [u16], section: &'static str) -> Expected {
    Expected { command, codes, section }
}

/// All commands of the probe.
const COMMANDS: [Expected; 9] = [
    expected("EHLO", &[250], "RFC 5321 4.3.2"),
    expected("HELO", &[250], "RFC 5321 4.3.2"),
    expected("MAIL", &[250], "RFC 5321 4.3.2"),
    // 252 is VRFY's by the letter; servers that do not know their recipients say it here as well.
    expected("RCPT", &[250, 251, 252], "RFC 5321 4.3.2"),
    expected("RSET", &[250], "RFC 5321 4.3.2"),
    expected("NOOP", &[250], "RFC 5321 4.3.2"),
    expected("QUIT", &[221], "RFC 5321 4.3.2"),
    expected("STARTTLS", &[220], "RFC 3207 4"),
    expected("AUTH", &[235], "RFC 4954 4"),
];

/// What is to remark about the codes of conversations: each by itself, since a command that was not answered is no question to the next greeting.
pub(super) fn judge(host: &str, transcripts: &[&[TranscriptLine]]) -> Option<Remark> {
    let mut odd = Vec::new();
    for transcript in transcripts {
        look(transcript, &mut odd);
    }
    if odd.is_empty() {
        return None;
    }
    let said: Vec<String> = odd.into_iter().map(|(command, code)| told(command, code)).collect();
    Some(remark(RULE, host, format!("{host} answers {}", said.join("; and "))))
}

/// The command, the code that came, and the one that belongs there.
fn told(Expected { command, codes, section }: &Expected, code: u16) -> String {
    format!("{command} with {code}, where {} belongs ({section})", codes.first().copied().unwrap_or_default())
}

/// Commands that were answered with a success of another kind, each code once.
fn look(transcript: &[TranscriptLine], odd: &mut Vec<(&'static Expected, u16)>) {
    let mut asked: Option<&Expected> = None;
    for line in transcript {
        if line.from == Speaker::Client {
            let verb = line.line.split([' ', ':']).next().unwrap_or_default();
            // What follows a 334 is no command: the reply after it is still that to AUTH.
            asked = COMMANDS.iter().find(|known| known.command.eq_ignore_ascii_case(verb)).or(asked);
            continue;
        }
        let Some(code) = line.line.get(..3).and_then(|code| code.parse::<u16>().ok()) else { continue };
        if code == 334 || line.line.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        // The greeting answers nothing.
        let Some(known) = asked.take() else { continue };
        let seen = odd.iter().any(|(other, before)| other.command == known.command && *before == code);
        if (200..300).contains(&code) && !known.codes.contains(&code) && !seen {
            odd.push((known, code));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::rules::rule;

    #[test]
    fn a_success_of_another_kind_is_told_with_the_code_that_belongs_there() {
        let greeting = "S 220 mx.example ESMTP";
        for (conversation, summary) in [
            (vec!["C EHLO a", "S 250-mx.example", "S 250 HELP", "C STARTTLS", "S 220 go", "C EHLO a", "S 250 HELP", "C QUIT", "S 221 bye"], ""),
            (
                vec!["C EHLO a", "S 250 STARTTLS", "C STARTTLS", "S 220 go", "C EHLO a", "S 220 mx.example ESMTP", "C QUIT", "S 221 bye"],
                "mx.example answers EHLO with 220, where 250 belongs (RFC 5321 4.3.2)",
            ),
            // A greeting too many: each reply is one late.
            (
                vec!["C EHLO a", "S 220 again", "C QUIT", "S 250-mx.example", "S 250 HELP"],
                "mx.example answers EHLO with 220, where 250 belongs (RFC 5321 4.3.2); and QUIT with 250, where 221 belongs (RFC 5321 4.3.2)",
            ),
            (vec!["C EHLO a", "S 200 x", "C EHLO a", "S 200 x"], "mx.example answers EHLO with 200, where 250 belongs (RFC 5321 4.3.2)"),
            (vec!["C EHLO a", "S 500 what", "C HELO a", "S 250 mx.example"], ""),
            (vec!["C EHLO a", "S 500 what", "C HELO a", "S 220 mx"], "mx.example answers HELO with 220, where 250 belongs (RFC 5321 4.3.2)"),
            (vec!["C STARTTLS", "S 250 ok"], "mx.example answers STARTTLS with 250, where 220 belongs (RFC 3207 4)"),
            (vec!["C STARTTLS", "S 454 later"], ""),
            (vec!["C AUTH PLAIN ****", "S 235 in"], ""),
            (vec!["C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C ****", "S 334 UGFzc3dvcmQ6", "C ****", "S 235 in"], ""),
            (vec!["C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C ****", "S 250 in"], "mx.example answers AUTH with 250, where 235 belongs (RFC 4954 4)"),
            (
                vec![
                    "C MAIL FROM:<>",
                    "S 250 ok",
                    "C RCPT TO:<abuse@b.example>",
                    "S 251 on",
                    "C RCPT TO:<b@b.example>",
                    "S 252 so",
                    "C RSET",
                    "S 250 ok",
                ],
                "",
            ),
            (vec!["C MAIL FROM:<>", "S 220 ok"], "mx.example answers MAIL with 220, where 250 belongs (RFC 5321 4.3.2)"),
            (vec!["C RCPT TO:<b@b.example>", "S 235 ok"], "mx.example answers RCPT with 235, where 250 belongs (RFC 5321 4.3.2)"),
            (
                vec!["C RSET", "S 221 ok", "C NOOP", "S 200 ok"],
                "mx.example answers RSET with 221, where 250 belongs (RFC 5321 4.3.2); and NOOP with 200, where 250 belongs (RFC 5321 4.3.2)",
            ),
            (vec!["C QUIT", "S 250 bye"], "mx.example answers QUIT with 250, where 221 belongs (RFC 5321 4.3.2)"),
            (vec!["C EHLO a", "S SSH-2.0-x"], ""),
            (vec![], ""),
        ] {
            let lines = [vec![greeting], conversation.clone()].concat();
            let transcript: Vec<TranscriptLine> = lines
                .into_iter()
                .map(|line| TranscriptLine {
                    at_ms: 0,
                    from: if line.starts_with('C') { Speaker::Client } else { Speaker::Server },
                    line: line[2..].to_owned(),
                })
                .collect();
            let found = judge("mx.example", &[&transcript]).map(Remark::done);
            assert_eq!(found.as_ref().map_or("", |found| found.summary.as_str()), summary, "{conversation:?}");
        }
        // The greeting of the next conversation does not answer the QUIT of this one.
        let quit = [TranscriptLine { at_ms: 0, from: Speaker::Client, line: "QUIT".to_owned() }];
        let greeted = [TranscriptLine { at_ms: 0, from: Speaker::Server, line: "220 mx.example".to_owned() }];
        assert!(judge("mx.example", &[&quit, &greeted]).is_none());
        let rule = rule(RULE).unwrap();
        assert!(rule.severity == waypost_types::Severity::Low && rule.reference.contains("RFC 5321 4.3.2") && !rule.fix.contains('{'));
    }
}
