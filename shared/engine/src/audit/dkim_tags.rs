//! The tag list of a DKIM key record (RFC 6376 3.2), strictly read, and in words what people get wrong when they paste one.

use std::collections::HashMap;

/// White space that may stand around names and values.
pub(super) const FWS: [char; 4] = [' ', '\t', '\r', '\n'];
/// Characters of a record that are quoted.
const MOST_QUOTED: usize = 40;
/// Superfluous semicolons that are told; a record may be nothing else.
const MOST_FORGIVEN: usize = 5;
/// Marks around keys in files (RFC 7468).
const PEM: [&str; 4] = ["-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----", "-----END RSA PUBLIC KEY-----"];

/// A tag and where its value begins: characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    pub(super) at: usize,
}

/// What is wrong with a record, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) reason: String,
    pub(super) fix: String,
}

impl Broken {
    pub(super) fn new(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { reason: reason.into(), fix: fix.into() }
    }
}

/// The tags in their order, and what lenient receivers forgive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TagList<'a> {
    pub(super) tags: Vec<Tag<'a>>,
    pub(super) forgiven: Vec<Broken>,
}

impl<'a> TagList<'a> {
    pub(super) fn get(&self, name: &str) -> Option<Tag<'a>> {
        self.tags.iter().find(|tag| tag.name == name).copied()
    }

    /// The items of a list with colons, in lower case.
    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        self.get(name).map(|tag| tag.value.split(':').map(|item| item.trim_matches(FWS).to_ascii_lowercase()).collect())
    }
}

/// Reads a tag list: names are case-sensitive, each once.
pub(super) fn tag_list(text: &str) -> Result<TagList<'_>, Broken> {
    let mut list = TagList::default();
    let mut first: HashMap<&str, usize> = HashMap::new();
    // The character, from 1, at which the piece begins.
    let mut start = 1;
    let mut pieces = text.split(';').peekable();
    while let Some(piece) = pieces.next() {
        let inside = piece.trim_start_matches(FWS);
        // White space is one byte a character.
        let at = start + piece.len() - inside.len();
        start += piece.chars().count() + 1;
        if inside.is_empty() {
            if pieces.peek().is_some() && list.forgiven.len() < MOST_FORGIVEN {
                list.forgiven.push(Broken::new(
                    format!("a semicolon too many at character {at}"),
                    format!("Take out the semicolon at character {at}: between two tags stands exactly one."),
                ));
            }
            continue;
        }
        let Some((name, value)) = inside.split_once('=') else {
            return Err(Broken::new(
                format!("“{}” at character {at} is no tag: it lacks “=”", quoted(inside)),
                format!("Take out “{}” at character {at}, or the semicolon before it if it is a part of the key.", quoted(inside)),
            ));
        };
        let bare = name.trim_end_matches(FWS);
        check_name(bare, at)?;
        let after = at + name.chars().count() + 1;
        let shown = value.trim_start_matches(FWS);
        let at = after + value.len() - shown.len();
        if let Some(first) = first.insert(bare, at) {
            let bare = quoted(bare);
            return Err(Broken::new(
                format!("the tag {bare}= stands twice, its values at character {first} and at character {after}"),
                format!("Keep one {bare}= and take the other out; receivers discard a record that has a tag twice."),
            ));
        }
        list.tags.push(Tag { name: bare, value: shown.trim_end_matches(FWS), at });
    }
    if list.tags.is_empty() {
        Err(Broken::new("there is no tag in it", "Publish the key as your mail service shows it: “v=DKIM1; k=rsa; p=…”."))
    } else {
        Ok(list)
    }
}

/// `ALPHA *(ALPHA / DIGIT / "_")`.
fn check_name(name: &str, at: usize) -> Result<(), Broken> {
    let word = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if word(name) {
        return Ok(());
    }
    let without: String = name.chars().filter(|c| !FWS.contains(c)).collect();
    if without.len() < name.len() && word(&without) {
        return Err(Broken::new(
            format!("there is white space inside the tag name “{}” at character {at}", quoted(name)),
            format!("Write “{}=” instead, or put a semicolon where the next tag begins.", quoted(&without)),
        ));
    }
    Err(Broken::new(
        format!("“{}” at character {at} is no name of a tag", quoted(name)),
        format!("Take out “{}=” with its value, or correct the name: names of tags are letters, digits and “_”.", quoted(name)),
    ))
}

