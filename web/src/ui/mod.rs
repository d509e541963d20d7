//! Pieces that pages are made of. Class names are those of the style sheet.

mod audit;
mod chart;
mod conversation;
mod detail;
mod dkim;
mod dmarc;
pub(crate) mod family;
mod form;
mod gate;
mod grid;
mod guide;
mod history;
mod incident;
mod list_table;
mod listing;
mod maintenance;
mod markdown;
mod parts;
mod plot;
mod regions;
mod score;
mod service;
mod session;
mod shell;
mod spf;
mod stays;
mod tags;
mod timing;
mod trace;
mod transport;

pub(crate) use audit::{as_of, checks_strip, findings, findings_of_watched, record, records, unknown_parts};
pub(crate) use chart::uptime;
pub(crate) use conversation::{close_look, login_look, transcript};
pub(crate) use detail::{details, on_this_page};
pub(crate) use form::{Form, INTERVALS, interval_choices};
pub(crate) use gate::{Button, FormTag, Gate};
pub(crate) use grid::{Show, grid};
pub(crate) use guide::{guides, guides_first_open, type_word};
pub(crate) use history::{Shown as HistoryShown, history, query as history_query, server_history};
pub(crate) use incident::{flapping_badge, incident_badge, incident_item, open_incidents};
pub(crate) use list_table::list_entries;
pub(crate) use listing::{listing_status, listings, of_domain, rests_on, scanned};
pub(crate) use maintenance::{maintenance_line, maintenance_mark};
pub(crate) use markdown::markdown;
pub(crate) use parts::{
    ascii_form, ascii_note, badge, breakable, copied, grade, head, icon, large_icon, monitor_badge, monitor_status, state_badge, state_status,
    state_word, status, time, verdict, when,
};
pub(crate) use regions::regions;
pub(crate) use score::{lost_points, score_sentence};
pub(crate) use service::{service_evidence, service_looks};
pub(crate) use session::{session, takes_from_servers, tls_status};
pub(crate) use shell::{Place, public, shell};
pub(crate) use stays::{stays, stood_before};
pub(crate) use tags::{asked_tag, tag_filter, tag_parts, tags, tags_field, unused_tags};
pub(crate) use timing::{Period, timing};
pub(crate) use trace::trace;

/// The icons, once per page.
pub(crate) const SPRITE: &str = include_str!("sprite.svg");
