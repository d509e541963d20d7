//! The control interface from Rust.

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::dnssec::Signing;
use crate::error::LabError;
use crate::faults::{Fault, FaultSetting};
use crate::hooks::SlackPost;
use crate::leases::{Lease, LeaseRequest};
use crate::sink::{Mail, SinkFault};
use crate::zone::ZoneFault;

const CALL_LIMIT: Duration = Duration::from_secs(30);

/// A client of HTTP that waits no longer than this.
pub(crate) fn http(limit: Duration) -> Result<reqwest::Client, LabError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() && rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("somebody else was quicker to install a crypto provider");
    }
    Ok(reqwest::Client::builder().no_proxy().timeout(limit).build()?)
}

/// A client of a lab's control interface.
#[derive(Debug, Clone)]
pub struct LabClient {
    base: String,
    http: reqwest::Client,
}

impl LabClient {
    /// A client of the lab whose control interface is at a URL (`control` of the ready line).
    pub fn new(control: &str) -> Result<Self, LabError> {
        Ok(Self { base: control.trim_end_matches('/').to_owned(), http: http(CALL_LIMIT)? })
    }

    async fn call<T: DeserializeOwned>(&self, method: reqwest::Method, path: &str, body: Option<&impl Serialize>) -> Result<T, LabError> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.json().await?);
        }
        Err(LabError::Control(format!("{path}: {status}: {}", response.text().await?)))
    }

    async fn put(&self, path: &str, body: &impl Serialize) -> Result<(), LabError> {
        self.call::<Value>(reqwest::Method::PUT, path, Some(body)).await.map(drop)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, LabError> {
        self.call(reqwest::Method::POST, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Result<(), LabError> {
        self.call::<Value>(reqwest::Method::DELETE, path, None::<&()>).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, LabError> {
        self.call(reqwest::Method::GET, path, None::<&()>).await
    }

    /// The whole state.
    pub async fn state(&self) -> Result<Value, LabError> {
        self.get("/").await
    }

    /// Leases `<name>.lab.test`, or the like when that is taken.
    pub async fn lease(&self, name: &str) -> Result<Lease, LabError> {
        self.lease_with(&LeaseRequest { name: Some(name.to_owned()), ..LeaseRequest::default() }).await
    }

    /// Leases a whole domain.
    pub async fn lease_domain(&self, domain: &str) -> Result<Lease, LabError> {
        self.lease_with(&LeaseRequest { domain: Some(domain.to_owned()), ..LeaseRequest::default() }).await
    }

    /// Leases `<name>.dnssec.test`, signed, with a TLSA record that pins the key of its host.
    pub async fn lease_signed(&self, name: &str, signing: Signing) -> Result<Lease, LabError> {
        self.lease_with(&LeaseRequest { name: Some(name.to_owned()), dnssec: Some(signing), ..LeaseRequest::default() }).await
    }

    /// Leases with all wishes.
    pub async fn lease_with(&self, request: &LeaseRequest) -> Result<Lease, LabError> {
        self.post("/leases", request).await
    }

    /// Gives a lease back.
    pub async fn give_back(&self, domain: &str) -> Result<(), LabError> {
        self.delete(&format!("/leases/{domain}")).await
    }

    /// Sets what a port of a leased host does.
    pub async fn fault(&self, address: Ipv4Addr, port: u16, fault: Fault) -> Result<(), LabError> {
        self.fault_with(address, port, FaultSetting { fault, delay_ms: None }).await
    }

    /// Sets what a port of a leased host does, with its measure.
    pub async fn fault_with(&self, address: Ipv4Addr, port: u16, setting: FaultSetting) -> Result<(), LabError> {
        self.put(&format!("/hosts/{address}/ports/{port}"), &setting).await
    }

    /// Replaces all records of a zone, which is made when it is not there.
    pub async fn set_zone(&self, zone: &str, records: &[&str]) -> Result<(), LabError> {
        self.put(&format!("/dns/{zone}"), &json!({ "records": records })).await
    }

    /// Adds a record in the notation of zone files.
    pub async fn add_record(&self, zone: &str, record: &str) -> Result<(), LabError> {
        self.post::<Value>(&format!("/dns/{zone}/records"), &json!({ "record": record })).await.map(drop)
    }

    /// Removes the records of a name and type that contain a text. Returns how many there were.
    pub async fn remove_records(&self, zone: &str, name: &str, kind: Option<&str>, contains: Option<&str>) -> Result<u64, LabError> {
        let body = json!({ "name": name, "type": kind, "contains": contains });
        let answer: Value = self.call(reqwest::Method::DELETE, &format!("/dns/{zone}/records"), Some(&body)).await?;
        Ok(answer["touched"].as_u64().unwrap_or(0))
    }

    /// Removes a zone.
    pub async fn drop_zone(&self, zone: &str) -> Result<(), LabError> {
        self.delete(&format!("/dns/{zone}")).await
    }

    /// Sets what the resolver meets when it asks for a zone, a block list's included.
    pub async fn zone_fault(&self, zone: &str, fault: ZoneFault) -> Result<(), LabError> {
        self.put(&format!("/dns/{zone}/fault"), &json!({ "fault": fault })).await
    }

    /// Stops the resolver from answering, or lets it go on.
    pub async fn resolver_dead(&self, dead: bool) -> Result<(), LabError> {
        self.post::<Value>("/resolver", &json!({ "fault": if dead { "dead" } else { "none" } })).await.map(drop)
    }

    /// Signs a zone below `dnssec.test`, well or badly.
    pub async fn sign_zone(&self, zone: &str, signing: Signing) -> Result<(), LabError> {
        self.put(&format!("/dns/{zone}/signing"), &json!({ "signing": signing })).await
    }

    /// Lists an address of either kind, or a domain, at a block list.
    pub async fn list(&self, zone: &str, entry: impl Display) -> Result<(), LabError> {
        self.list_as(zone, entry, Ipv4Addr::new(127, 0, 0, 2)).await
    }

    /// The same with an answer of one's own.
    pub async fn list_as(&self, zone: &str, entry: impl Display, answer: Ipv4Addr) -> Result<(), LabError> {
        self.put(&format!("/rbl/{zone}/{entry}"), &json!({ "answer": answer })).await
    }

    /// Takes an address or a domain off a block list.
    pub async fn unlist(&self, zone: &str, entry: impl Display) -> Result<(), LabError> {
        self.delete(&format!("/rbl/{zone}/{entry}")).await
    }

    /// Sets the text of a domain's MTA-STS policy and its HTTP status.
    pub async fn set_policy(&self, domain: &str, status: u16, body: &str) -> Result<(), LabError> {
        self.put(&format!("/mta-sts/{domain}"), &json!({ "status": status, "body": body })).await
    }

    /// Mail that arrived for an address.
    pub async fn mail(&self, to: &str) -> Result<Vec<Mail>, LabError> {
        let to: String =
            to.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
        self.get(&format!("/sink/messages?to={to}")).await
    }

    /// Waits until at least `count` messages arrived for an address.
    pub async fn wait_for_mail(&self, to: &str, count: usize, limit: Duration) -> Result<Vec<Mail>, LabError> {
        let until = Instant::now() + limit;
        loop {
            let mails = self.mail(to).await?;
            if mails.len() >= count {
                return Ok(mails);
            }
            if Instant::now() > until {
                return Err(LabError::Timeout(format!("{count} messages for {to}, {} came", mails.len())));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Forgets all mail.
    pub async fn clear_mail(&self) -> Result<(), LabError> {
        self.delete("/sink/messages").await
    }

    /// Sets how the sink treats senders.
    pub async fn sink_fault(&self, fault: SinkFault) -> Result<(), LabError> {
        self.put("/sink/fault", &json!({ "fault": fault })).await
    }

    /// What was posted to the Slack stand-in.
    pub async fn slack(&self) -> Result<Vec<SlackPost>, LabError> {
        self.get("/slack/messages").await
    }
}