/// What people paste with a key: said where a record can not be used, since it explains the rest. Notes (`n=`) may hold anything.
pub(super) fn pasted(text: &str) -> Option<Broken> {
    let find = |wanted: &dyn Fn(&str) -> Option<usize>| {
        let mut start = 0;
        for piece in text.split(';') {
            if let Some(at) = wanted(piece).filter(|_| !piece.trim_start_matches(FWS).starts_with("n=")) {
                return Some(position(text, start + at));
            }
            start += piece.len() + 1;
        }
        None
    };
    if let Some(at) = find(&|piece| piece.find("PRIVATE KEY-----").or_else(|| piece.find("PRIVATEKEY-----"))) {
        return Some(private_key(&format!("at character {at}")));
    }
    if let Some(at) = find(&|piece| piece.find("-----")) {
        return Some(Broken::new(
            format!("the frame of a key file (“-----BEGIN PUBLIC KEY-----”) was pasted with the key, at character {at}"),
            "Paste only what stands between the lines “-----BEGIN …-----” and “-----END …-----”, without line breaks.",
        ));
    }
    if let Some(at) = find(&|piece| ["\\n", "\\r", "\\t"].iter().filter_map(|mark| piece.find(mark)).min()) {
        return Some(Broken::new(
            format!("a line break was pasted as the two characters “\\n”, at character {at}"),
            "Take out every “\\n”: the key is one line.",
        ));
    }
    if let Some(at) = find(&|piece| piece.find('\\')) {
        return Some(Broken::new(
            format!("a backslash is part of the record, at character {at}"),
            "Take the backslashes out: your DNS provider needs no “\\” before “;” or quotation marks.",
        ));
    }
    if let Some(at) = find(&|piece| piece.find('"')) {
        return Some(Broken::new(
            format!("a quotation mark is part of the record, at character {at}"),
            "Enter the value without quotation marks: your DNS provider sets them itself.",
        ));
    }
    let at = find(&|piece| piece.find(|c: char| !c.is_ascii()))?;
    let odd = text.chars().nth(at.checked_sub(1)?)?;
    Some(Broken::new(
        format!("the character U+{:04X} stands at character {at}, a key has letters, digits and marks of ASCII only", u32::from(odd)),
        "Copy the key again from your mail service as plain text; a word processor or web page changed it.",
    ))
}

/// A private key in DNS: everybody can sign with it.
pub(super) fn private_key(place: &str) -> Broken {
    Broken::new(
        format!("a private key is published {place}: everybody can sign mail with it"),
        "Take the record out at once, make a new pair of keys under another selector, and publish its public key. Never use the old pair again.",
    )
}

/// The record without what people paste with a key.
pub(super) fn cleaned(text: &str) -> String {
    let mut text = text.to_owned();
    for frame in PEM {
        text = text.replace(frame, "");
    }
    for mark in ["\\n", "\\r", "\\t"] {
        text = text.replace(mark, "");
    }
    text.chars().filter(|c| c.is_ascii() && *c != '"' && *c != '\\').collect()
}

/// The list as it should be written; `change` gives another value for a tag, or none to leave it out.
pub(super) fn written<'a>(tags: &[Tag<'a>], change: impl Fn(&Tag<'a>) -> Option<String>) -> String {
    let parts: Vec<String> = tags
        .iter()
        .filter_map(|tag| {
            let value = change(tag)?;
            let value = if tag.name == "p" { value.chars().filter(|c| !FWS.contains(c)).collect() } else { value };
            Some(format!("{}={value}", tag.name))
        })
        .collect();
    parts.join("; ")
}

/// Characters from 1 of a place in bytes.
fn position(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |before| before.chars().count()) + 1
}

/// The beginning of a text.
pub(super) fn quoted(text: &str) -> String {
    crate::text::shown(text, MOST_QUOTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_as_long_as_dns_carries_are_read_once() {
        // Ten answers' worth: counting characters from the start for each tag would take minutes.
        let long = (0..100_000).map(|n| format!("t{n}=ü;")).collect::<Vec<_>>().concat();
        let read = tag_list(&long).unwrap();
        let last = read.tags.last().unwrap();
        assert_eq!((read.tags.len(), long.chars().nth(last.at - 1)), (100_000, Some('ü')));
        assert!(tag_list(&format!("{long}t7=")).unwrap_err().reason.contains("t7= stands twice, its values at character 39 and"));
        assert_eq!(tag_list(&format!("p=;{}x=", ";".repeat(60_000))).unwrap().forgiven.len(), MOST_FORGIVEN);
        assert!(tag_list(&format!("{0}=1;{0}=2", "x".repeat(30_000))).unwrap_err().reason.chars().count() < 150);
    }
}
