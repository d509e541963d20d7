//! Pieces that pages are made of. Class names are those of the style sheet.

mod audit;
mod chart;
mod form;
mod parts;
mod shell;

pub(crate) use audit::{checks_strip, findings, list_entries, records, unknown_parts};
pub(crate) use chart::{latency, uptime};
pub(crate) use form::{Form, interval_choices};
pub(crate) use parts::{badge, copied, crumbs_title, grade, icon, state_badge, state_status, status, time, when};
pub(crate) use shell::{Place, public, shell};

/// The icons, once per page.
pub(crate) const SPRITE: &str = include_str!("sprite.svg");
