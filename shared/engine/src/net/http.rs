//! HTTP/1.1 answers off the wire: status, the headers we need, and a body by its length, by chunks or to the end (RFC 9112 6).

use super::HttpFailure;

/// Bytes of status line and headers.
const MOST_HEAD: usize = 16 * 1024;
/// Bytes of the line before a chunk.
const MOST_CHUNK_LINE: usize = 1024;
/// Interim answers (1xx) that are read past.
const MOST_INTERIM: usize = 10;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    /// Lower case, without parameters.
    pub content_type: String,
    /// `Location`.
    pub location: Option<String>,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
}

/// Whether an answer is whole.
#[derive(Debug)]
pub(super) enum Progress {
    Done(Answer),
    More,
}

#[derive(Debug, Clone)]
enum Body {
    Length(usize),
    Chunks,
    ToTheEnd,
}

#[derive(Debug)]
struct Head {
    answer: Answer,
    body: Body,
}

/// Reads an answer as it comes and stops as soon as it is whole.
#[derive(Debug)]
pub(super) struct Reader {
    max_bytes: usize,
    head: Option<Head>,
    /// Interim answers before it.
    interim: usize,
    buffer: Vec<u8>,
    chunks: Chunks,
}

impl Reader {
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, head: None, interim: 0, buffer: Vec::new(), chunks: Chunks::default() }
    }

    /// Takes in more bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, HttpFailure> {
        // An end of headers may lie across two reads.
        let mut seen = self.buffer.len().saturating_sub(3);
        self.buffer.extend_from_slice(bytes);
        while self.head.is_none() {
            let Some(split) = self.buffer[seen..].windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + seen) else {
                if self.buffer.len() > MOST_HEAD {
                    return Err(HttpFailure::Protocol("the headers do not end"));
                }
                return Ok(Progress::More);
            };
            let head = head(&self.buffer[..split])?;
            self.buffer.drain(..split + 4);
            seen = 0;
            match head.answer.status {
                // Nobody asked it to.
                101 => return Err(HttpFailure::Protocol("it switches to another protocol")),
                // RFC 9110 15.2: any number of these, without a body, come before the answer.
                100..=199 if self.interim == MOST_INTERIM => return Err(HttpFailure::Protocol("only interim answers come")),
                100..=199 => self.interim += 1,
                _ => self.head = Some(head),
            }
        }
        let Some(head) = &self.head else { return Ok(Progress::More) };
        let whole = match head.body {
            Body::Length(length) if length > self.max_bytes => return Err(HttpFailure::TooLarge(self.max_bytes)),
            Body::Length(length) => self.buffer.len() >= length,
            // Chunks of a few bytes each need room beside what they carry.
            Body::Chunks if self.buffer.len() > self.max_bytes.saturating_mul(2).saturating_add(MOST_HEAD) => {
                return Err(HttpFailure::TooLarge(self.max_bytes));
            }
            Body::Chunks => self.chunks.read(&self.buffer)?,
            Body::ToTheEnd if self.buffer.len() > self.max_bytes => return Err(HttpFailure::TooLarge(self.max_bytes)),
            Body::ToTheEnd => false,
        };
        if whole { self.end().map(Progress::Done) } else { Ok(Progress::More) }
    }

    /// What came so far, where it is enough to know the status: whoever sends something asks for no more.
    pub fn so_far(&self) -> Option<Answer> {
        let Head { answer, body } = self.head.as_ref()?;
        let came = match body {
            Body::Chunks => &self.chunks.body,
            Body::Length(_) | Body::ToTheEnd => &self.buffer,
        };
        let body = came.get(..self.max_bytes).unwrap_or(came).to_vec();
        Some(Answer { body, ..answer.clone() })
    }

    /// The connection ended, or the answer is whole.
    pub fn end(&mut self) -> Result<Answer, HttpFailure> {
        let Head { answer, body } = self.head.as_ref().ok_or(HttpFailure::Protocol("no end of headers"))?;
        let length = match body {
            Body::Length(length) if *length > self.buffer.len() => return Err(HttpFailure::Protocol("the body is shorter than it says")),
            Body::Length(length) => *length,
            Body::Chunks if self.chunks.read(&self.buffer)? => self.chunks.body.len(),
            Body::Chunks => return Err(BROKEN_CHUNK),
            Body::ToTheEnd => self.buffer.len(),
        };
        if length > self.max_bytes {
            return Err(HttpFailure::TooLarge(self.max_bytes));
        }
        let mut bytes = std::mem::take(if matches!(body, Body::Chunks) { &mut self.chunks.body } else { &mut self.buffer });
        bytes.truncate(length);
        Ok(Answer { body: bytes, ..answer.clone() })
    }
}

fn head(bytes: &[u8]) -> Result<Head, HttpFailure> {
    let head = String::from_utf8_lossy(bytes);
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .filter(|line| line.starts_with("HTTP/1."))
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or(HttpFailure::Protocol("no status line"))?;
    let header = |wanted: &str| {
        head.split("\r\n").skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let body = if header("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked")) {
        Body::Chunks
    } else if matches!(status, 204 | 304) {
        Body::Length(0)
    } else {
        header("content-length").and_then(|value| value.parse().ok()).map_or(Body::ToTheEnd, Body::Length)
    };
    let content_type = header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let answer = Answer { status, content_type, location: header("location"), retry_after: header("retry-after"), body: Vec::new() };
    Ok(Head { answer, body })
}

