//! Tags that an organisation gives to what it watches.

use serde::{Deserialize, Serialize};

/// Characters of a tag at most.
pub const MOST_CHARACTERS: usize = 30;
/// Tags of one thing at most.
pub const MOST_TAGS: usize = 20;

/// Why a list of tags can not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// One of them is none.
    #[error("“{0}” is no tag: a tag is 1 to {MOST_CHARACTERS} letters, digits and the signs - _ . : / without spaces.")]
    Unusable(String),
    /// There are too many.
    #[error("Give at most {MOST_TAGS} tags.")]
    TooMany,
}

/// A tag as it is kept: in lower case.
pub fn tag(text: &str) -> Result<String, TagError> {
    let name = text.trim().to_lowercase();
    let usable = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | ':' | '/');
    if name.is_empty() || name.chars().count() > MOST_CHARACTERS || !name.chars().all(usable) {
        return Err(TagError::Unusable(text.chars().take(40).collect()));
    }
    Ok(name)
}

/// Tags as they are kept: each once, in the order of the alphabet.
pub fn tags<T: AsRef<str>>(given: &[T]) -> Result<Vec<String>, TagError> {
    let mut tags = given.iter().map(|text| tag(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > MOST_TAGS { Err(TagError::TooMany) } else { Ok(tags) }
}

/// One tag that is in use, and on how many things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TagUse {
    /// The tag.
    pub tag: String,
    /// Domains that have it.
    pub domains: u32,
    /// Mail servers that have it.
    pub servers: u32,
    /// Addresses that have it.
    pub addresses: u32,
    /// Services that have it.
    #[serde(default)]
    pub services: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_kept_in_lower_case_each_once_and_what_is_none_is_refused() {
        assert_eq!(tags(&[" Web", "berlin", "WEB", "größe"]), Ok(vec!["berlin".to_owned(), "größe".to_owned(), "web".to_owned()]));
        assert_eq!(tag(&"x".repeat(30)).map(|tag| tag.len()), Ok(30));
        let long = "x".repeat(31);
        for bad in ["", " ", "a b", "a,b", "=1", "<b>", &long] {
            assert!(matches!(tag(bad), Err(TagError::Unusable(_))), "{bad}");
        }
        let many: Vec<String> = (0..21).map(|number| format!("t{number}")).collect();
        assert_eq!(tags(&many), Err(TagError::TooMany));
        assert_eq!(tags(&many[..20]).map(|tags| tags.len()), Ok(20));
    }
}
