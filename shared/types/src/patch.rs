//! How the fields of a patch are read.

use serde::Deserialize;

/// A field that is absent stays, one that is null is taken away.
#[expect(clippy::option_option, reason = "a patch tells what is absent from what is null")]
pub(crate) fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
