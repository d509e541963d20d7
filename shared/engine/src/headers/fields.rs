//! A pasted message taken apart: line ends made CRLF, the mbox line dropped, header fields with their raw bytes.

/// No more header fields than this are looked at.
pub(super) const MAX_FIELDS: usize = 2_000;
/// Octets of a field whose addresses or encoded words are read.
const MAX_PARSED: usize = 16 * 1024;
/// Text of a field that is shown is cut here.
const MAX_SHOWN: usize = 8_000;

/// One header field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    /// The name as written.
    pub(super) name: &'a [u8],
    /// All after the colon, folded as it stands, with its line end.
    pub(super) value: &'a [u8],
}

impl Field<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value for parsers that go back where they failed, and so may read a long field over and over: cut at the end of an address or a word.
    pub(super) fn start(&self) -> &[u8] {
        let Some(start) = self.value.get(..MAX_PARSED) else { return self.value };
        let end = start.iter().rposition(|byte| matches!(byte, b',' | b' ' | b'\n')).unwrap_or(0);
        start.get(..end).unwrap_or_default()
    }

    /// The value unfolded: line ends gone, runs of blanks before folded lines one blank.
    pub(super) fn text(&self) -> String {
        unfold(self.value)
    }
}

/// A message taken apart.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// Header fields from the top.
    pub(super) fields: Vec<Field<'a>>,
    /// Lines that are no header field.
    pub(super) odd_lines: usize,
    /// The header has more than [`MAX_FIELDS`].
    pub(super) cut: bool,
    /// The body; empty when only the header is there.
    pub(super) body: &'a [u8],
}

impl<'a> Parts<'a> {
    /// All fields of a name, from the top.
    pub(super) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Field<'a>> {
        self.fields.iter().filter(move |field| field.is(name))
    }

    /// The topmost field of a name, unfolded.
    pub(super) fn first(&self, name: &str) -> Option<String> {
        self.all(name).next().map(Field::text)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }
}

/// The message as it went over the wire, as far as can be told: no byte order mark, blank lines or mbox line before it, lines that end in CRLF.
pub(super) fn normalised(raw: &[u8]) -> Vec<u8> {
    // Files of old programs end their lines in CR alone.
    let bare: Vec<u8>;
    let mut raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    if !raw.contains(&b'\n') && raw.contains(&b'\r') {
        bare = raw.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect();
        raw = &bare;
    }
    let start = raw.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(raw.len());
    raw = raw.get(start..).unwrap_or_default();
    let mbox = raw.starts_with(b"From ");
    if mbox {
        let end = raw.iter().position(|byte| *byte == b'\n').map_or(raw.len(), |at| at + 1);
        raw = raw.get(end..).unwrap_or_default();
    }
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 32);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        // An mbox file writes “>From ” where the message has “From ”.
        let line = if mbox && line.starts_with(b">") && line.iter().skip_while(|b| **b == b'>').copied().take(5).eq(*b"From ") {
            line.get(1..).unwrap_or_default()
        } else {
            line
        };
        match line.strip_suffix(b"\n") {
            Some(text) => {
                out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// Takes a normalised message apart.
pub(super) fn split(message: &[u8]) -> Parts<'_> {
    let mut parts = Parts { fields: Vec::new(), odd_lines: 0, cut: false, body: &[] };
    let mut at = 0;
    // Start and colon of the field being read.
    let mut open: Option<(usize, usize)> = None;
    let close = |parts: &mut Parts<'_>, open: Option<(usize, usize)>, end: usize| {
        let (start, colon) = open?;
        let (name, value) = (message.get(start..colon)?, message.get(colon + 1..end)?);
        if parts.fields.len() >= MAX_FIELDS {
            parts.cut = true;
            return None;
        }
        Some(Field { name: name.trim_ascii_end(), value })
    };
    loop {
        let rest = message.get(at..).unwrap_or_default();
        if rest.is_empty() {
            let field = close(&mut parts, open, at);
            parts.fields.extend(field);
            return parts;
        }
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let line = rest.get(..end).unwrap_or_default();
        if line.trim_ascii().is_empty() && !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let field = close(&mut parts, open, at);
            parts.fields.extend(field);
            parts.body = rest.get(end..).unwrap_or_default();
            return parts;
        }
        if !(line.starts_with(b" ") || line.starts_with(b"\t")) {
            let field = close(&mut parts, open.take(), at);
            parts.fields.extend(field);
            match line.iter().position(|byte| *byte == b':') {
                Some(colon) if colon > 0 && line.get(..colon).is_some_and(is_name) => open = Some((at, at + colon)),
                _ => parts.odd_lines += 1,
            }
        } else if open.is_none() {
            parts.odd_lines += 1;
        }
        at += end;
    }
}

/// RFC 5322 3.6.8, with blanks before the colon as old mail has them.
fn is_name(name: &[u8]) -> bool {
    let name = name.trim_ascii_end();
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

/// Text of a folded value on one line, cut where it is longer than anybody reads.
pub(super) fn unfold(value: &[u8]) -> String {
    let mut text = String::new();
    for line in value.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line.trim_ascii());
        if !line.is_empty() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&line);
        }
        if text.len() > MAX_SHOWN {
            let mut end = MAX_SHOWN;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_apart_whatever_their_line_ends() {
        for (raw, names, body) in [
            ("A: 1\r\nB : 2\r\n folded\r\n\r\nbody\r\n", vec!["A", "B"], "body\r\n"),
            ("A: 1\nB: 2\n\tfolded\n\nbody\n", vec!["A", "B"], "body\r\n"),
            ("From x@y Thu Jan  1\nA: 1\n\n>From here\n>>From there\n", vec!["A"], "From here\r\n>From there\r\n"),
            ("\u{feff}\r\n\nA: 1", vec!["A"], ""),
            ("", vec![], ""),
            ("no header here\n\nbody", vec![], "body"),
            (" folded first\nA: 1\n", vec!["A"], ""),
        ] {
            let message = normalised(raw.as_bytes());
            let parts = split(&message);
            let found: Vec<_> = parts.fields.iter().map(|field| String::from_utf8_lossy(field.name).into_owned()).collect();
            assert_eq!((found, String::from_utf8_lossy(parts.body).as_ref()), (names.iter().map(|n| (*n).to_owned()).collect(), body), "{raw:?}");
        }
        let message = normalised(b"A: 1\n  2\r\n\t3\n");
        assert_eq!(split(&message).first("a").as_deref(), Some("1 2 3"));
    }

    #[test]
    fn what_is_no_field_is_counted() {
        let message = normalised(b" x\nnonsense\nA b: 1\nC: 2\n");
        let parts = split(&message);
        assert_eq!((parts.fields.len(), parts.odd_lines), (1, 3));
    }
}
