//! The pages: each loads what it shows through the API, and handles its own forms.

pub(crate) mod account;
pub(crate) mod add;
pub(crate) mod addresses;
pub(crate) mod changes;
pub(crate) mod channels;
mod covers;
pub(crate) mod domains;
pub(crate) mod fleet;
pub(crate) mod import;
pub(crate) mod incidents;
pub(crate) mod landing;
pub(crate) mod lists;
mod lookup_address;
mod lookup_head;
pub(crate) mod mailbox;
pub(crate) mod maintenance;
pub(crate) mod messages;
pub(crate) mod organisation;
pub(crate) mod overview;
pub(crate) mod pools;
pub(crate) mod routes;
pub(crate) mod rules;
pub(crate) mod runbooks;
pub(crate) mod score;
pub(crate) mod servers;
pub(crate) mod services;
pub(crate) mod settings;
