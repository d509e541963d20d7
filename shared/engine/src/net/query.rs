//! One question to one server, with what a resolver hides: AA, AD and extended errors (RFC 8914).

use std::{net::SocketAddr, time::Duration};

use hickory_proto::{
    op::{Edns, Message, ResponseCode},
    rr::{RData, Record, RecordType, rdata::opt::EdnsOption},
};
use tokio::{net::UdpSocket, time::timeout};

use super::{
    dns::{DnsFailure, plain},
    exchange::whole,
    wire::{self, QueryFlags, Question},
};

/// One try.
const TRY: Duration = Duration::from_millis(1500);
/// RFC 8914: the option's code.
const EXTENDED_ERROR: u16 = 15;
/// An answer as it came.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    /// Response code: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    pub code: u16,
    /// The server has the zone itself (AA).
    pub authoritative: bool,
    /// The resolver validated the answer (AD).
    pub authentic: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section: a referral names the servers of a delegated zone here (RFC 1034 4.3.2).
    pub authority: Vec<Record>,
    /// The additional section: the addresses of servers that lie in the zone they serve (glue).
    pub additional: Vec<Record>,
    /// Extended errors: code and text.
    pub extended: Vec<(u16, String)>,
}

impl RawAnswer {
    /// Whether there is a record of that type.
    pub fn has(&self, kind: RecordType) -> bool {
        self.answers.iter().any(|record| record.record_type() == kind)
    }

    /// TXT records, the strings of each joined.
    pub fn texts(&self) -> Vec<String> {
        let text = |record: &Record| match &record.data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        };
        self.answers.iter().filter_map(text).collect()
    }

    /// What the last CNAME leads to.
    pub fn alias(&self) -> Option<String> {
        let target = |record: &Record| match &record.data {
            RData::CNAME(name) => Some(plain(&name.0)),
            _ => None,
        };
        self.answers.iter().filter_map(target).next_back()
    }
}

impl RawAnswer {
    /// Reads what was accepted as an answer.
    pub(super) fn read(packet: &[u8]) -> Result<Self, DnsFailure> {
        let answer = Message::from_vec(packet).map_err(|e| DnsFailure::Other(e.to_string()))?;
        let extended = answer.edns.as_ref().map(extended_errors).unwrap_or_default();
        Ok(Self {
            code: answer.metadata.response_code.into(),
            authoritative: answer.metadata.authoritative,
            authentic: answer.metadata.authentic_data,
            answers: answer.answers,
            authority: answer.authorities,
            additional: answer.additionals,
            extended,
        })
    }
}

/// Asks any server over UDP, twice when nothing comes, without EDNS when it does not know that, and over TCP when the answer is truncated.
pub(super) async fn ask(server: SocketAddr, question: &Question, flags: QueryFlags) -> Result<RawAnswer, DnsFailure> {
    let (mut edns, mut silences) = (true, 0);
    let mut answer = loop {
        match timeout(TRY, over_udp(server, question, flags, edns)).await.unwrap_or(Err(DnsFailure::Timeout)) {
            Ok(answer) if edns && wire::code(&answer) == ResponseCode::FormErr => edns = false,
            Ok(answer) => break answer,
            Err(failure) if silences > 0 => return Err(failure),
            Err(_) => silences += 1,
        }
    };
    if wire::is_truncated(&answer) {
        answer = whole(server, question, flags, edns, TRY).await.map_err(DnsFailure::Other)?;
    }
    RawAnswer::read(&answer)
}

fn extended_errors(edns: &Edns) -> Vec<(u16, String)> {
    let read =
        |data: &[u8]| data.split_first_chunk::<2>().map(|(code, text)| (u16::from_be_bytes(*code), String::from_utf8_lossy(text).into_owned()));
    edns.options()
        .options
        .iter()
        .filter_map(|(_, option)| match option {
            EdnsOption::Unknown(EXTENDED_ERROR, data) => read(data),
            _ => None,
        })
        .collect()
}

/// From a port of its own.
async fn over_udp(server: SocketAddr, question: &Question, flags: QueryFlags, edns: bool) -> Result<Vec<u8>, DnsFailure> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { (std::net::Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await.map_err(io_failure)?;
    socket.connect(server).await.map_err(io_failure)?;
    let id = rand::random();
    socket.send(&question.message(id, flags, edns)).await.map_err(io_failure)?;
    let mut buffer = [0_u8; 4096];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(io_failure)?;
        // Anything that is no answer to this question is noise; the time limit ends the wait.
        if question.is_answered_by(&buffer[..length], id) {
            return Ok(buffer[..length].to_vec());
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // it stands in map_err
fn io_failure(error: std::io::Error) -> DnsFailure {
    DnsFailure::Other(error.to_string())
}
