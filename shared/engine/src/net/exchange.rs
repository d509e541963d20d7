//! Questions to the configured resolvers: over a few shared UDP sockets with random ports, over TCP where an answer does not fit, to the next
//! resolver where one does not answer.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use hickory_proto::op::ResponseCode;
use rand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    sync::Semaphore,
    task::AbortHandle,
    time::{Instant, timeout, timeout_at},
};

use super::{
    dns::DnsFailure,
    query::no_tcp,
    socket::{Lost, Socket, TRY},
    wire::{self, QueryFlags, Question},
};

/// All tries of a question together.
const LIMIT: Duration = Duration::from_secs(8);
/// Tries of a question, over all resolvers.
const TRIES: usize = 3;
/// Sockets to one resolver: as many from the start, so that a forged answer has ports to guess, and so many when more is asked at once.
const FEW: usize = 4;
const MOST: usize = 16;
/// Questions in the air; more wait.
const IN_FLIGHT: usize = 2048;
/// New ones at one resolver: more at once overflow its buffer (128 KiB hold about 170 packets), and what is lost there waits for a whole try.
const BURST: usize = 100;
/// A question this old has been read by the resolver; it makes room, however long its answer takes.
const YOUNG: Duration = Duration::from_millis(50);
/// A resolver at whose port nobody listens may be starting again: the next try waits, or all tries would be over at once.
const RESTART: Duration = Duration::from_millis(500);
/// Silences in a row after which a resolver is asked last, and for how long. A single one may be the fault of the domain's name servers.
const SILENCES: u32 = 4;
const ASKED_LAST: Duration = Duration::from_secs(10);

/// The resolvers and the ways to them. The sockets' tasks end with it.
#[derive(Debug)]
pub(super) struct Exchange {
    resolvers: Vec<Resolver>,
    room: Semaphore,
}

#[derive(Debug)]
struct Resolver {
    address: SocketAddr,
    burst: Semaphore,
    sockets: Mutex<Vec<Open>>,
    silences: AtomicU32,
    silent_at: Mutex<Option<Instant>>,
}

/// A socket works only as long as the runtime that it was opened in.
#[derive(Debug)]
struct Open {
    runtime: runtime::Id,
    socket: Arc<Socket>,
    receiving: AbortHandle,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

impl Exchange {
    /// With these resolvers, the first first.
    pub fn new(resolvers: &[SocketAddr]) -> Self {
        let resolver = |address: &SocketAddr| Resolver {
            address: *address,
            burst: Semaphore::new(BURST),
            sockets: Mutex::default(),
            silences: AtomicU32::new(0),
            silent_at: Mutex::default(),
        };
        Self { resolvers: resolvers.iter().map(resolver).collect(), room: Semaphore::new(IN_FLIGHT) }
    }

    /// Asks until a resolver answers: where one is silent, and where it says one of `elsewhere`, the next one is asked.
    pub async fn ask(&self, question: &Question, flags: QueryFlags, elsewhere: &[ResponseCode]) -> Result<Vec<u8>, DnsFailure> {
        // Never closed.
        let Ok(_room) = self.room.acquire().await else { return Err(DnsFailure::Timeout) };
        let mut order: Vec<&Resolver> = self.resolvers.iter().collect();
        if order.len() > 1 {
            order.sort_by_key(|resolver| resolver.is_silent());
        }
        let Some(first) = order.first() else { return Err(DnsFailure::Other("no resolver is configured".to_owned())) };
        let began = Instant::now();
        let answer = first.ask(question, flags, false).await;
        match answer {
            Ok(answer) if order.len() == 1 || !elsewhere.contains(&wire::code(&answer)) => Ok(answer),
            answer => ask_on(&order, answer, question, flags, (elsewhere, began + LIMIT)).await,
        }
    }

