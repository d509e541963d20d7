//! What comes many at once is told together: who was told of a lot just now hears of the rest in one message, whatever its severity, since an
//! eleventh message within minutes says less than one that counts. Pure; the store says what was told.

use chrono::{DateTime, TimeDelta, Utc};

/// After so many messages within [`WINDOW`] the next ones wait for each other.
pub const MANY: u32 = 10;
/// How far back messages count, and how long what comes then waits at most.
pub const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// What happens to other ports of a server within this time of the first is told together.
pub const OF_SERVER: TimeDelta = TimeDelta::minutes(2);

/// What a receiver was told lately that is read by people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lately {
    /// Messages within the window.
    pub messages: u32,
    /// When the first of them was.
    pub first: DateTime<Utc>,
    /// When it was first told within [`OF_SERVER`] that the same happened to another port of the server.
    pub of_server: Option<DateTime<Utc>>,
}

impl Lately {
    /// Until when something that happens now waits; not at all where little was told.
    pub fn waits_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let many = (self.messages >= MANY).then(|| self.first + WINDOW);
        let of_server = self.of_server.map(|first| first + OF_SERVER);
        many.max(of_server).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_many_at_once_waits_for_each_other() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let ago = |seconds| now - TimeDelta::seconds(seconds);
        let ahead = |seconds| Some(now + TimeDelta::seconds(seconds));
        for (messages, first, of_server, until) in [
            (1, 10, None, None),
            (9, 290, None, None),
            (10, 10, None, ahead(290)),
            (99, 299, None, ahead(1)),
            // Another port of the server was told of just now.
            (1, 30, Some(30), ahead(90)),
            (1, 120, Some(120), None),
            // The later of both.
            (11, 200, Some(10), ahead(110)),
            (11, 20, Some(10), ahead(280)),
        ] {
            let lately = Lately { messages, first: ago(first), of_server: of_server.map(ago) };
            assert_eq!(lately.waits_until(now), until, "{messages} {first} {of_server:?}");
        }
    }
}
