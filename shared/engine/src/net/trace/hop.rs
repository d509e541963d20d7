//! One connection attempt that may travel only so far, and who ended it.
//!
//! Linux needs no privilege for it: a socket with a small TTL is connected, and who sent it back is read from its error queue (`IP_RECVERR`,
//! since Linux 5.9 for TCP that is being connected). Where the kernel does not tell, it says so.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, getsockopt, recvmsg, setsockopt,
        socket,
        sockopt::{Ipv4RecvErr, Ipv4Ttl, Ipv6RecvErr, Ipv6Ttl, SocketError},
    },
};
use tokio::{io::Interest, net::TcpStream, time::Instant};

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6` of Linux.
const ICMP: u8 = 2;
const ICMP6: u8 = 3;
/// Time exceeded (RFC 792, RFC 4443 3.3).
const EXCEEDED: u8 = 11;
const EXCEEDED6: u8 = 3;
/// Errors of one socket that are read: there is one.
const MOST_ERRORS: usize = 4;

/// Who ended an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// The host took the connection.
    Connected,
    /// The host answered that nothing listens there.
    Refused,
    /// A router whose turn it was.
    Router(Option<IpAddr>),
    /// Somebody who says that there is no way, and in which words.
    NoWay(Option<IpAddr>, &'static str),
    /// Nobody in time.
    Silent,
}

/// An attempt that is on its way.
#[derive(Debug)]
struct Attempt {
    /// On its way to be one.
    stream: TcpStream,
    begun: Instant,
}

/// Tries to connect over so many routers, and says who ended it after how many milliseconds. An error where the kernel does not let us.
pub(super) async fn attempt(to: SocketAddr, hops: u8, wait: Duration) -> io::Result<(Ended, f64)> {
    let attempt = match Attempt::begin(to, hops) {
        Ok(attempt) => attempt,
        // No way leads out from here.
        Err(Errno::ENETUNREACH | Errno::EHOSTUNREACH) => return Ok((Ended::NoWay(None, "no way leads there from here"), 0.0)),
        Err(error) => return Err(error.into()),
    };
    let ended = tokio::time::timeout(wait, attempt.end()).await.unwrap_or(Ok(Ended::Silent))?;
    Ok((ended, attempt.begun.elapsed().as_secs_f64() * 1e3))
}

impl Attempt {
    fn begin(to: SocketAddr, hops: u8) -> Result<Self, Errno> {
        let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let fd = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp)?;
        if to.is_ipv4() {
            setsockopt(&fd, Ipv4RecvErr, &true)?;
            setsockopt(&fd, Ipv4Ttl, &i32::from(hops))?;
        } else {
            setsockopt(&fd, Ipv6RecvErr, &true)?;
            setsockopt(&fd, Ipv6Ttl, &i32::from(hops))?;
        }
        let begun = Instant::now();
        match connect(fd.as_raw_fd(), &SockaddrStorage::from(to)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let stream = TcpStream::from_std(fd.into()).map_err(|error| Errno::try_from(error).unwrap_or(Errno::EMFILE))?;
        Ok(Self { stream, begun })
    }

    async fn end(&self) -> io::Result<Ended> {
        loop {
            let ready = self.stream.ready(Interest::WRITABLE | Interest::ERROR).await?;
            if let Some(ended) = self.queued() {
                return Ok(ended);
            }
            match getsockopt(&self.stream, SocketError).map(Errno::from_raw) {
                Ok(Errno::UnknownErrno) if ready.is_writable() => return Ok(Ended::Connected),
                // Nothing has happened after all: the next news is waited for.
                Ok(Errno::UnknownErrno) => {
                    drop(self.stream.try_io(Interest::WRITABLE | Interest::ERROR, || Err::<(), _>(io::ErrorKind::WouldBlock.into())));
                }
                Ok(Errno::ECONNREFUSED | Errno::ECONNRESET) => return Ok(Ended::Refused),
                // It was sent back, and the kernel does not say by whom.
                Ok(Errno::EHOSTUNREACH | Errno::ENETUNREACH) => return Ok(Ended::Router(None)),
                Ok(Errno::ETIMEDOUT) => return Ok(Ended::Silent),
                Ok(error) | Err(error) => return Err(error.into()),
            }
        }
    }

    /// What the error queue says.
    fn queued(&self) -> Option<Ended> {
        for _ in 0..MOST_ERRORS {
            let (mut data, mut control) = ([0_u8; 512], [0_u8; 512]);
            let mut pieces = [IoSliceMut::new(&mut data)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let message = recvmsg::<SockaddrStorage>(self.stream.as_raw_fd(), &mut pieces, Some(&mut control), flags).ok()?;
            for told in message.cmsgs().ok()? {
                let (error, by) = match told {
                    ControlMessageOwned::Ipv4RecvErr(error, by) => (error, by.map(|by| IpAddr::from(u32::from_be(by.sin_addr.s_addr).to_be_bytes()))),
                    ControlMessageOwned::Ipv6RecvErr(error, by) => (error, by.map(|by| IpAddr::from(by.sin6_addr.s6_addr))),
                    _ => continue,
                };
                match (error.ee_origin, error.ee_type, error.ee_code) {
                    (ICMP, EXCEEDED, _) | (ICMP6, EXCEEDED6, _) => return Some(Ended::Router(by)),
                    (ICMP, 3, code) => return Some(Ended::NoWay(by, unreachable_word(code))),
                    (ICMP6, 1, code) => return Some(Ended::NoWay(by, unreachable_word6(code))),
                    _ => {}
                }
            }
        }
        None
    }
}

/// Codes of destination unreachable (RFC 792, RFC 1812 5.2.7.1).
const fn unreachable_word(code: u8) -> &'static str {
    match code {
        0 | 6 | 11 => "the network can not be reached",
        1 | 7 | 12 => "the host can not be reached",
        3 => "nothing takes connections on this port",
        9 | 10 | 13 => "a firewall forbids it",
        _ => "it can not be reached",
    }
}

/// The same of `ICMPv6` (RFC 4443 3.1).
const fn unreachable_word6(code: u8) -> &'static str {
    match code {
        0 => "the network can not be reached",
        1 | 5 => "a firewall forbids it",
        3 => "the host can not be reached",
        4 => "nothing takes connections on this port",
        _ => "it can not be reached",
    }
}
