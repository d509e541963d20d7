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
    time::{Instant, sleep, timeout},
};

use super::{
    RESOLVER_AWAY,
    dns::DnsFailure,
    socket::{Lost, Socket, TRY},
    wire::{self, QueryFlags, Question},
};

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

    /// Asks until a resolver answers: where one is silent, and where it says one of `elsewhere`, the next one is asked. Ends within `limit`,
    /// waiting for room included, with the most telling of what came until then.
    pub async fn ask(&self, question: &Question, flags: QueryFlags, elsewhere: &[ResponseCode], limit: Duration) -> Result<Vec<u8>, DnsFailure> {
        if self.resolvers.is_empty() {
            return Err(DnsFailure::Other("no resolver is configured".to_owned()));
        }
        let mut outcome = Err(Lost::Closed);
        // When time runs out, what came so far is the outcome.
        let _ended = timeout(limit, self.try_all(question, flags, elsewhere, &mut outcome)).await;
        outcome.map_err(failure)
    }

    /// Who answered is not asked again; the last try of a question that nobody answered goes over TCP, in case UDP is what is lost.
    async fn try_all(&self, question: &Question, flags: QueryFlags, elsewhere: &[ResponseCode], outcome: &mut Result<Vec<u8>, Lost>) {
        // Never closed.
        let Ok(_room) = self.room.acquire().await else { return };
        let mut order: Vec<&Resolver> = self.resolvers.iter().collect();
        if order.len() > 1 {
            order.sort_by_key(|resolver| resolver.is_silent());
        }
        let (mut answered, mut unreachable) = (vec![false; order.len()], false);
        for attempt in 0..TRIES {
            let at = attempt % order.len();
            if answered[at] {
                continue;
            }
            if at == 0 && unreachable {
                sleep(RESTART).await;
            }
            match order[at].ask(question, flags, attempt >= order.len() && attempt + 1 == TRIES).await {
                Ok(answer) if !elsewhere.contains(&wire::code(&answer)) => {
                    *outcome = Ok(answer);
                    return;
                }
                Ok(answer) => {
                    (answered[at], unreachable) = (true, false);
                    if outcome.is_err() {
                        *outcome = Ok(answer);
                    }
                }
                Err(lost) => {
                    unreachable = lost == Lost::Unreachable;
                    if outcome.as_ref().is_err_and(|known| *known < lost) {
                        *outcome = Err(lost);
                    }
                }
            }
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

fn failure(lost: Lost) -> DnsFailure {
    match lost {
        Lost::Timeout | Lost::Closed => DnsFailure::Timeout,
        Lost::Unreachable => DnsFailure::Other(RESOLVER_AWAY.to_owned()),
        Lost::NoTcp(why) => DnsFailure::Other(why),
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
        if matches!(answer, Err(Lost::Timeout | Lost::Unreachable | Lost::Closed)) {
            self.silences.fetch_add(1, Ordering::Relaxed);
            *self.silent_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        } else if self.silences.load(Ordering::Relaxed) > 0 {
            // Read first: that is cheaper than writing, and 0 is the usual case.
            self.silences.store(0, Ordering::Relaxed);
        }
        answer
    }

    /// What is rare is boxed, here and below: every question's future is as large as the largest of its ways.
    async fn try_once(&self, question: &Question, flags: QueryFlags, edns: bool, tcp: bool) -> Result<Vec<u8>, Lost> {
        if tcp {
            return timeout(TRY, Box::pin(over_tcp(self.address, question, flags, edns)))
                .await
                .map_err(|_| Lost::Timeout)?
                .map_err(|_| Lost::Unreachable);
        }
        let mut answer = self.over_udp(question, flags, edns).await;
        if answer == Err(Lost::Closed) {
            answer = self.over_udp(question, flags, edns).await;
        }
        let answer = answer?;
        if wire::is_truncated(&answer) { Box::pin(whole(self.address, question, flags, edns, TRY)).await.map_err(Lost::NoTcp) } else { Ok(answer) }
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
        let Ok(socket) = Box::pin(Socket::open(self.address)).await else {
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
        let mut young = 0;
        // Of those with room, and of the full ones: how many, and the one chosen.
        let (mut roomy, mut full) = ((0, None), (0, None));
        let (mut random, now) = (rand::rng(), Instant::now());
        for open in sockets.iter().filter(|open| open.runtime == here) {
            let (room, is_young) = open.socket.has_room(now);
            if !is_young {
                continue;
            }
            young += 1;
            let (seen, chosen) = if room { &mut roomy } else { &mut full };
            *seen += 1;
            if random.random_range(0..*seen) == 0 {
                *chosen = Some(&open.socket);
            }
        }
        let enough = if roomy.1.is_some() { FEW } else { MOST };
        if young < enough { None } else { roomy.1.or(full.1).map(Arc::clone) }
    }
}

/// The whole of an answer that does not fit into UDP, or what to say where TCP does not bring it.
pub(super) async fn whole(server: SocketAddr, question: &Question, flags: QueryFlags, edns: bool, limit: Duration) -> Result<Vec<u8>, String> {
    let why = match timeout(limit, over_tcp(server, question, flags, edns)).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    Err(format!("the answer is too long for UDP, and TCP fails: {why}"))
}

/// One question on a connection of its own.
async fn over_tcp(server: SocketAddr, question: &Question, flags: QueryFlags, edns: bool) -> std::io::Result<Vec<u8>> {
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
