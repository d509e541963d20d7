//! A question on the wire, and what counts as an answer to it. Whoever can send us a packet may not be whom we asked.

use std::sync::Arc;

use hickory_proto::{
    op::{Header, Message, ResponseCode},
    rr::{Name, RecordType},
    serialize::binary::{BinDecodable, BinDecoder},
};

/// RFC 9715: fits every path.
pub(super) const PAYLOAD: u16 = 1232;
/// Octets of a name (RFC 1035 2.3.4).
const LONGEST_NAME: usize = 255;
const HEADER: usize = 12;
/// Type and class, behind the name.
const FIXED: usize = 4;

/// How a question is put.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryFlags {
    /// Ask to look the answer up (RD); off for authoritative servers.
    pub recursion: bool,
    /// Send signatures (DO).
    pub dnssec_ok: bool,
    /// Do not validate (CD).
    pub checking_disabled: bool,
}

/// Name in lower case, type and class as they go over the wire (RFC 1035 4.1.2): sent, compared with what comes back, and the key of kept answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question(Arc<[u8]>);

impl Question {
    /// From labels as they are: SPF macros make labels that no parser of host names would take. Nothing for what is no name.
    pub fn new(name: &str, kind: RecordType) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name);
        Self::of_labels(name.split('.').map(str::as_bytes).filter(|_| !name.is_empty()), kind)
    }

    /// The same type asked of another name.
    pub fn at(&self, name: &Name) -> Option<Self> {
        Self::of_labels(name.iter(), self.kind())
    }

    fn of_labels<'a>(labels: impl Iterator<Item = &'a [u8]>, kind: RecordType) -> Option<Self> {
        let mut wire = Vec::with_capacity(64);
        for label in labels {
            wire.push(u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?);
            wire.extend(label.iter().map(u8::to_ascii_lowercase));
        }
        wire.push(0);
        if wire.len() > LONGEST_NAME {
            return None;
        }
        wire.extend(u16::from(kind).to_be_bytes());
        wire.extend([0, 1]);
        Some(Self(wire.into()))
    }

    /// The type asked for.
    pub fn kind(&self) -> RecordType {
        let at = self.0.len() - FIXED;
        RecordType::from(u16::from_be_bytes([self.0[at], self.0[at + 1]]))
    }

    /// Octets it takes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole message, with EDNS unless the server does not know it.
    pub fn message(&self, id: u16, flags: QueryFlags, edns: bool) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER + self.0.len() + 11);
        message.extend(id.to_be_bytes());
        // AD says that we understand it in the answer (RFC 6840 5.7).
        message.push(u8::from(flags.recursion));
        message.push(u8::from(flags.recursion) << 5 | u8::from(flags.checking_disabled) << 4);
        message.extend([0, 1, 0, 0, 0, 0, 0, u8::from(edns)]);
        message.extend_from_slice(&self.0);
        if edns {
            // RFC 6891 6.1.2: root, OPT, payload, no extended code, version 0, flags, no options.
            message.extend([0, 0, 41]);
            message.extend(PAYLOAD.to_be_bytes());
            message.extend([0, 0, u8::from(flags.dnssec_ok) << 7, 0, 0, 0]);
        }
        message
    }

    /// Whether a packet is an answer to this question as it was sent (RFC 5452 3). Who can not read a question does not repeat it, nor do some
    /// that refuse it.
    pub fn is_answered_by(&self, packet: &[u8], id: u16) -> bool {
        let Some((head, rest)) = packet.split_first_chunk::<HEADER>() else { return false };
        let is_response = head[2] & 0b1111_1000 == 0b1000_0000;
        let bare = [ResponseCode::FormErr, ResponseCode::ServFail, ResponseCode::NotImp, ResponseCode::Refused];
        let not_repeated = rest.is_empty() && bare.contains(&code(packet));
        is_response
            && head[..2] == id.to_be_bytes()
            && match head[4..6] {
                [0, 0] => not_repeated,
                [0, 1] => rest.get(..self.0.len()).is_some_and(|asked| self.is(asked)),
                _ => false,
            }
    }

    fn is(&self, asked: &[u8]) -> bool {
        let end = self.0.len() - FIXED;
        // Only names have no case: two types may differ in that bit.
        asked[..end].eq_ignore_ascii_case(&self.0[..end]) && asked[end..] == self.0[end..]
    }
}

/// The low bits of the response code; SERVFAIL for what has no head.
pub(super) fn code(packet: &[u8]) -> ResponseCode {
    packet.get(3).map_or(ResponseCode::ServFail, |octet| ResponseCode::from(0, octet & 15))
}

