//! SPF (RFC 7208): the grammar, the macros, and `check_host()`. What an audit says of a record is in `audit::spf`.

mod eval;
mod fetch;
mod macros;
mod record;
#[cfg(test)]
mod tests;

pub use eval::{MAX_LOOKUPS, MAX_NAMES, MAX_VOID_LOOKUPS, SpfEvaluation, SpfResult, check_host};
pub use fetch::{FetchError, SpfDns, fetch};
pub use macros::{Context, MacroString};
pub use record::{Directive, DualCidr, MODIFIER_TWICE, Mechanism, Qualifier, Record, SyntaxError, is_spf, is_term, mistakes, parse};
