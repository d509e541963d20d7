//! Macro strings (RFC 7208 7): parsed once, expanded with the facts of a message.

/// Where a macro string stands: explanation texts may use three letters more and spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// A domain-spec.
    Domain,
    /// The text of an explanation, or an unknown modifier.
    Text,
}

/// Octets after which nothing is expanded any more; a record of 64 KiB may ask for some megabytes.
const MOST_EXPANDED: usize = 100_000;

/// A parsed macro string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroString {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Expand { letter: char, escape: bool, keep: Option<usize>, reverse: bool, delimiters: String },
}

impl MacroString {
    /// Parses a macro string.
    pub fn parse(text: &str, context: Context) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if c != '%' {
                let allowed = ('\u{21}'..='\u{7e}').contains(&c) || (context == Context::Text && c == ' ');
                if !allowed {
                    return Err("there is a character that may not stand here");
                }
                literal.push(c);
                continue;
            }
            let next = rest.chars().next().ok_or("a “%” needs “{”, “%”, “_” or “-” after it")?;
            rest = &rest[next.len_utf8()..];
            match next {
                '%' => literal.push('%'),
                '_' => literal.push(' '),
                '-' => literal.push_str("%20"),
                '{' => {
                    let end = rest.find('}').ok_or("a macro lacks its closing “}”")?;
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(parse_expand(&rest[..end], context)?);
                    rest = &rest[end + 1..];
                }
                _ => return Err("a “%” needs “{”, “%”, “_” or “-” after it"),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// Parses a domain-spec: it ends in a macro or in a dot and a top label that is not all digits.
    pub fn domain_spec(text: &str) -> Result<Self, &'static str> {
        let parsed = Self::parse(text, Context::Domain)?;
        let ends_in_macro = text.ends_with('}') && matches!(parsed.parts.last(), Some(Part::Expand { .. }));
        // `%%`, `%_` and `%-` are macro-expands too.
        let ends_in_escape = {
            let percent = text.bytes().rev().skip(1).take_while(|b| *b == b'%').count();
            let last = text.bytes().last();
            match last {
                Some(b'%') => true,
                Some(b'_' | b'-') => percent % 2 == 1,
                _ => false,
            }
        };
        if ends_in_macro || ends_in_escape {
            return Ok(parsed);
        }
        let body = text.strip_suffix('.').unwrap_or(text);
        let (_, top) = body.rsplit_once('.').ok_or("this needs a full domain name with a dot in it")?;
        let well_formed = !top.is_empty()
            && top.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !top.starts_with('-')
            && !top.ends_with('-')
            && !top.bytes().all(|b| b.is_ascii_digit());
        if well_formed { Ok(parsed) } else { Err("the name does not end in a valid top-level label") }
    }

    /// The text when there is no macro in it.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Literal(text)] => Some(text.strip_suffix('.').unwrap_or(text)),
            _ => None,
        }
    }

    /// True when `%{p}` is used, which needs look-ups.
    pub fn needs_reverse_name(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Expand { letter: 'p', .. }))
    }

    /// Puts the facts in. `value` gives what a letter stands for. A string that grows beyond all names is not made longer.
    pub fn expand(&self, value: impl Fn(char) -> String) -> String {
        let mut text = String::new();
        for part in &self.parts {
            if text.len() > MOST_EXPANDED {
                break;
            }
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Expand { letter, escape, keep, reverse, delimiters } => {
                    let value = value(*letter);
                    let mut labels: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
                    if *reverse {
                        labels.reverse();
                    }
                    let skip = keep.map_or(0, |keep| labels.len().saturating_sub(keep));
                    let joined = labels[skip..].join(".");
                    if *escape { percent_encode(&joined, &mut text) } else { text.push_str(&joined) }
                }
            }
        }
        text
    }
}

fn parse_expand(inside: &str, context: Context) -> Result<Part, &'static str> {
    let letter = inside.chars().next().ok_or("a macro needs a letter")?;
    let lower = letter.to_ascii_lowercase();
    let allowed = match context {
        Context::Domain => "slodiphv",
        Context::Text => "slodiphvcrt",
    };
    if !allowed.contains(lower) {
        return Err("there is no such macro letter here");
    }
    let rest = &inside[1..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let keep = match &rest[..digits] {
        "" => None,
        // A number too long for usize keeps everything, like any that is larger than there are labels.
        number if number.bytes().all(|b| b == b'0') => return Err("a macro can not keep zero labels"),
        number => Some(number.parse().unwrap_or(usize::MAX)),
    };
    let rest = &rest[digits..];
    let (reverse, delimiters) = match rest.as_bytes().first() {
        Some(b'r' | b'R') => (true, &rest[1..]),
        _ => (false, rest),
    };
    if !delimiters.bytes().all(|b| b".-+,/_=".contains(&b)) {
        return Err("a macro has something that is no delimiter");
    }
    let delimiters = if delimiters.is_empty() { ".".to_owned() } else { delimiters.to_owned() };
    Ok(Part::Expand { letter: lower, escape: letter.is_ascii_uppercase(), keep, reverse, delimiters })
}

fn percent_encode(text: &str, out: &mut String) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else if write!(out, "%{byte:02X}").is_err() {
            // Writing to a String does not fail.
        }
    }
}

/// Shortens an expanded name from the left until it fits (RFC 7208 7.3), and takes the final dot away.
pub fn fit(name: &str) -> &str {
    let mut name = name.strip_suffix('.').unwrap_or(name);
    while name.len() > 253 {
        match name.split_once('.') {
            Some((_, rest)) => name = rest,
            None => break,
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_asks_to_expand_has_an_end() {
        let long = MacroString::parse(&"%{S}".repeat(16_000), Context::Text).unwrap();
        let expanded = long.expand(|_| "ü".repeat(300));
        assert!(expanded.len() <= MOST_EXPANDED + 2_000, "{}", expanded.len());
    }
}
