//! The PostgreSQL store: every query of the product, one file per aggregate, and the tenancy around it.
//!
//! Tenant tables are reached through [`OrgTx`] alone. What is outside tenancy (people, sessions, worker regions) and the cross-tenant
//! functions (claiming, partitions, look-ups before the organisation is known) are methods of [`Store`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod account_mail;
pub mod account_tokens;
pub mod addresses;
pub mod assets;
pub mod changes;
pub mod channel_messages;
pub mod channel_turns;
pub mod channels;
pub mod close_looks;
mod crowding;
pub mod discovery;
pub mod domains;
mod error;
pub mod fleet;
pub mod follow_ups;
pub mod held_notices;
pub mod history;
pub mod idempotency;
pub mod incident_care;
pub mod incident_list;
pub mod incidents;
pub mod instructions;
pub mod judging;
pub mod list_health;
pub mod listings;
pub mod lists;
pub mod live;
pub mod maintenance;
mod migrate;
pub mod monitors;
pub mod new_monitors;
mod org_tx;
pub mod outbox;
pub mod overview;
pub mod people;
mod pool;
pub mod pools;
pub mod recording;
pub mod region_looks;
pub mod regions;
pub mod related;
pub mod reopening;
pub mod results;
pub mod retention;
pub mod rollups;
pub mod roster;
pub mod routes;
pub mod routing;
pub mod rule_states;
pub mod rule_values;
pub mod rules;
pub mod runbooks;
pub mod schedule;
pub mod server_history;
pub mod server_logins;
pub mod servers;
pub mod sessions;
pub mod slack;
pub mod slack_messages;
pub mod standing;
#[cfg(feature = "testing")]
pub mod testing;
pub mod throttle;
pub mod timings;
pub mod transitions;
pub mod unheard;
pub mod users;

pub use error::StoreError;
pub use migrate::{migrate, migrations_pending};
pub use org_tx::OrgTx;
pub use pool::Store;
