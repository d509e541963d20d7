//! What resolvers answered, kept for a short time, and asked once however many wait for it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{DNSClass, Name, RData, RecordType},
};
use tokio::{sync::OnceCell, time::Instant};

use super::{
    dns::DnsFailure,
    wire::{self, Question},
};

/// Kept no longer than this, so that "check now" after a repair sees the repair.
const POSITIVE_MAX: Duration = Duration::from_secs(60);
const NEGATIVE_MAX: Duration = Duration::from_secs(5);
/// Bounds of what is kept: answers, and octets.
const MOST_KEPT: usize = 4096;
const MOST_OCTETS: usize = 4 << 20;
/// Beside its records, an answer costs about this much.
const OVERHEAD: usize = 200;
/// Aliases followed within one answer.
pub(super) const MOST_ALIASES: usize = 8;

/// What one answer says about its question.
#[derive(Debug)]
pub(super) struct Answer {
    pub code: ResponseCode,
    /// The data of the type asked for, at the end of the aliases.
    pub data: Vec<RData>,
    /// The names that the name is an alias of, one after the other.
    pub aliases: Vec<Name>,
    /// There are too many aliases, or they go in a circle.
    pub endless: bool,
    /// A SOA says that this is all (RFC 2308 2.2).
    pub proven: bool,
    /// Seconds it was good for when it came.
    ttl: Option<u32>,
    came: Instant,
    octets: usize,
}

impl Answer {
    /// Reads what was accepted as an answer to this question.
    pub fn read(packet: &[u8], question: &Question) -> Result<Self, String> {
        let mut message = wire::read(packet)?;
        if let Some(edns) = &message.edns {
            message.metadata.merge_response_code(edns.rcode_high());
        }
        let octets = OVERHEAD + 2 * question.len() + packet.len() + message.answers.len() * size_of::<RData>();
        let code = message.metadata.response_code;
        let mut answer = Self { code, data: Vec::new(), aliases: Vec::new(), endless: false, proven: false, ttl: None, came: Instant::now(), octets };
        if !message.answers.is_empty() {
            answer.follow(&message, question.kind());
            answer.ttl = message.answers.iter().map(|record| record.ttl).min();
            answer.take(&mut message, question.kind());
        }
        let soa =
            message.authorities.iter().find_map(|record| if let RData::SOA(soa) = &record.data { Some(record.ttl.min(soa.minimum)) } else { None });
        answer.proven = soa.is_some();
        if answer.data.is_empty() {
            answer.ttl = soa;
        }
        Ok(answer)
    }

    fn follow(&mut self, message: &Message, kind: RecordType) {
        let Some(mut at) = message.queries.first().map(|query| &query.name).filter(|_| kind != RecordType::CNAME) else { return };
        loop {
            let next = message.answers.iter().find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == *at => Some(&target.0),
                _ => None,
            });
            let Some(next) = next else { break };
            if self.aliases.len() == MOST_ALIASES || self.aliases.contains(next) {
                self.endless = true;
                break;
            }
            self.aliases.push(next.clone());
            at = next;
        }
    }

    fn take(&mut self, message: &mut Message, kind: RecordType) {
        let Some(owner) = self.aliases.last().or(message.queries.first().map(|query| &query.name)) else { return };
        let wanted =
            message.answers.drain(..).filter(|record| record.record_type() == kind && record.dns_class == DNSClass::IN && record.name == *owner);
        self.data = wanted.map(|record| record.data).collect();
    }

    /// How long it is still good for; `None` when it says nothing about it.
    pub fn good_for(&self) -> Option<Duration> {
        self.ttl.map(|ttl| Duration::from_secs(ttl.into()).saturating_sub(Duration::from_secs(self.came.elapsed().as_secs())))
    }

    fn kept_until(&self) -> Option<Instant> {
        let most = match self.code {
            ResponseCode::NoError if !self.data.is_empty() => POSITIVE_MAX,
            ResponseCode::NoError | ResponseCode::NXDomain => NEGATIVE_MAX,
            _ => return None,
        };
        let time = Duration::from_secs(self.ttl?.into()).min(most);
        (!time.is_zero()).then(|| self.came + time)
    }
}

type Outcome = Result<Arc<Answer>, DnsFailure>;
type Flight = Arc<OnceCell<Outcome>>;

