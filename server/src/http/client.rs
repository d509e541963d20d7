//! Who is at the other end of the connection: the address that limits count by. `X-Forwarded-For` is believed from trusted proxies only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, request::Parts},
    middleware::Next,
    response::Response,
};
use ipnet::IpNet;

use crate::state::AppState;

/// The visitor's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// What limits count by: the address, or the /64 that one IPv6 customer has.
    pub fn key(self) -> String {
        match self.0.to_canonical() {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
            }
        }
    }

    /// True on this machine.
    pub fn is_loopback(self) -> bool {
        self.0.to_canonical().is_loopback()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // Without the layer nobody is known, and nobody is trusted.
        Ok(parts.extensions.get().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// Finds the visitor's address and puts it beside the request, for the API and for the pages.
pub async fn find_address(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() {
        let address = visitor(peer.ip(), request.headers(), &state.settings.trusted_proxies);
        request.extensions_mut().insert(ClientAddress(address));
        request.extensions_mut().insert(waypost_web::ClientAddress(address));
    }
    next.run(request).await
}

/// The last address of the chain that is no trusted proxy.
fn visitor(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address.to_canonical()));
    if !is_trusted(peer) {
        return peer;
    }
    let mut found = peer;
    let chain = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    for part in chain.collect::<Vec<_>>().into_iter().rev() {
        let Ok(address) = part.trim().trim_matches(['[', ']']).parse::<IpAddr>() else { break };
        found = address;
        if !is_trusted(address) {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.0.0.2".parse().unwrap());
        let table = [("192.0.2.1", "192.0.2.1"), ("10.0.0.1", "198.51.100.7")];
        for (peer, expected) in table {
            assert_eq!(visitor(peer.parse().unwrap(), &headers, &trusted), expected.parse::<IpAddr>().unwrap());
        }
        assert_eq!(ClientAddress("2001:db8:1:2:3::4".parse().unwrap()).key(), "2001:db8:1:2::");
    }
}
