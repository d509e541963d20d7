//! What an evaluation asks of DNS, and the one SPF record of a name (RFC 7208 4.4, 4.5).

use std::{future::Future, net::IpAddr};

use super::record;
use crate::net::{Dns, DnsFailure, Lookup};

/// The questions an evaluation asks; a map in tests.
pub trait SpfDns: Sync {
    /// TXT records, each joined.
    fn txt(&self, name: &str) -> impl Future<Output = Lookup<Vec<u8>>> + Send;
    /// A or AAAA records, as the family says.
    fn address(&self, name: &str, v6: bool) -> impl Future<Output = Lookup<IpAddr>> + Send;
    /// MX hosts.
    fn mx(&self, name: &str) -> impl Future<Output = Lookup<(u16, String)>> + Send;
    /// Reverse names.
    fn ptr(&self, address: IpAddr) -> impl Future<Output = Lookup<String>> + Send;
}

impl SpfDns for Dns {
    async fn txt(&self, name: &str) -> Lookup<Vec<u8>> {
        Self::txt(self, name).await
    }
    async fn address(&self, name: &str, v6: bool) -> Lookup<IpAddr> {
        if v6 { self.aaaa(name).await.filter_map(|a| Some(a.into())) } else { self.a(name).await.filter_map(|a| Some(a.into())) }
    }
    async fn mx(&self, name: &str) -> Lookup<(u16, String)> {
        Self::mx(self, name).await
    }
    async fn ptr(&self, address: IpAddr) -> Lookup<String> {
        Self::ptr(self, address).await
    }
}

/// The one SPF record of a name: `Ok(None)` when there is none.
pub async fn fetch<D: SpfDns>(dns: &D, domain: &str) -> Result<Option<Vec<u8>>, FetchError> {
    match dns.txt(domain).await {
        Lookup::Failed(DnsFailure::BadName(_)) | Lookup::Missing(_) => Ok(None),
        Lookup::Failed(failure) => Err(FetchError::Dns(failure)),
        Lookup::Found(records) => {
            let mut spf = records.into_iter().filter(|txt| record::is_spf(txt));
            match (spf.next(), spf.next()) {
                (first, None) => Ok(first),
                _ => Err(FetchError::Multiple),
            }
        }
    }
}

/// Why there is no one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// Could not be told.
    Dns(DnsFailure),
    /// More than one.
    Multiple,
}
