//! The exchange with resolvers that lie, are silent, know no EDNS or can not say it all at once.
#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::join_all};
use hickory_proto::{
    op::{Message, OpCode, Query, ResponseCode},
    rr::{
        RData, Record,
        rdata::{A, CNAME, SOA, TXT},
    },
};
use tokio::net::UdpSocket;

use super::{
    answers::{Answer, Answers},
    tests::{Say, Server, absolute},
    wire::Question,
    *,
};

/// A resolver over UDP only, that sends whatever it wants for each question, with a count of them.
pub(super) async fn resolver(say: impl Fn(&Message) -> Vec<Message> + Send + 'static) -> (SocketAddr, Arc<AtomicU32>) {
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (udp.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let mut buffer = [0_u8; 4096];
        loop {
            let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            for answer in say(&Message::from_vec(&buffer[..length]).unwrap()) {
                udp.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        }
    });
    (address, count)
}

pub(super) fn net(resolvers: &[SocketAddr]) -> Net {
    Net::new(NetConfig { resolvers: resolvers.to_vec(), ..NetConfig::default() }).unwrap()
}

/// The true answer to a question: this address.
pub(super) fn with(question: &Message, address: &str) -> Message {
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.add_query(question.queries[0].clone());
    answer.add_answer(Record::from_rdata(question.queries[0].name().clone(), 60, RData::A(A(address.parse().unwrap()))));
    answer
}

fn found(address: &str) -> Lookup<std::net::Ipv4Addr> {
    Lookup::Found(vec![address.parse().unwrap()])
}

/// What does not answer the question comes first, then what does.
fn forged_first(question: &Message) -> Vec<Message> {
    let forged = |change: &dyn Fn(&mut Message)| {
        let mut message = with(question, "192.0.2.66");
        change(&mut message);
        message
    };
    vec![
        forged(&|message| message.metadata.id = message.metadata.id.wrapping_add(1)),
        forged(&|message| message.metadata.message_type = hickory_proto::op::MessageType::Query),
        forged(&|message| message.queries = vec![Query::query(absolute("other.example").unwrap(), RecordType::A)]),
        forged(&|message| message.queries = vec![Query::query(message.queries[0].name().clone(), RecordType::AAAA)]),
        forged(&|message| message.queries.clear()),
        with(question, "192.0.2.1"),
    ]
}

#[tokio::test]
async fn what_is_forged_is_ignored() {
    let (address, asked) = resolver(forged_first).await;
    let net = net(&[address]);
    assert_eq!(net.dns().a("a.example").await, found("192.0.2.1"));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let flags = QueryFlags { recursion: true, ..QueryFlags::default() };
    // Through the shared sockets, and of a server from a port of its own.
    for server in [None, Some(address)] {
        let raw = net.query(server, "b.example", RecordType::A, flags).await.unwrap();
        assert_eq!(raw.answers[0].data, RData::A(A("192.0.2.1".parse().unwrap())));
    }
}

#[tokio::test]
async fn who_knows_no_edns_is_asked_without() {
    let (address, asked) = resolver(|question| {
        let mut refusal = Message::response(question.metadata.id, OpCode::Query);
        refusal.metadata.response_code = ResponseCode::FormErr;
        vec![if question.edns.is_some() { refusal } else { with(question, "192.0.2.1") }]
    })
    .await;
    let net = net(&[address]);
    assert_eq!(net.dns().a("a.example").await, found("192.0.2.1"));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(net.query(Some(address), "b.example", RecordType::A, QueryFlags::default()).await.unwrap().answers.len(), 1);
}