    /// The number of questions in the air and of sockets.
    #[cfg(test)]
    pub fn state(&self) -> (usize, usize) {
        let open: Vec<_> =
            self.resolvers.iter().flat_map(|resolver| resolver.sockets().iter().map(|open| open.socket.in_flight()).collect::<Vec<_>>()).collect();
        (open.iter().sum(), open.len())
    }
}

/// After the first try. Who answered is not asked again; the last try of a question that nobody answered goes over TCP, in case UDP is what is lost.
async fn ask_on(
    order: &[&Resolver],
    first: Result<Vec<u8>, Lost>,
    question: &Question,
    flags: QueryFlags,
    (elsewhere, end): (&[ResponseCode], Instant),
) -> Result<Vec<u8>, DnsFailure> {
    let mut answered = vec![false; order.len()];
    let mut last = first;
    let mut said = None;
    for attempt in 0..TRIES {
        let at = attempt % order.len();
        if attempt > 0 && !answered[at] {
            if at == 0 && last == Err(Lost::Unreachable) {
                tokio::time::sleep_until(end.min(Instant::now() + RESTART)).await;
            }
            let asking = order[at].ask(question, flags, attempt >= order.len() && attempt + 1 == TRIES);
            let Ok(answer) = timeout_at(end, asking).await else { break };
            // That an answer is too long for UDP says more than what came of trying again.
            last = if last == Err(Lost::NoTcp) { answer.or(last) } else { answer };
        }
        if let Ok(answer) = &last {
            if !elsewhere.contains(&wire::code(answer)) {
                return last.map_err(failure);
            }
            answered[at] = true;
            said.get_or_insert_with(|| answer.clone());
        }
    }
    // What one of them said tells more than that the others were silent.
    said.map_or_else(|| last.map_err(failure), Ok)
}

fn failure(lost: Lost) -> DnsFailure {
    match lost {
        Lost::Timeout | Lost::Closed => DnsFailure::Timeout,
        Lost::Unreachable => DnsFailure::Other("the resolver can not be reached".to_owned()),
        Lost::NoTcp => no_tcp("the resolver does not answer there"),
    }
}

impl Resolver {
    fn sockets(&self) -> MutexGuard<'_, Vec<Open>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_silent(&self) -> bool {
        self.silences.load(Ordering::Relaxed) >= SILENCES
            && self.silent_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < ASKED_LAST)
    }

    async fn ask(&self, question: &Question, flags: QueryFlags, tcp: bool) -> Result<Vec<u8>, Lost> {
        let mut answer = self.try_once(question, flags, true, tcp).await;
        // RFC 6891 7: who does not know EDNS says that it can not read the question.
        if answer.as_ref().is_ok_and(|answer| wire::code(answer) == ResponseCode::FormErr) {
            answer = self.try_once(question, flags, false, tcp).await;
        }
        if answer.is_ok() {
            // Reading is cheaper than writing, and this is the usual case.
            if self.silences.load(Ordering::Relaxed) > 0 {
                self.silences.store(0, Ordering::Relaxed);
            }
        } else {
            self.silences.fetch_add(1, Ordering::Relaxed);
            *self.silent_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        answer
    }

    async fn try_once(&self, question: &Question, flags: QueryFlags, edns: bool, tcp: bool) -> Result<Vec<u8>, Lost> {
        let mut lost = Lost::Unreachable;
        if !tcp {
            let mut answer = self.over_udp(question, flags, edns).await;
            if answer == Err(Lost::Closed) {
                answer = self.over_udp(question, flags, edns).await;
            }
            let answer = answer?;
            if !wire::is_truncated(&answer) {
                return Ok(answer);
            }
            lost = Lost::NoTcp;
        }
        match timeout(TRY, over_tcp(self.address, question, flags, edns)).await {
            Ok(answer) => answer.map_err(|_| lost),
            Err(_) if lost == Lost::NoTcp => Err(lost),
            Err(_) => Err(Lost::Timeout),
        }
    }

    async fn over_udp(&self, question: &Question, flags: QueryFlags, edns: bool) -> Result<Vec<u8>, Lost> {
        // Never closed.
        let Ok(new) = self.burst.acquire().await else { return Err(Lost::Closed) };
        let socket = self.socket().await?;
        let mut asking = pin!(socket.ask(question, flags, edns));
        if let Ok(answer) = timeout(YOUNG, asking.as_mut()).await {
            return answer;
        }
        drop(new);
        asking.await
    }

    /// One of this runtime's sockets at random, that has room.
    async fn socket(&self) -> Result<Arc<Socket>, Lost> {
        let runtime = runtime::Handle::current();
        let here = runtime.id();
        if let Some(socket) = self.pick(here) {
            return Ok(socket);
        }
        let Ok(socket) = Socket::open(self.address).await else {
            // No more can be opened: whatever is there has to do.
            return self.sockets().iter().find(|open| open.runtime == here).map(|open| Arc::clone(&open.socket)).ok_or(Lost::Unreachable);
        };
        let receiving = runtime.spawn(Arc::clone(&socket).receive()).abort_handle();
        let mut sockets = self.sockets();
        // Those whose time is over have been waiting for their last answers.
        sockets.retain(|open| !open.socket.is_closed());
        sockets.push(Open { runtime: here, socket: Arc::clone(&socket), receiving });
        Ok(socket)
    }

    /// Nothing when a new one should be opened.
    fn pick(&self, here: runtime::Id) -> Option<Arc<Socket>> {
        let sockets = self.sockets();
        let (mut young, mut chosen, mut seen) = (0, None, 0);
        let mut random = rand::rng();
        for open in sockets.iter().filter(|open| open.runtime == here) {
            let (room, is_young) = open.socket.has_room();
            young += usize::from(is_young);
            if room || (is_young && chosen.is_none()) {
                seen += 1;
                if random.random_range(0..seen) == 0 {
                    chosen = Some((room, &open.socket));
                }
            }
        }
        let enough = if chosen.is_some_and(|(room, _)| room) { FEW } else { MOST };
        if young < enough { None } else { chosen.map(|(_, socket)| Arc::clone(socket)) }
    }
}

/// One question on a connection of its own.
pub(super) async fn over_tcp(server: SocketAddr, question: &Question, flags: QueryFlags, edns: bool) -> std::io::Result<Vec<u8>> {
    let id = rand::random();
    let message = question.message(id, flags, edns);
    let mut stream = TcpStream::connect(server).await?;
    // A question is a name and some octets: far below 64 KiB.
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes(), &message[..]].concat()).await?;
    let mut answer = vec![0_u8; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    if question.is_answered_by(&answer, id) { Ok(answer) } else { Err(std::io::Error::other("the answer belongs to another question")) }
}
