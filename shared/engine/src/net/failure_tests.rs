//! How questions end without an answer: within their time, room or none, and with the most telling of what came.
#![allow(clippy::unwrap_used)]

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{join_all, select_all},
};
use hickory_proto::op::{Message, OpCode, ResponseCode};
use tokio::net::UdpSocket;

use super::{
    exchange::Exchange,
    exchange_tests::{net, resolver, with},
    tests::Say,
    wire::{self, Question},
    *,
};

const FLAGS: QueryFlags = QueryFlags { recursion: true, dnssec_ok: false, checking_disabled: false };
/// Less than one try.
const SHORT: Duration = Duration::from_secs(1);

/// Nothing but a code, not even the question.
fn header(question: &Message, code: ResponseCode) -> Message {
    let mut message = Message::response(question.metadata.id, OpCode::Query);
    message.metadata.response_code = code;
    message
}

fn truncated(question: &Message) -> Vec<Message> {
    let mut answer = with(question, "192.0.2.66");
    answer.answers.clear();
    answer.metadata.truncation = true;
    vec![answer]
}

fn question() -> Question {
    Question::new("a.example", RecordType::A).unwrap()
}

#[tokio::test]
async fn waiting_for_room_has_an_end_too() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (exchange, question) = (Exchange::new(&[silent.local_addr().unwrap()]), question());
    let ask = |limit| Box::pin(exchange.ask(&question, FLAGS, &[], limit));
    let mut first = select_all((0..2048).map(|_| ask(Duration::from_secs(60))));
    assert!((&mut first).now_or_never().is_none());
    tokio::select! {
        biased;
        (ended, ..) = first => panic!("{ended:?}"),
        late = ask(Duration::from_millis(50)) => assert_eq!(late, Err(DnsFailure::Timeout)),
    }
}

#[tokio::test]
async fn what_was_said_is_kept_when_time_runs_out() {
    let (silent, _) = resolver(|_| Vec::new()).await;
    let (broken, _) = resolver(|question| vec![header(question, ResponseCode::ServFail)]).await;
    let (large, _) = resolver(truncated).await;
    let told = async |first| Exchange::new(&[first, silent]).ask(&question(), FLAGS, &[ResponseCode::ServFail], SHORT).await;
    assert_eq!(told(broken).await.map(|answer| wire::code(&answer)), Ok(ResponseCode::ServFail));
    assert!(matches!(told(large).await, Err(DnsFailure::Other(why)) if why.contains("too long for UDP")));
    assert_eq!(told(silent).await, Err(DnsFailure::Timeout));
}

#[tokio::test]
async fn no_socket_is_opened_while_others_have_room() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (exchange, question) = (Exchange::new(&[silent.local_addr().unwrap()]), question());
    // Four sockets, each of which takes 128.
    let mut all = pin!(join_all((0..512).map(|_| exchange.ask(&question, FLAGS, &[], Duration::from_secs(60)))));
    while exchange.state().0 < 512 {
        tokio::select! {
            ended = all.as_mut() => panic!("{ended:?}"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    assert_eq!(exchange.state(), (512, 4));
}

#[tokio::test]
async fn a_resolver_that_starts_again_is_waited_for() {
    let address = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let net = net(&[address]);
    let (answer, started) = tokio::join!(net.dns().txt("a.example"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let names = [("a.example".to_owned(), Say::Records(vec!["TXT v=1".to_owned()]))].into();
        nameserver::Authoritative { names, referral: Vec::new(), refusals: 0.into() }.start(address, false).await
    });
    started.unwrap();
    assert_eq!(answer, Lookup::Found(vec![b"v=1".to_vec()]));
}

#[tokio::test]
async fn what_is_too_long_and_comes_by_no_other_way_says_so() {
    let (address, _) = resolver(truncated).await;
    let net = net(&[address]);
    let said = |failure: &DnsFailure| failure.to_string().contains("too long for UDP, and TCP fails: Connection refused");
    assert!(matches!(net.dns().a("a.example").await, Lookup::Failed(why) if said(&why)));
    for server in [None, Some(address)] {
        assert!(net.query(server, "a.example", RecordType::A, FLAGS).await.is_err_and(|why| said(&why)));
    }
}

#[tokio::test]
async fn a_refusal_that_does_not_repeat_the_question_is_one() {
    let (address, _) = resolver(|question| vec![header(question, ResponseCode::Refused)]).await;
    let raw = net(&[address]).query(Some(address), "a.example", RecordType::A, FLAGS).await.unwrap();
    assert_eq!(raw.code, 5);
}

#[tokio::test]
async fn one_that_was_silent_and_then_knows_no_edns_is_asked_without() {
    let first = AtomicU32::new(0);
    let (address, _) = resolver(move |question| match (first.fetch_add(1, Ordering::Relaxed), &question.edns) {
        (0, _) => Vec::new(),
        (_, Some(_)) => vec![header(question, ResponseCode::FormErr)],
        (_, None) => vec![with(question, "192.0.2.1")],
    })
    .await;
    let raw = net(&[address]).query(Some(address), "a.example", RecordType::A, FLAGS).await.unwrap();
    assert_eq!(raw.answers.len(), 1);
}
