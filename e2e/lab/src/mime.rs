//! Reads what arrived: header fields, and the text of a message out of its encodings (RFC 2045, 2047). As much as tests need to read our own mail.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const MAX_DEPTH: u8 = 5;

/// A message taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The subject, decoded.
    pub subject: String,
    /// Header fields in order, unfolded.
    pub headers: Vec<(String, String)>,
    /// The first text/plain part.
    pub text: String,
    /// The first text/html part.
    pub html: String,
}

/// Takes a message apart. What it can not read stays as it is.
pub fn parse(raw: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    let (headers, _) = split(raw);
    parsed.subject = words(field(&headers, "subject"));
    walk(raw, &mut parsed, 0);
    parsed.headers = headers;
    parsed
}

fn split(raw: &[u8]) -> (Vec<(String, String)>, Vec<u8>) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut at = 0;
    for line in raw.split_inclusive(|&byte| byte == b'\n') {
        at += line.len();
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            break;
        }
        match (text.starts_with([' ', '\t']), headers.last_mut(), text.split_once(':')) {
            (true, Some((_, value)), _) => {
                value.push(' ');
                value.push_str(text.trim());
            }
            (false, _, Some((name, value))) => headers.push((name.to_owned(), value.trim().to_owned())),
            _ => {}
        }
    }
    (headers, raw[at..].to_vec())
}

fn field<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

fn walk(raw: &[u8], parsed: &mut Parsed, depth: u8) {
    let (headers, body) = split(raw);
    let kind = field(&headers, "content-type").to_owned();
    let lower = kind.to_ascii_lowercase();
    if lower.starts_with("multipart/") && depth < MAX_DEPTH {
        let Some(boundary) = parameter(&kind, "boundary") else { return };
        let text = String::from_utf8_lossy(&body).into_owned();
        for part in format!("\r\n{text}").split(&format!("\n--{boundary}")).skip(1).take_while(|part| !part.starts_with("--")) {
            let part = part.split_once('\n').map_or("", |(_, rest)| rest);
            walk(part.as_bytes(), parsed, depth + 1);
        }
        return;
    }
    let decoded = match field(&headers, "content-transfer-encoding").to_ascii_lowercase().as_str() {
        "quoted-printable" => quoted_printable(&body, false),
        "base64" => STANDARD.decode(body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>()).unwrap_or(body),
        _ => body,
    };
    let text = String::from_utf8_lossy(&decoded).replace("\r\n", "\n");
    if lower.starts_with("text/html") {
        keep(&mut parsed.html, text);
    } else if lower.is_empty() || lower.starts_with("text/plain") {
        keep(&mut parsed.text, text);
    }
}

fn keep(place: &mut String, text: String) {
    if place.is_empty() {
        *place = text;
    }
}

fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn quoted_printable(body: &[u8], in_word: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        let rest = &body[at + 1..];
        match byte {
            b'=' if rest.starts_with(b"\r\n") => at += 3,
            b'=' if rest.starts_with(b"\n") => at += 2,
            b'=' => {
                let value = hex(rest);
                out.push(value.unwrap_or(byte));
                at += if value.is_some() { 3 } else { 1 };
            }
            _ => {
                out.push(if in_word && byte == b'_' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    out
}

fn hex(rest: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(rest.get(..2)?).ok()?, 16).ok()
}

/// Decodes the encoded words of a header field.
fn words(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some(start) = rest.find("=?") {
        let pieces: Vec<&str> = rest[start + 2..].splitn(4, '?').collect();
        let [_, encoding, text, tail] = pieces[..] else { break };
        let Some(tail) = tail.strip_prefix('=') else { break };
        let decoded =
            if encoding.eq_ignore_ascii_case("b") { STANDARD.decode(text).unwrap_or_default() } else { quoted_printable(text.as_bytes(), true) };
        // White space between two encoded words is no part of the text (RFC 2047 section 6.2).
        if out.is_empty() || !rest[..start].trim().is_empty() {
            out.push_str(&rest[..start]);
        }
        out.push_str(&String::from_utf8_lossy(&decoded));
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternative_parts_come_out_of_their_encodings() {
        let raw = b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_an?= =?utf-8?b?IGFsbGU=?=\r\nContent-Type: multipart/alternative;\r\n boundary=\"b1\"\r\n\r\n\
            --b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nh=C3=A9 =\r\nho\r\n\
            --b1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+aGk8L2I+\r\n--b1--\r\n";
        let parsed = parse(raw);
        assert_eq!(parsed.subject, "Gr\u{fc}\u{df}e an alle");
        assert_eq!(parsed.text.trim_end(), "h\u{e9} ho");
        assert_eq!(parsed.html, "<b>hi</b>");
    }

    #[test]
    fn a_plain_message_stays_as_it_is() {
        let parsed = parse(b"Subject: a=b\r\nX: 1\r\n 2\r\n\r\nbody =3D\r\n");
        assert_eq!((parsed.subject.as_str(), parsed.text.as_str()), ("a=b", "body =3D\n"));
        assert_eq!(parsed.headers[1], ("X".to_owned(), "1 2".to_owned()));
    }
}
