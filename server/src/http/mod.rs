//! What every endpoint shares: problems, bodies, lists, conditions, who is asking and what guards the door. No endpoint lives here.

pub mod body;
pub mod client;
pub mod condition;
pub mod cross_site;
pub mod headers;
pub mod idempotency;
pub mod org;
pub mod page;
pub mod problem;
pub mod rate;
pub mod search;
pub mod session;
pub mod slack;
