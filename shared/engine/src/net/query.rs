//! One question to one server, with what a resolver hides: AA, AD, extended errors (RFC 8914), and DO and CD on the way out.

use std::{net::SocketAddr, time::Duration};

use hickory_proto::{
    op::{Edns, Message, Query},
    rr::{RData, Record, RecordType, rdata::opt::EdnsOption},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use super::dns::{DnsFailure, absolute, plain};

/// One try.
const TRY: Duration = Duration::from_millis(1500);
/// RFC 8914: the option's code.
const EXTENDED_ERROR: u16 = 15;
/// RFC 9715: fits every path.
const PAYLOAD: u16 = 1232;

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

/// Asks over UDP, twice when nothing comes, and over TCP when the answer is truncated.
pub(super) async fn ask(server: SocketAddr, name: &str, kind: RecordType, flags: QueryFlags) -> Result<RawAnswer, DnsFailure> {
    let mut message = Message::query();
    let id = rand::random::<u16>();
    message.metadata.id = id;
    message.metadata.recursion_desired = flags.recursion;
    message.metadata.checking_disabled = flags.checking_disabled;
    message.metadata.authentic_data = flags.recursion;
    message.add_query(Query::query(absolute(name).ok_or_else(|| DnsFailure::BadName(name.to_owned()))?, kind));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD).set_dnssec_ok(flags.dnssec_ok);
    message.set_edns(edns);
    let question = message.to_vec().map_err(|e| DnsFailure::Other(e.to_string()))?;
    let mut outcome = Err(DnsFailure::Timeout);
    for _ in 0..2 {
        outcome = tokio::time::timeout(TRY, over_udp(server, &question, id)).await.unwrap_or(Err(DnsFailure::Timeout));
        if outcome.is_ok() {
            break;
        }
    }
    let mut answer = outcome?;
    if answer.metadata.truncation {
        answer = tokio::time::timeout(TRY, over_tcp(server, &question, id)).await.unwrap_or(Err(DnsFailure::Timeout))?;
    }
    let extended = answer.edns.as_ref().map(extended_errors).unwrap_or_default();
    Ok(RawAnswer {
        code: answer.metadata.response_code.into(),
        authoritative: answer.metadata.authoritative,
        authentic: answer.metadata.authentic_data,
        answers: answer.answers,
        authority: answer.authorities,
        extended,
    })
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

async fn over_udp(server: SocketAddr, question: &[u8], id: u16) -> Result<Message, DnsFailure> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { (std::net::Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await.map_err(io_failure)?;
    socket.connect(server).await.map_err(io_failure)?;
    socket.send(question).await.map_err(io_failure)?;
    let mut buffer = [0_u8; 4096];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(io_failure)?;
        // Anything that is no answer to this question is noise; the time limit ends the wait.
        if let Ok(answer) = Message::from_vec(&buffer[..length])
            && answer.metadata.id == id
        {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &[u8], id: u16) -> Result<Message, DnsFailure> {
    let mut stream = TcpStream::connect(server).await.map_err(io_failure)?;
    let length = u16::try_from(question.len()).map_err(|_| DnsFailure::Other("the question is too long".to_owned()))?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await.map_err(io_failure)?;
    let mut head = [0_u8; 2];
    stream.read_exact(&mut head).await.map_err(io_failure)?;
    let mut body = vec![0_u8; usize::from(u16::from_be_bytes(head))];
    stream.read_exact(&mut body).await.map_err(io_failure)?;
    let answer = Message::from_vec(&body).map_err(|e| DnsFailure::Other(e.to_string()))?;
    if answer.metadata.id == id { Ok(answer) } else { Err(DnsFailure::Other("the answer belongs to another question".to_owned())) }
}

#[allow(clippy::needless_pass_by_value)] // it stands in map_err
fn io_failure(error: std::io::Error) -> DnsFailure {
    DnsFailure::Other(error.to_string())
}