const BROKEN_CHUNK: HttpFailure = HttpFailure::Protocol("a broken chunk");

/// A body taken out of its chunks as they come whole; what was read once is not read again.
#[derive(Debug, Default)]
struct Chunks {
    body: Vec<u8>,
    /// Bytes of the buffer that are read.
    at: usize,
    ended: bool,
}

impl Chunks {
    /// Goes on with all that came so far; true after the last chunk. Trailers are not waited for.
    fn read(&mut self, buffer: &[u8]) -> Result<bool, HttpFailure> {
        while !self.ended {
            let rest = buffer.get(self.at..).unwrap_or_default();
            let Some(end) = rest.windows(2).take(MOST_CHUNK_LINE).position(|w| w == b"\r\n") else {
                return if rest.len() > MOST_CHUNK_LINE { Err(BROKEN_CHUNK) } else { Ok(false) };
            };
            let size = std::str::from_utf8(&rest[..end])
                .ok()
                .and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok())
                .ok_or(BROKEN_CHUNK)?;
            if size > rest.len().saturating_sub(end + 4) && size > 0 {
                return Ok(false);
            }
            self.body.extend_from_slice(&rest[end + 2..end + 2 + size]);
            self.at += end + size + 4;
            self.ended = size == 0;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], step: usize, max: usize) -> Result<Answer, HttpFailure> {
        let mut reader = Reader::new(max);
        for part in bytes.chunks(step) {
            if let Progress::Done(answer) = reader.feed(part)? {
                return Ok(answer);
            }
        }
        reader.end()
    }

    #[test]
    fn bodies_by_length_by_chunks_and_to_the_end() {
        for step in [1, 3, 4096] {
            let body = |head: &str, body: &str| read(format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}").as_bytes(), step, 1000).map(|answer| answer.body);
            assert_eq!(body("Content-Length: 2\r\n", "abc"), Ok(b"ab".to_vec()));
            assert_eq!(body("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n"), Ok(b"abc".to_vec()));
            assert_eq!(body("", "abc"), Ok(b"abc".to_vec()));
            assert!(body("Content-Length: 9\r\n", "abc").is_err());
            assert_eq!(body("Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nX: y\r\n\r\n"), Ok(b"a".to_vec()));
            for broken in ["ffffffffffffffff\r\nab", "2\r\nab\r\n", "x\r\n", "", "1\r\na"] {
                assert_eq!(body("Transfer-Encoding: chunked\r\n", broken), Err(BROKEN_CHUNK), "{broken}");
            }
        }
        assert!(read(b"SSH-2.0-x\r\n", 9, 9).is_err());
    }

    #[test]
    fn interim_answers_are_read_past() {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 9\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        for step in [1, 4, 4096] {
            let read = |times: usize| read(format!("HTTP/1.1 100 Continue\r\n\r\n{}{last}", hints.repeat(times)).as_bytes(), step, 100);
            let answer = read(9).unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok"[..]));
            assert_eq!(read(10), Err(HttpFailure::Protocol("only interim answers come")));
        }
        assert!(read(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 9, 9).is_err());
        assert_eq!(read(hints.as_bytes(), 9, 9), Err(HttpFailure::Protocol("no end of headers")));
    }

    #[test]
    fn what_is_too_large_ends_the_reading() {
        let large = "x".repeat(101);
        for head in ["Content-Length: 101\r\n", ""] {
            let answer = read(format!("HTTP/1.1 200 OK\r\n{head}\r\n{large}").as_bytes(), 50, 100);
            assert_eq!(answer, Err(HttpFailure::TooLarge(100)), "{head}");
        }
        let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n{large}\r\n0\r\n\r\n");
        assert_eq!(read(chunked.as_bytes(), 50, 100), Err(HttpFailure::TooLarge(100)));
        assert_eq!(read(&vec![b'x'; 20_000], 4096, 100), Err(HttpFailure::Protocol("the headers do not end")));
    }

    #[test]
    fn chunks_are_read_once_however_they_come() {
        // Each chunk is a line end, so that each of half a million reads looks like the last one: to begin anew with each would take hours.
        let chunks = "2\r\n\r\n\r\n".repeat(500_000);
        let answer = read(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n").as_bytes(), 7, 2_000_000).unwrap();
        assert_eq!(answer.body.len(), 1_000_000);
        let endless = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(5_000));
        assert_eq!(read(endless.as_bytes(), 9, 1_000_000), Err(BROKEN_CHUNK));
    }

    #[test]
    fn headers_are_read_whatever_their_case() {
        let answer =
            read(b"HTTP/1.1 301 Moved\r\nLOCATION: /Next\r\ncontent-type: Text/Plain; charset=utf-8\r\nContent-Length: 0\r\n\r\n", 7, 10).unwrap();
        assert_eq!((answer.status, answer.location.as_deref(), answer.content_type.as_str()), (301, Some("/Next"), "text/plain"));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), step in 1_usize..50) {
            let _: Result<_, _> = read(&bytes, step, 100);
            let _: Result<_, _> = read(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", bytes.as_slice()].concat(), step, 100);
        }
    }
}
