//! SMTP replies (RFC 5321 4.2): lines in, one reply out. Pure: reads no socket.

use crate::text::shown;

/// A whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Three digits, 200 to 559.
    pub code: u16,
    /// Text of each line, without code and separator.
    pub lines: Vec<String>,
}

impl Reply {
    /// The text on one line, cut for a sentence.
    pub fn text(&self) -> String {
        let text = self.lines.join(" ");
        let cut: String = text.chars().take(200).collect();
        format!("{} {}", self.code, cut.trim()).trim_end().to_owned()
    }

    /// 2 to 5.
    pub fn class(&self) -> u16 {
        self.code / 100
    }
}

/// Why lines are no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReplyError {
    /// No three digits in front.
    #[error("the server does not speak SMTP here; it said “{0}”")]
    NotSmtp(String),
    /// RFC 5321 4.2.1: every line of a reply carries the same code.
    #[error("the lines of one reply carry different codes ({first} and {then})")]
    MixedCodes {
        /// Code of the first line.
        first: u16,
        /// The other.
        then: u16,
    },
    /// Longer than any real reply.
    #[error("the reply has more than {0} lines")]
    TooManyLines(usize),
}

/// Collects the lines of one reply.
#[derive(Debug, Default)]
pub(crate) struct ReplyParser {
    code: Option<u16>,
    lines: Vec<String>,
}

impl ReplyParser {
    /// Takes a line without its end; the reply when this was the last.
    pub fn feed(&mut self, line: &[u8], most: usize) -> Result<Option<Reply>, ReplyError> {
        let not_smtp = || ReplyError::NotSmtp(shown(line, 80));
        let code = code_of(line).ok_or_else(not_smtp)?;
        let last = match line.get(3) {
            None | Some(b' ') => true,
            Some(b'-') => false,
            Some(_) => return Err(not_smtp()),
        };
        if let Some(first) = self.code.filter(|first| *first != code) {
            return Err(ReplyError::MixedCodes { first, then: code });
        }
        if self.lines.len() >= most {
            return Err(ReplyError::TooManyLines(most));
        }
        self.code = Some(code);
        self.lines.push(shown(line.get(4..).unwrap_or_default(), LINE_SHOWN));
        Ok(last.then(|| Reply { code, lines: std::mem::take(&mut self.lines) }))
    }
}

fn code_of(line: &[u8]) -> Option<u16> {
    let [a @ b'2'..=b'5', b @ b'0'..=b'5', c @ b'0'..=b'9', ..] = line else { return None };
    let digit = |d: &u8| u16::from(d - b'0');
    Some(digit(a) * 100 + digit(b) * 10 + digit(c))
}

/// Characters of a line that a transcript keeps.
pub(crate) const LINE_SHOWN: usize = 1000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(lines: &[&str]) -> Result<Option<Reply>, ReplyError> {
        let mut parser = ReplyParser::default();
        let mut last = None;
        for line in lines {
            last = parser.feed(line.as_bytes(), 5)?;
        }
        Ok(last)
    }

    #[test]
    fn replies_are_read() {
        for (lines, code, texts) in [
            (&["220 mx.example ESMTP"][..], 220, &["mx.example ESMTP"][..]),
            (&["250"], 250, &[""]),
            (&["250 "], 250, &[""]),
            (&["250-mx.example", "250-SIZE 1000", "250 STARTTLS"], 250, &["mx.example", "SIZE 1000", "STARTTLS"]),
            (&["421 4.3.2 busy"], 421, &["4.3.2 busy"]),
            (&["250-", "250 x\u{7}"], 250, &["", "x\\u{7}"]),
        ] {
            let reply = parse(lines).unwrap().unwrap();
            assert_eq!((reply.code, reply.lines.iter().map(String::as_str).collect::<Vec<_>>().as_slice()), (code, texts), "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for lines in [&["SSH-2.0-OpenSSH_9"][..], &[""], &["25"], &["199 x"], &["650 x"], &["290 x"], &["250x"], &["2５0 x"], &["250-a", "nonsense"]]
        {
            assert!(matches!(parse(lines), Err(ReplyError::NotSmtp(_))), "{lines:?}");
        }
        assert_eq!(parse(&["250-a", "220 b"]), Err(ReplyError::MixedCodes { first: 250, then: 220 }));
        assert_eq!(parse(&["250-a"; 6]), Err(ReplyError::TooManyLines(5)));
        assert_eq!(parse(&["250-a"]), Ok(None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8)) {
            let mut parser = ReplyParser::default();
            for line in lines {
                if parser.feed(&line, 4).is_err() { break; }
            }
        }
    }
}
