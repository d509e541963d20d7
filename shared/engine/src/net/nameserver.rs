//! For tests: name servers that have their zone themselves and answer with authority, at addresses of one's own.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, rdata::NS},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};

use super::tests::{Say, absolute, answer};

/// What the server has.
#[derive(Debug)]
pub(crate) struct Authoritative {
    /// Its names.
    pub(crate) names: BTreeMap<String, Say>,
    /// The servers that it refers to for every name that it does not have.
    pub(crate) referral: Vec<String>,
    /// So many questions are refused before it begins to answer.
    pub(crate) refusals: AtomicU32,
}

impl Authoritative {
    /// Starts it; without a TCP port where `tcp` is off. Fails where the address is taken.
    pub(crate) async fn start(self, address: SocketAddr, tcp: bool) -> io::Result<()> {
        let zone = Arc::new(self);
        if tcp {
            Arc::clone(&zone).serve_tcp(TcpListener::bind(address).await?);
        }
        zone.serve_udp(UdpSocket::bind(address).await?);
        Ok(())
    }

    fn serve_udp(self: Arc<Self>, udp: UdpSocket) {
        tokio::spawn(async move {
            let mut buffer = [0_u8; 4096];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                if let Some(answer) = self.answer(&buffer[..length], false) {
                    udp.send_to(&answer, from).await.unwrap();
                }
            }
        });
    }

    fn serve_tcp(self: Arc<Self>, tcp: TcpListener) {
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let zone = Arc::clone(&self);
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        let mut question = vec![0; usize::from(length)];
                        stream.read_exact(&mut question).await.unwrap();
                        let Some(answer) = zone.answer(&question, true) else { return };
                        stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                        stream.write_all(&answer).await.unwrap();
                    }
                });
            }
        });
    }

    /// As the other test server answers, with authority or as a referral.
    fn answer(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let mut said = Message::from_vec(&answer(&self.names, question, tcp)?).unwrap();
        said.metadata.recursion_available = false;
        if self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            said.answers.clear();
            said.metadata.response_code = ResponseCode::Refused;
        }
        let asked = said.queries[0].name().clone();
        if said.metadata.response_code == ResponseCode::NXDomain && !self.referral.is_empty() {
            said.metadata.response_code = ResponseCode::NoError;
            for server in &self.referral {
                said.add_authority(Record::from_rdata(asked.clone(), 60, RData::NS(NS(absolute(server).unwrap()))));
            }
        } else {
            said.metadata.authoritative = matches!(said.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
        }
        Some(said.to_vec().unwrap())
    }
}
