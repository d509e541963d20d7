//! One UDP socket to one resolver, with many questions in the air, told apart by their random IDs.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    io,
    net::{Ipv6Addr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::wire::{QueryFlags, Question};

/// One try at one server.
pub(super) const TRY: Duration = Duration::from_millis(2500);
/// Ports and what they were used for are guessed in time (RFC 5452 10): a socket takes no more questions than this, and none after this long.
const MOST_QUESTIONS: u64 = 16_384;
const RENEWED_AFTER: Duration = Duration::from_secs(30);
/// In the air on one socket: their answers fit the kernel's buffer.
const AT_ONCE: usize = 128;
/// Packets read before others have a turn.
const IN_A_ROW: usize = 64;

/// Why no answer came; what says more of several is the greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lost {
    /// The socket's time was over before the question's; another one has to ask.
    Closed,
    /// Nobody listens there, or no way leads there.
    Unreachable,
    /// Nothing in time.
    Timeout,
    /// The answer does not fit into UDP, and there is none over TCP: why.
    NoTcp(String),
}

/// A message, or why none came.
type Reply = Result<Vec<u8>, Lost>;

#[derive(Debug)]
pub(super) struct Socket {
    udp: UdpSocket,
    born: Instant,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    slots: HashMap<u16, Slot>,
    /// Deadlines in the order of the questions, which all have the same time: one timer is enough. Answered ones are passed over.
    order: VecDeque<(Instant, u16, u64)>,
    asked: u64,
    closed: bool,
}

#[derive(Debug)]
struct Slot {
    serial: u64,
    question: Question,
    reply: oneshot::Sender<Reply>,
}

impl Waiting {
    fn holds(&self, id: u16, serial: u64) -> bool {
        self.slots.get(&id).is_some_and(|slot| slot.serial == serial)
    }

    /// Lets go of deadlines that matter no more.
    fn tidy(&mut self) {
        while let Some((_, id, serial)) = self.order.front()
            && !self.holds(*id, *serial)
        {
            self.order.pop_front();
        }
    }
}

/// Frees the place of a question whose asker has gone.
struct Place<'a> {
    socket: &'a Socket,
    id: u16,
    serial: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.socket.waiting();
        if waiting.holds(self.id, self.serial) {
            waiting.slots.remove(&self.id);
        }
    }
}

/// However the receiving ends, a runtime that goes included: nobody waits for it.
struct Closing<'a>(&'a Socket);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.closed = true;
        waiting.slots.clear();
    }
}

impl Socket {
    /// On a port that the kernel picks at random.
    pub async fn open(server: SocketAddr) -> io::Result<Arc<Self>> {
        let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let udp = UdpSocket::bind(any).await?;
        udp.connect(server).await?;
        Ok(Arc::new(Self { udp, born: Instant::now(), waiting: Mutex::default() }))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its receiving has ended.
    pub fn is_closed(&self) -> bool {
        self.waiting().closed
    }

    /// Whether it takes another question, and whether it ever will again.
    pub fn has_room(&self, now: Instant) -> (bool, bool) {
        let waiting = self.waiting();
        let young = !waiting.closed && waiting.asked < MOST_QUESTIONS && now.duration_since(self.born) < RENEWED_AFTER;
        (young && waiting.slots.len() < AT_ONCE, young)
    }

    /// Questions in the air.
    #[cfg(test)]
    pub fn in_flight(&self) -> usize {
        self.waiting().slots.len()
    }

    /// Sends a question and waits for its answer, for one try.
    pub async fn ask(&self, question: &Question, flags: QueryFlags, edns: bool) -> Result<Vec<u8>, Lost> {
        let (place, reply) = self.place(question)?;
        let message = question.message(place.id, flags, edns);
        let sent = match self.udp.try_send(&message) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Box::pin(tokio::time::timeout(TRY, self.udp.send(&message))).await.map_err(|_| Lost::Timeout)?
            }
            sent => sent,
        };
        if sent.is_err() {
            // It may be the news of an earlier question; a connected socket has one resolver, so it is true of all.
            self.lose_all();
            return Err(Lost::Unreachable);
        }
        reply.await.unwrap_or(Err(Lost::Closed))
    }

    fn place(&self, question: &Question) -> Result<(Place<'_>, oneshot::Receiver<Reply>), Lost> {
        let (reply, receiver) = oneshot::channel();
        let mut waiting = self.waiting();
        if waiting.closed || waiting.slots.len() >= usize::from(u16::MAX / 2) {
            return Err(Lost::Closed);
        }
        waiting.asked += 1;
        let serial = waiting.asked;
        let id = loop {
            let id = rand::random::<u16>();
            if !waiting.slots.contains_key(&id) {
                break id;
            }
        };
        waiting.slots.insert(id, Slot { serial, question: question.clone(), reply });
        waiting.tidy();
        waiting.order.push_back((Instant::now() + TRY, id, serial));
        Ok((Place { socket: self, id, serial }, receiver))
    }

    /// Takes answers until the socket is no longer asked. Aborted when its owner goes.
    pub async fn receive(self: Arc<Self>) {
        let _closing = Closing(&self);
        let mut buffer = [0_u8; 4096];
        let mut timer = pin!(sleep_until(Instant::now() + TRY));
        loop {
            let mut read = 0;
            while read < IN_A_ROW {
                match self.udp.try_recv(&mut buffer) {
                    Ok(length) => self.deliver(&buffer[..length]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Nobody listens there: a resolver that starts anew is asked again from here.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.lose_all(),
                    Err(_) => return self.lose_all(),
                }
                read += 1;
            }
            if read == IN_A_ROW {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                biased;
                ready = self.udp.readable() => if ready.is_err() { return },
                () = timer.as_mut() => match self.expire() {
                    Some(next) => timer.as_mut().reset(next),
                    None => return,
                },
            }
        }
    }

    /// Gives a packet to whom it answers. Anything else is noise or forged.
    fn deliver(&self, packet: &[u8]) {
        let Some(id) = packet.first_chunk::<2>().map(|id| u16::from_be_bytes(*id)) else { return };
        let mut waiting = self.waiting();
        if let Entry::Occupied(slot) = waiting.slots.entry(id)
            && slot.get().question.is_answered_by(packet, id)
        {
            let slot = slot.remove();
            drop(waiting);
            // Its asker may have gone in this moment.
            let _gone = slot.reply.send(Ok(packet.to_vec()));
        }
    }

    fn lose_all(&self) {
        let slots = std::mem::take(&mut self.waiting().slots);
        for slot in slots.into_values() {
            // Its asker may have gone in this moment.
            let _gone = slot.reply.send(Err(Lost::Unreachable));
        }
    }

    /// Ends the wait of what is due, and says when to look again: never, when nothing was asked for as long as sockets live.
    fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut waiting = self.waiting();
        while let Some((_, id, serial)) = waiting.order.front().copied().filter(|(due, ..)| *due <= now) {
            waiting.order.pop_front();
            if waiting.holds(id, serial)
                && let Some(slot) = waiting.slots.remove(&id)
            {
                // Its asker may have gone in this moment.
                let _gone = slot.reply.send(Err(Lost::Timeout));
            }
        }
        waiting.tidy();
        if let Some((due, _, _)) = waiting.order.front() {
            return Some(*due);
        }
        waiting.closed = self.born.elapsed() >= RENEWED_AFTER;
        // A question that comes meanwhile is due after this.
        (!waiting.closed).then(|| now + TRY)
    }
}
