//! The web hosts of a domain: the name itself and `www`. Their addresses are on block lists as those of mail servers are, and filters look
//! them up for the links in a mail.

use futures::future::join_all;
use waypost_types::outcome::WebHost;

use super::Facts;
use crate::net::Net;

/// Addresses of one host that are kept.
const MOST_ADDRESSES: usize = 4;

/// What could not be told is left out: it is looked at again with the next audit.
pub(super) async fn hosts(net: &Net, facts: &Facts) -> Vec<WebHost> {
    if facts.nxdomain {
        return Vec::new();
    }
    let names = [facts.domain.to_string(), format!("www.{}", facts.domain)];
    let looks = join_all(names.map(|host| async move {
        let mut addresses = net.dns().addresses(&host).await.found();
        addresses.truncate(MOST_ADDRESSES);
        WebHost { host, addresses }
    }))
    .await;
    looks.into_iter().filter(|host| !host.addresses.is_empty()).collect()
}
