//! `name=value;` lists as DMARC, TLS-RPT, MTA-STS and BIMI write them, and as the history of DKIM keys compares them.

/// Names once, white space around both sides ignored, empty parts allowed.
pub(in crate::audit) fn tags(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for piece in text.split(';').map(str::trim).filter(|piece| !piece.is_empty()) {
        let (name, value) =
            piece.split_once('=').ok_or_else(|| format!("“{}” is no tag: it lacks “=”", piece.chars().take(40).collect::<String>()))?;
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!("“{name}” is no name of a tag"));
        }
        if tags.iter().any(|(other, _)| other == name) {
            return Err(format!("the tag {name}= stands twice"));
        }
        tags.push((name.to_owned(), value.trim().to_owned()));
    }
    if tags.is_empty() { Err("there is no tag in it".to_owned()) } else { Ok(tags) }
}
