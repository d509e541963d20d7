//! The little of the DNS wire format the lab needs: one question, the answer's code and records (RFC 1035 section 4).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Type A.
pub const A: u16 = 1;
/// Type SOA.
pub const SOA: u16 = 6;
/// The reply code SERVFAIL.
pub const SERVFAIL: u8 = 2;
/// The reply code REFUSED.
pub const REFUSED: u8 = 5;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The reply code.
    pub rcode: u8,
    /// Type and data of each record of the answer section.
    pub records: Vec<(u16, Vec<u8>)>,
}

impl Answer {
    /// The serial number of the first SOA record.
    pub fn serial(&self) -> Option<u32> {
        let (_, data) = self.records.iter().find(|(kind, _)| *kind == SOA)?;
        let at = data.len().checked_sub(20)?;
        Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
    }
}

fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut message = Vec::with_capacity(300);
    message.extend_from_slice(&id.to_be_bytes());
    // RD, and CD: the lab asks what is there, not whether it is signed well.
    message.extend_from_slice(&[1, 0x10, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let bytes = &label.as_bytes()[..label.len().min(63)];
        message.push(u8::try_from(bytes.len()).unwrap_or(63));
        message.extend_from_slice(bytes);
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// Asks one server once over UDP.
pub async fn ask(server: SocketAddr, name: &str, kind: u16, limit: Duration) -> io::Result<Answer> {
    // A number is enough: every question has a socket of its own.
    let reply = pass_on(server, &question(1, name, kind), limit).await?;
    parse(&reply).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Sends a message to a server over UDP and returns what comes back.
pub async fn pass_on(server: SocketAddr, message: &[u8], limit: Duration) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).await?;
    socket.connect(server).await?;
    socket.send(message).await?;
    let mut buffer = vec![0; 4096];
    let length = timeout(limit, socket.recv(&mut buffer)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    buffer.truncate(length);
    Ok(buffer)
}

fn parse(message: &[u8]) -> Option<Answer> {
    let count = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let rcode = message.get(..12)?[3] & 15;
    let mut at = 12;
    for _ in 0..count(4)? {
        at = skip_name(message, at)? + 4;
    }
    let mut records = Vec::new();
    for _ in 0..count(6)? {
        at = skip_name(message, at)?;
        let (kind, length) = (count(at)?, usize::from(count(at + 8)?));
        records.push((kind, message.get(at + 10..at + 10 + length)?.to_vec()));
        at += 10 + length;
    }
    Some(Answer { rcode, records })
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer >= 0xc0 => return Some(at + 2),
            length => at += usize::from(length) + 1,
        }
    }
}

/// Makes the serial numbers of SOA records in an answer one less: what a secondary server says that missed the last change.
pub fn make_stale(reply: &mut [u8]) -> Option<()> {
    let count = |message: &[u8], at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let mut at = 12;
    for _ in 0..count(reply, 4)? {
        at = skip_name(reply, at)? + 4;
    }
    for _ in 0..count(reply, 6)? {
        at = skip_name(reply, at)?;
        let (kind, end) = (count(reply, at)?, at + 10 + usize::from(count(reply, at + 8)?));
        if kind == SOA {
            let serial: &mut [u8] = reply.get_mut(end.checked_sub(20)?..end - 16)?;
            let older = u32::from_be_bytes(serial.try_into().ok()?).wrapping_sub(1);
            serial.copy_from_slice(&older.to_be_bytes());
        }
        at = end;
    }
    Some(())
}

/// The reply to a query with nothing but a code: header and question of the query, no records.
pub fn refusal(query: &[u8], rcode: u8) -> Option<Vec<u8>> {
    let end = skip_name(query, 12)? + 4;
    let mut reply = query.get(..end)?.to_vec();
    reply[2] |= 0x80;
    reply[3] = 0x80 | (rcode & 15);
    reply[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_question() {
        let query = question(7, "a.lab.test", SOA);
        let reply = refusal(&query, SERVFAIL).unwrap();
        assert_eq!(parse(&reply).unwrap(), Answer { rcode: SERVFAIL, records: vec![] });
        assert_eq!(reply[12..], query[12..]);
    }

    #[test]
    fn the_serial_is_read_behind_compressed_names() {
        let mut message = question(1, "lab.test", SOA);
        message[7] = 1;
        message.extend_from_slice(&[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 1, 0, 24, 0xc0, 12, 0xc0, 12]);
        for number in [42u32, 1, 1, 1, 1] {
            message.extend_from_slice(&number.to_be_bytes());
        }
        assert_eq!(parse(&message).unwrap().serial(), Some(42));
        assert!(make_stale(&mut message).is_some());
        assert_eq!(parse(&message).unwrap().serial(), Some(41));
    }

    #[test]
    fn a_cut_message_is_no_answer() {
        assert_eq!(parse(&[0; 11]), None);
        assert_eq!(refusal(&[0; 12], SERVFAIL), None);
    }
}
