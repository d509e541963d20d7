//! Text of strangers made fit to be shown: every answer, message and record passes here before a person reads it.

/// Text from the network made safe for a terminal: control characters and those that turn the direction of text escaped.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut safe, c));
    safe
}

/// The same of bytes, those that are no UTF-8 escaped, cut at `most` characters: for a sentence of ours or a line of a transcript.
pub(crate) fn shown(text: impl AsRef<[u8]>, most: usize) -> String {
    let text = text.as_ref();
    // Four bytes are the longest character, so that this slice always holds one more than is shown, or all.
    let text = text.get(..most.saturating_add(1).saturating_mul(4)).unwrap_or(text);
    let mut safe = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push(&mut safe, c));
        for byte in chunk.invalid() {
            safe.push_str("\\x");
            safe.extend([byte >> 4, byte & 15].into_iter().filter_map(|nibble| char::from_digit(u32::from(nibble), 16)));
        }
    }
    if let Some((at, _)) = safe.char_indices().nth(most) {
        safe.truncate(at);
        safe.push('…');
    }
    safe
}

/// Characters that turn the direction of the text around them would let a stranger forge what a reader sees.
fn push(safe: &mut String, c: char) {
    if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
        safe.extend(c.escape_default());
    } else {
        safe.push(c);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_deceive_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(shown(b"a\x1b[31m\xff", 100), "a\\u{1b}[31m\\xff");
        assert_eq!(shown("a\u{202e}b", 20), "a\\u{202e}b");
        assert_eq!(printable("a\u{202e}b\u{7}"), "a\\u{202e}b\\u{7}");
        for (text, most, expected) in [("üüü", 3, "üüü"), ("üüü", 2, "üü…"), ("\u{1f4e8}\u{1f4e8}\u{1f4e8}", 2, "\u{1f4e8}\u{1f4e8}…"), ("", 0, "")]
        {
            assert_eq!(shown(text, most), expected);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200), most in 0_usize..50) {
            let text = shown(&bytes, most);
            prop_assert!(text.chars().count() <= most + 1 && !text.chars().any(char::is_control));
        }
    }
}
