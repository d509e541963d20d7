//! Where a text that is too long ends: what people read stops behind a word.

use unicode_segmentation::UnicodeSegmentation as _;

/// At most `most` characters, an ellipsis among them where something is left out. The text ends behind a whole word; only a word that alone
/// takes more than half of the room is cut itself, and then between what people see as characters (UAX 29).
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(1);
    let mut kept = 0;
    let mut chars = 0;
    for (at, cluster) in text.grapheme_indices(true) {
        chars += cluster.chars().count();
        if chars > room {
            break;
        }
        kept = at + cluster.len();
    }
    let (kept, rest) = text.split_at(kept);
    let word = match kept.rfind(char::is_whitespace) {
        _ if rest.starts_with(char::is_whitespace) => kept,
        Some(blank) if kept[..blank].chars().count() * 2 >= room => &kept[..blank],
        _ => kept,
    };
    format!("{}…", word.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ':' | ';' | '–')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_ends_behind_a_word() {
        for (text, most, wanted) in [
            ("short", 30, "short"),
            ("SPF needs 12 DNS lookups, 10 are allowed", 30, "SPF needs 12 DNS lookups, 10…"),
            ("aggregate reports go astray", 17, "aggregate…"),
            ("aggregate reports go astray", 18, "aggregate reports…"),
            ("lookups, 10 are allowed", 10, "lookups…"),
            ("xxxxxxxxxx", 5, "xxxx…"),
            ("a xxxxxxxxxx", 6, "a xxx…"),
            ("", 0, ""),
            ("ab", 0, "…"),
        ] {
            assert_eq!(cut(text, most), wanted, "{text} {most}");
        }
    }

    #[test]
    fn what_is_seen_as_one_character_stays_whole() {
        // A letter with a combining mark, and a family of three joined by U+200D.
        assert_eq!(cut("xxe\u{301}xx", 5), "xxe\u{301}…");
        assert_eq!(cut("xxe\u{301}xx", 4), "xx…");
        let family = "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f466}";
        assert_eq!(cut(&format!("ab{family}cd"), 5), "ab…");
    }
}
