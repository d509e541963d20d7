//! The words of Waypost as types: ids, names, roles, wire types, findings and outcomes.
//!
//! Nothing here reads a clock, a file or a socket, so the same types serve the engine, the store, the API, the pages on
//! the server and the islands in the browser. Rules that need I/O live with the crate that does the I/O.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod account;
pub mod asset;
pub mod audit;
pub mod cause;
pub mod change;
pub mod channel;
pub mod conditions;
pub mod drift;
pub mod event;
pub mod finding;
pub mod fleet;
pub mod headers;
pub mod id;
pub mod incident;
pub mod incident_list;
pub mod judge;
pub mod list_history;
pub mod list_settings;
pub mod listings;
pub mod lists;
pub mod lookup;
pub mod maintenance;
pub mod monitor;
pub mod name;
pub mod org_settings;
pub mod outcome;
pub mod overview;
pub mod page;
mod patch;
pub mod people;
pub mod permission;
pub mod pool;
pub mod problem;
pub mod region;
pub mod roster;
pub mod route;
pub mod rule;
pub mod runbook;
pub mod score;
pub mod server_login;
pub mod service;
pub mod settled;
pub mod slack;
pub mod tag;
pub mod timing;
pub mod topic;
pub mod unicode;
pub mod week;
pub mod zone;

pub use finding::{Finding, Severity, UnknownCause, UnknownPart};
pub use id::{
    AddressId, ChangeId, ChannelId, DomainId, IncidentId, InvitationId, MonitorId, OrgId, PoolId, RouteId, RuleId, ServerId, UserId, WindowId,
};
pub use name::{Cidr, DomainName, EmailAddress, NameError};