/// The answer did not fit (TC).
pub(super) fn is_truncated(packet: &[u8]) -> bool {
    packet.get(2).is_some_and(|octet| octet & 2 != 0)
}

/// The sections that a look-up needs, of an answer that was accepted: the rest only where there are no answers, since there it says what the
/// absence is worth.
pub(super) fn read(packet: &[u8]) -> Result<Message, String> {
    let failed = |error: hickory_proto::serialize::binary::DecodeError| format!("the answer can not be read: {error}");
    let mut decoder = BinDecoder::new(packet);
    let header = Header::read(&mut decoder).map_err(failed)?;
    if header.counts.answers == 0 {
        return Message::from_vec(packet).map_err(failed);
    }
    let mut message = Message::response(header.metadata.id, header.metadata.op_code);
    message.metadata = header.metadata;
    for _ in 0..header.counts.queries {
        message.queries.push(hickory_proto::op::Query::read(&mut decoder).map_err(failed)?);
    }
    let (answers, _, _) = Message::read_records(&mut decoder, header.counts.answers.into(), false, header.metadata.op_code).map_err(failed)?;
    message.answers = answers;
    // For the aliases without an end: whether a SOA says that there is none.
    if message.answers.iter().all(|record| record.record_type() == RecordType::CNAME) {
        let (rest, _, _) = Message::read_records(&mut decoder, header.counts.authorities.into(), false, header.metadata.op_code).map_err(failed)?;
        message.authorities = rest;
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_what_others_read() {
        let flags = QueryFlags { recursion: true, dnssec_ok: true, checking_disabled: true };
        let question = Question::new("A b.Example.", RecordType::TXT).unwrap();
        let read = Message::from_vec(&question.message(7, flags, true)).unwrap();
        assert_eq!((read.metadata.id, read.queries.len(), read.queries[0].query_type()), (7, 1, RecordType::TXT));
        assert_eq!(super::super::plain(read.queries[0].name()), "a b.example");
        assert!(read.metadata.recursion_desired && read.metadata.checking_disabled && read.metadata.authentic_data);
        let edns = read.edns.unwrap();
        assert!(edns.flags().dnssec_ok && edns.max_payload() == PAYLOAD && edns.version() == 0);
        let plain = Message::from_vec(&question.message(7, QueryFlags::default(), false)).unwrap();
        assert!(plain.edns.is_none() && !plain.metadata.recursion_desired && !plain.metadata.checking_disabled);
        let root = Message::from_vec(&Question::new(".", RecordType::DNSKEY).unwrap().message(1, flags, true)).unwrap();
        assert!(root.queries[0].name().is_root());
        for wrong in ["a..example", ".a", &"x".repeat(64), &vec!["x".repeat(60); 5].join(".")] {
            assert_eq!(Question::new(wrong, RecordType::A), None, "{wrong}");
        }
    }

    #[test]
    fn only_an_answer_to_the_question_is_one() {
        let question = Question::new("a.example", RecordType::A).unwrap();
        let mut right = question.message(0x1234, QueryFlags::default(), false);
        assert!(!question.is_answered_by(&right, 0x1234), "a question is no answer");
        right[2] |= 0x80;
        let other = |at: usize, value: u8| {
            let mut packet = right.clone();
            packet[at] = value;
            packet
        };
        assert!(question.is_answered_by(&right, 0x1234) && question.is_answered_by(&other(13, b'A'), 0x1234));
        assert!(!question.is_answered_by(&right, 0x1235), "another ID");
        assert!(!question.is_answered_by(&other(2, 0xa8), 0x1234), "another opcode");
        assert!(!question.is_answered_by(&other(13, b'b'), 0x1234), "another name");
        assert!(!question.is_answered_by(&other(24, 28), 0x1234), "another type");
        assert!(!question.is_answered_by(&other(26, 3), 0x1234), "another class");
        assert!(!question.is_answered_by(&other(5, 0), 0x1234) && !question.is_answered_by(&right[..20], 0x1234));
        let head = |code: u8| [0x12, 0x34, 0x80, code, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(question.is_answered_by(&head(1), 0x1234) && !question.is_answered_by(&head(3), 0x1234));
        // 65 and 97 differ as upper and lower case do.
        let https = Question::new("a.example", RecordType::HTTPS).unwrap();
        let mut answer = Question::new("a.example", RecordType::from(97)).unwrap().message(1, QueryFlags::default(), false);
        answer[2] |= 0x80;
        assert!(!https.is_answered_by(&answer, 1));
    }
}
