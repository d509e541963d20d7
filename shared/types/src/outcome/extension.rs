//! What a server announces in its EHLO reply, for people.

/// An extension as the server names it; the largest message it takes (RFC 1870) is told in megabytes.
pub fn extension_words(line: &str) -> String {
    let size = line.split_once(' ').filter(|(name, _)| name.eq_ignore_ascii_case("SIZE")).and_then(|(_, bytes)| bytes.trim().parse::<u64>().ok());
    match size {
        None => line.to_owned(),
        Some(0) => "SIZE, no limit".to_owned(),
        Some(bytes) => format!("SIZE {}", megabytes(bytes)),
    }
}

/// Octets in the unit in which people know attachments, with one digit behind the point; few of them as they are.
pub fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 {
        return format!("{bytes} bytes");
    }
    let tenths = bytes.saturating_add(50_000) / 100_000;
    if tenths.is_multiple_of(10) { format!("{}\u{a0}MB", tenths / 10) } else { format!("{}.{}\u{a0}MB", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_message_is_told_in_megabytes() {
        for (said, shown) in [
            ("SIZE 10240000", "SIZE 10.2\u{a0}MB"),
            ("size 35000000", "SIZE 35\u{a0}MB"),
            ("SIZE 18446744073709551615", "SIZE 18446744073709.5\u{a0}MB"),
            ("SIZE 0", "SIZE, no limit"),
            ("SIZE", "SIZE"),
            ("SIZE 2000", "SIZE 2000 bytes"),
            ("SIZE many", "SIZE many"),
            ("AUTH PLAIN LOGIN", "AUTH PLAIN LOGIN"),
        ] {
            assert_eq!(extension_words(said), shown);
        }
    }
}
