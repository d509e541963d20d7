//! `name=value;` lists as DMARC, TLS-RPT, MTA-STS and BIMI write them, and as the history of DKIM keys compares them.

use std::collections::HashSet;

/// Characters of a stranger's text that an error quotes.
const MOST_QUOTED: usize = 40;

/// Names once, white space around both sides ignored, empty parts allowed. Names of extensions may have hyphens and dots in them (RFC 8460 3,
/// RFC 8461 3.1).
pub(in crate::audit) fn tags(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut tags: Vec<(String, String)> = Vec::new();
    let mut names: HashSet<&str> = HashSet::new();
    let quoted = |text: &str| crate::text::shown(text, MOST_QUOTED);
    for piece in text.split(';').map(str::trim).filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').ok_or_else(|| format!("“{}” is no tag: it lacks “=”", quoted(piece)))?;
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
            return Err(format!("“{}” is no name of a tag", quoted(name)));
        }
        if !names.insert(name) {
            return Err(format!("the tag {}= stands twice", quoted(name)));
        }
        tags.push((name.to_owned(), value.trim().to_owned()));
    }
    if tags.is_empty() { Err("there is no tag in it".to_owned()) } else { Ok(tags) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_as_long_as_dns_carries_is_read_once() {
        // Ten answers' worth: comparing each name with all before it would take minutes.
        let long = (0..100_000).map(|n| format!("t{n}=;")).collect::<Vec<_>>().concat();
        assert_eq!(tags(&long).map(|tags| tags.len()), Ok(100_000));
        assert_eq!(tags(&format!("{long}t7=1")), Err("the tag t7= stands twice".to_owned()));
        for wrong in ["x".repeat(60_000), format!("{}=1", "ü".repeat(30_000)), format!("{0}=1;{0}=2", "x".repeat(30_000))] {
            assert!(tags(&wrong).unwrap_err().chars().count() < 100, "an error quotes no whole record");
        }
    }
}