#[tokio::test]
async fn the_next_resolver_is_asked_when_one_fails() {
    let (silent, unanswered) = resolver(|_| Vec::new()).await;
    let (broken, failed) = resolver(|question| {
        let mut failure = with(question, "192.0.2.66");
        failure.answers.clear();
        failure.metadata.response_code = ResponseCode::ServFail;
        vec![failure]
    })
    .await;
    let (good, _) = resolver(|question| vec![with(question, "192.0.2.1")]).await;
    let dead = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(net(&[silent, good]).dns().a("a.example").await, found("192.0.2.1"));
    assert_eq!(net(&[broken, good]).dns().a("a.example").await, found("192.0.2.1"));
    assert_eq!(net(&[dead, good]).dns().a("a.example").await, found("192.0.2.1"));
    assert_eq!((unanswered.load(Ordering::Relaxed), failed.load(Ordering::Relaxed)), (1, 1));
    // Who has answered is not asked again.
    assert_eq!(net(&[broken]).dns().a("a.example").await, Lookup::Failed(DnsFailure::ServFail));
    assert_eq!(failed.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_question_in_the_air_is_shared() {
    let (address, asked) = resolver(|question| vec![with(question, "192.0.2.1")]).await;
    let net = net(&[address]);
    let answers = join_all((0..20).map(|_| net.dns().a("a.example"))).await;
    assert!(answers.into_iter().all(|answer| answer == found("192.0.2.1")));
    assert_eq!(net.dns().a("A.example.").await, found("192.0.2.1"));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn who_gives_up_frees_the_place_and_does_not_stop_the_others() {
    let (address, _) =
        resolver(|question| if question.queries[0].name().to_string().starts_with('s') { Vec::new() } else { vec![with(question, "192.0.2.1")] })
            .await;
    let net = net(&[address]);
    let mut gone = Box::pin(net.dns().a("silent.example"));
    while net.dns().exchange().state().0 == 0 {
        assert!(gone.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(gone);
    assert_eq!((net.dns().exchange().state().0, net.dns().kept()), (0, (0, 0)));
    // The first who asks leaves, and the second gets the answer.
    let mut first = Box::pin(net.dns().a("a.example"));
    assert!(first.as_mut().now_or_never().is_none());
    let second = tokio::spawn({
        let net = net.clone();
        async move { net.dns().a("a.example").await }
    });
    tokio::task::yield_now().await;
    drop(first);
    assert_eq!(second.await.unwrap(), found("192.0.2.1"));
    assert_eq!(net.dns().exchange().state().0, 0);
}

#[tokio::test]
async fn aliases_that_go_in_a_circle_or_have_no_end_are_a_failure() {
    let (address, asked) = resolver(|question| {
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        let name = question.queries[0].name();
        answer.add_query(question.queries[0].clone());
        let label = String::from_utf8(name.iter().next().unwrap().to_vec()).unwrap();
        let target = match label.as_str() {
            "one" => "two.example".to_owned(),
            "two" => "one.example".to_owned(),
            other => format!("{other}x.example"),
        };
        answer.add_answer(Record::from_rdata(name.clone(), 60, RData::CNAME(CNAME(absolute(&target).unwrap()))));
        vec![answer]
    })
    .await;
    let net = net(&[address]);
    assert!(matches!(net.dns().a("one.example").await, Lookup::Failed(DnsFailure::Other(why)) if why.contains("circle")));
    assert!(matches!(net.dns().a("x.example").await, Lookup::Failed(DnsFailure::Other(_))));
    assert!(asked.load(Ordering::Relaxed) < 20);
}

#[tokio::test]
async fn aliases_are_told_with_what_they_lead_to() {
    let records =
        [("s._domainkey.a.example", "CNAME key.b.example"), ("key.b.example", "TXT v=DKIM1; p="), ("dangling.a.example", "CNAME none.b.example")];
    let server = Server::start(&records, &[("big.example", Say::TcpOnly(vec![format!("TXT {}", "x".repeat(250))]))]).await;
    let net = server.net();
    assert_eq!(net.dns().txt("big.example").await, Lookup::Found(vec![vec![b'x'; 250]]));
    let told = net.dns().txt_with_aliases("s._domainkey.a.example").await;
    assert_eq!(told, (Lookup::Found(vec![b"v=DKIM1; p=".to_vec()]), vec!["key.b.example".to_owned()]));
    let told = net.dns().txt_with_aliases("dangling.a.example").await;
    assert_eq!(told, (Lookup::Missing(Absence::NxDomain), vec!["none.b.example".to_owned()]));
    assert_eq!(net.dns().txt_with_aliases("key.b.example").await.1, Vec::<String>::new());
}

#[test]
fn a_net_outlives_the_runtimes_it_was_used_in() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (address, _) = servers.block_on(resolver(|question| vec![with(question, "192.0.2.1")]));
    let net = net(&[address]);
    let first = runtime();
    assert_eq!(first.block_on(net.dns().a("a.example")), found("192.0.2.1"));
    // Beside the first one, which is not driven, and after it.
    assert_eq!(runtime().block_on(net.dns().a("b.example")), found("192.0.2.1"));
    drop(first);
    let last = runtime();
    assert_eq!(last.block_on(net.dns().a("c.example")), found("192.0.2.1"));
    let tasks = last.metrics().num_alive_tasks();
    drop(net);
    last.block_on(tokio::task::yield_now());
    assert!(tasks > 0 && last.metrics().num_alive_tasks() == 0, "{tasks}");
}

/// An answer of so many octets of text.
fn text(question: &Question, name: &str, octets: usize) -> Arc<Answer> {
    let mut message = Message::response(0, OpCode::Query);
    message.add_query(Query::query(absolute(name).unwrap(), RecordType::TXT));
    message.add_answer(Record::from_rdata(absolute(name).unwrap(), 60, RData::TXT(TXT::new(vec!["x".repeat(250); octets / 250]))));
    Arc::new(Answer::read(&message.to_vec().unwrap(), question).unwrap())
}

async fn keep(answers: &Answers, name: &str, octets: usize) -> usize {
    let mut asked = 0;
    let question = Question::new(name, RecordType::TXT).unwrap();
    answers
        .get(&question, async || {
            asked += 1;
            Ok(text(&question, name, octets))
        })
        .await
        .unwrap();
    asked
}

#[tokio::test]
async fn kept_answers_have_bounds_in_number_and_in_octets_and_the_newest_stay() {
    let answers = Answers::default();
    for n in 0..5000 {
        keep(&answers, &format!("n{n}.example"), 250).await;
    }
    assert_eq!(answers.size().0, 4096);
    assert_eq!((keep(&answers, "n4999.example", 250).await, keep(&answers, "n2000.example", 250).await), (0, 0));
    for n in 0..200 {
        keep(&answers, &format!("large{n}.example"), 60_000).await;
    }
    let (count, octets) = answers.size();
    assert!(octets <= 4 << 20 && (50..75).contains(&count), "{count} {octets}");
    assert_eq!((keep(&answers, "large199.example", 60_000).await, keep(&answers, "large0.example", 60_000).await), (0, 1));
}

#[tokio::test]
async fn an_absence_is_as_good_as_its_soa_says() {
    let (address, asked) = resolver(|question| {
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.add_query(question.queries[0].clone());
        answer.metadata.response_code = ResponseCode::NXDomain;
        let root = absolute("example").unwrap();
        answer.add_authority(Record::from_rdata(root.clone(), 900, RData::SOA(SOA::new(root.clone(), root, 1, 7200, 900, 9000, 120))));
        vec![answer]
    })
    .await;
    let net = net(&[address]);
    for _ in 0..2 {
        assert!(net.dns().a("a.example").await.is_nxdomain());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // Who keeps answers himself gets a new one.
    let (lookup, ttl) = net.dns().a_timed("a.example", tokio::time::Instant::now() + Duration::from_secs(8)).await;
    assert_eq!((lookup, ttl), (Lookup::Missing(Absence::NxDomain), Some(Duration::from_secs(120))));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// A resolver that reads nothing until 100 questions have come would lose what comes beyond its buffer.
#[tokio::test]
async fn only_so_many_new_questions_are_sent_at_once_and_the_others_follow() {
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let net = net(&[udp.local_addr().unwrap()]);
    let names: Vec<String> = (0..250).map(|n| format!("n{n}.example")).collect();
    let asking = join_all(names.iter().map(|name| net.dns().a(name)));
    let answering = async {
        let (mut buffer, mut first) = ([0_u8; 4096], 0);
        let mut seen = 0;
        while seen < 250 {
            // What is in the buffer before anything was answered.
            if seen == 0 {
                while net.dns().exchange().state().0 < 100 {
                    tokio::task::yield_now().await;
                }
                first = net.dns().exchange().state().0;
            }
            let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
            let answer = with(&Message::from_vec(&buffer[..length]).unwrap(), "192.0.2.1");
            udp.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            seen += 1;
        }
        first
    };
    let (answers, first) = tokio::join!(asking, answering);
    assert!(answers.into_iter().all(|answer| answer == found("192.0.2.1")));
    assert_eq!(first, 100);
}
