//! The small DNS server that plays the lists, and what each of them does.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, CNAME, SOA, TXT},
    },
};
use tokio::net::UdpSocket;

/// What the server says to a name.
enum Say {
    A(&'static [[u8; 4]]),
    /// The same, by another name first.
    Alias(String),
    NxDomain,
    /// With the minimum of its SOA.
    NxDomainFor(u32),
    NoData,
    Code(ResponseCode),
}

const TWO: &[[u8; 4]] = &[[127, 0, 0, 2]];
const V6_POINT: &str = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
/// The address `2001:db8::9`.
const V6_NINE: &str = "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
pub(super) const KEY: &str = "s3cretkey";

/// The lists: `bl` is healthy; what the others do is said where they are asked.
#[allow(clippy::match_same_arms)] // one arm per story
fn lists(name: &str) -> Say {
    if let Some(label) = name.strip_suffix(".zen.dq.spamhaus.net") {
        return if [format!("2.0.0.127.{KEY}"), format!("9.2.0.192.{KEY}")].contains(&label.to_owned()) { Say::A(TWO) } else { Say::NxDomain };
    }
    let Some((label, zone)) = name.strip_suffix(".lists.test").and_then(|rest| rest.rsplit_once('.')) else { return Say::NxDomain };
    match (zone, label) {
        ("refuses", _) => Say::Code(ResponseCode::Refused),
        // Lists everything; and one that knows its clean test point by heart; and one that lists unused networks, as is its purpose.
        ("all", _) => Say::A(TWO),
        ("sly", label) if label != "1.0.0.127" && label.split('.').count() == 4 => Say::A(TWO),
        ("unused", label) if label.split('.').count() == 4 && label.rsplit('.').next().and_then(|n| n.parse().ok()).is_some_and(|n: u8| n >= 240) => {
            Say::A(TWO)
        }
        ("wild", label) if label.starts_with('w') => Say::A(TWO),
        // Answers names that are no address with an error.
        ("strict", label) if label.starts_with('w') => Say::A(&[[127, 255, 255, 252]]),
        ("alias", label) => Say::Alias(format!("{label}.bl.lists.test")),
        ("parked", _) => Say::A(&[[198, 51, 100, 1]]),
        ("public", _) => Say::A(&[[127, 255, 255, 254]]),
        ("testonly", "2.0.0.127") => Say::A(&[[127, 255, 255, 254]]),
        ("silentv6" | "bl" | "code" | "unused" | "wild" | "breaks" | "odd" | "strict", "2.0.0.127") => Say::A(TWO),
        ("silentv6" | "untested", V6_NINE) | ("bl", V6_NINE | V6_POINT | "test" | "spam.example") => Say::A(TWO),
        ("bl" | "untested", "9.2.0.192") => Say::A(&[[127, 0, 0, 4], [127, 0, 0, 3]]),
        ("code", "9.2.0.192") => Say::A(&[[127, 255, 255, 254]]),
        ("code", "10.2.0.192") => Say::A(&[[198, 51, 100, 1]]),
        ("odd", "9.2.0.192") => Say::NoData,
        ("breaks", label) if label.ends_with(".2.0.192") => Say::Code(ResponseCode::ServFail),
        ("soa", label) => label.parse().map_or(Say::NxDomain, Say::NxDomainFor),
        _ => Say::NxDomain,
    }
}

/// Lists the world from its second examination on.
fn flips(name: &str, asked: &Asked) -> Option<Say> {
    let label = name.strip_suffix(".flips.lists.test")?;
    let exams = asked.lock().unwrap().iter().filter(|asked| asked.starts_with('w') && asked.ends_with(".flips.lists.test")).count();
    Some(if exams > 1 || ["2.0.0.127", "9.2.0.192"].contains(&label) { Say::A(TWO) } else { Say::NxDomain })
}

/// The names that were asked.
pub(super) type Asked = Arc<Mutex<Vec<String>>>;

pub(super) async fn server(asked: Asked) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let answer = respond(&packet[..length], &asked);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

fn respond(query: &[u8], asked: &Asked) -> Vec<u8> {
    let question = Message::from_vec(query).unwrap();
    let wanted = question.queries[0].clone();
    let plain = |name: &Name| name.to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_available = true;
    answer.metadata.recursion_desired = true;
    answer.add_query(wanted.clone());
    asked.lock().unwrap().push(plain(wanted.name()));
    let mut name = wanted.name().clone();
    let mut say = flips(&plain(&name), asked).unwrap_or_else(|| lists(&plain(&name)));
    while let Say::Alias(target) = say {
        let target = Name::from_ascii(target).unwrap();
        answer.add_answer(Record::from_rdata(name, 60, RData::CNAME(CNAME(target.clone()))));
        say = lists(&plain(&target));
        name = target;
    }
    match say {
        Say::A(addresses) if wanted.query_type() == RecordType::A => {
            for address in addresses {
                answer.add_answer(Record::from_rdata(name.clone(), 60, RData::A(A((*address).into()))));
            }
        }
        Say::A(_) if wanted.query_type() == RecordType::TXT => {
            let text = format!("see https://example.com/{}", plain(&name));
            answer.add_answer(Record::from_rdata(name, 60, RData::TXT(TXT::new(vec![text]))));
        }
        Say::A(_) | Say::NoData | Say::Alias(_) => {}
        Say::NxDomain => answer.metadata.response_code = ResponseCode::NXDomain,
        Say::NxDomainFor(minimum) => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            let zone = Name::from_ascii("lists.test").unwrap();
            answer.add_authority(Record::from_rdata(zone.clone(), 86400, RData::SOA(SOA::new(zone.clone(), zone, 1, 2, 3, 4, minimum))));
        }
        Say::Code(code) => answer.metadata.response_code = code,
    }
    answer.to_vec().unwrap()
}
