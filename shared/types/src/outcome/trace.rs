//! The way to a host, router by router.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The way to an address and port over TCP, as far as it leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PathTrace {
    /// Routers, the nearest first.
    pub hops: Vec<TraceHop>,
    /// How it ended.
    pub end: TraceEnd,
    /// One sentence: where it ended, and what that suggests.
    pub summary: String,
}

/// A router on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TraceHop {
    /// How far away, from 1.
    pub number: u8,
    /// Its address; absent where it kept silent, or is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub address: Option<IpAddr>,
    /// It answered from an address inside the network of Waypost's own, which is not told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Milliseconds until it answered; absent where it kept silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
}

impl TraceHop {
    /// Who it is.
    pub fn who(&self) -> String {
        match (self.address, self.hidden, self.ms) {
            (Some(address), ..) => address.to_string(),
            (None, true, _) => "inside the network of Waypost".to_owned(),
            (None, false, Some(_)) => "not told".to_owned(),
            (None, false, None) => "no answer".to_owned(),
        }
    }
}

/// How a way ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TraceEnd {
    /// The host takes the connection.
    Connected,
    /// The host refuses it.
    Refused,
    /// Somebody on the way says that it leads no further.
    Stopped,
    /// From somewhere on nobody answers.
    Silent,
    /// It could not be followed from here.
    NotPermitted,
}
