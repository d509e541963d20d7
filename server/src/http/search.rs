//! The words that narrow a list. A form that leaves one empty does not narrow.

use super::problem::ApiError;

/// Characters of a search at most.
const LONGEST: usize = 253;

/// One of some words, whose `names` the answer says where it is none of them.
pub fn one_of<T: std::str::FromStr>(field: &str, given: Option<&String>, names: &[&str]) -> Result<Option<T>, ApiError> {
    let given = given.map(|text| text.trim()).filter(|text| !text.is_empty());
    given.map(|text| text.parse().map_err(|_| ApiError::field(field, format!("Give one of {}.", names.join(", "))))).transpose()
}

/// Text to be looked for.
pub fn checked(field: &str, given: Option<&String>) -> Result<(), ApiError> {
    let Some(text) = given else { return Ok(()) };
    if text.chars().count() > LONGEST {
        return Err(ApiError::field(field, format!("Search for at most {LONGEST} characters.")));
    }
    if text.contains(char::is_control) {
        return Err(ApiError::field(field, "Leave control characters out."));
    }
    Ok(())
}