/// The answers of the last minute.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Question, Entry>,
    /// In the order in which they came; an entry that has been replaced since has another number.
    order: VecDeque<(Question, u64)>,
    octets: usize,
    count: u64,
}

#[derive(Debug)]
enum Entry {
    Flying { flight: Flight, askers: usize },
    Known { answer: Arc<Answer>, until: Instant, number: u64 },
}

/// Forgets a flight that nobody waits for any more.
struct Boarding<'a> {
    answers: &'a Answers,
    question: &'a Question,
    flight: Flight,
}

impl Drop for Boarding<'_> {
    fn drop(&mut self) {
        if self.flight.initialized() {
            return;
        }
        let mut kept = self.answers.kept();
        // Counted under the lock: of two who go at once, one is the last.
        if let Some(askers) = kept.askers(self.question, &self.flight) {
            *askers -= 1;
            if *askers == 0 {
                kept.entries.remove(self.question);
            }
        }
    }
}

impl Answers {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kept answer, the one that is in the air, or what `ask` brings. Where the one who asks gives up, the next who waits asks.
    pub async fn get(&self, question: &Question, ask: impl AsyncFnOnce() -> Outcome) -> Outcome {
        let flight = {
            let mut kept = self.kept();
            match kept.entries.get_mut(question) {
                Some(Entry::Known { answer, until, .. }) if Instant::now() < *until => return Ok(Arc::clone(answer)),
                Some(Entry::Flying { flight, askers }) => {
                    *askers += 1;
                    Arc::clone(flight)
                }
                _ => {
                    let flight = Flight::default();
                    kept.remove(question);
                    kept.entries.insert(question.clone(), Entry::Flying { flight: Arc::clone(&flight), askers: 1 });
                    flight
                }
            }
        };
        let boarding = Boarding { answers: self, question, flight };
        boarding
            .flight
            .get_or_init(async || {
                let outcome = ask().await;
                self.kept().land(question, &boarding.flight, &outcome);
                outcome
            })
            .await
            .clone()
    }

    /// The number of answers kept or in the air, and their octets.
    #[cfg(test)]
    pub fn size(&self) -> (usize, usize) {
        let kept = self.kept();
        (kept.entries.len(), kept.octets)
    }
}

impl Kept {
    /// How many wait for this flight, while it is in the air.
    fn askers(&mut self, question: &Question, flight: &Flight) -> Option<&mut usize> {
        match self.entries.get_mut(question) {
            Some(Entry::Flying { flight: known, askers }) if Arc::ptr_eq(known, flight) => Some(askers),
            _ => None,
        }
    }

    fn remove(&mut self, question: &Question) {
        if let Some(Entry::Known { answer, .. }) = self.entries.remove(question) {
            self.octets -= answer.octets;
        }
    }

    fn land(&mut self, question: &Question, flight: &Flight, outcome: &Outcome) {
        if self.askers(question, flight).is_none() {
            return;
        }
        self.entries.remove(question);
        let Ok(answer) = outcome else { return };
        let Some(until) = answer.kept_until() else { return };
        self.count += 1;
        self.octets += answer.octets;
        self.order.push_back((question.clone(), self.count));
        self.entries.insert(question.clone(), Entry::Known { answer: Arc::clone(answer), until, number: self.count });
        self.make_room();
    }

    /// The oldest go, one by one; so do those whose time is over, where they come first.
    fn make_room(&mut self) {
        let now = Instant::now();
        while let Some((question, number)) = self.order.front() {
            let over = self.order.len() > MOST_KEPT || self.octets > MOST_OCTETS;
            match self.entries.get(question) {
                Some(Entry::Known { until, number: known, .. }) if known == number => {
                    if !over && now < *until {
                        return;
                    }
                    let question = question.clone();
                    self.remove(&question);
                }
                _ => {}
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn of_two_who_give_up_at_once_one_is_the_last() {
        let answers = Answers::default();
        let question = Question::new("a.example", RecordType::A).unwrap();
        let mut asking = Box::pin(answers.get(&question, std::future::pending));
        assert!(asking.as_mut().now_or_never().is_none());
        // The other has been counted as gone, and has not let go yet.
        let held = match answers.kept().entries.get(&question) {
            Some(Entry::Flying { flight, .. }) => Arc::clone(flight),
            known => panic!("{known:?}"),
        };
        drop(asking);
        assert_eq!((answers.size(), Arc::strong_count(&held)), ((0, 0), 1));
    }
}
