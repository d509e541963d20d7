//! Names that mean something on one machine or in one network only.

/// RFC 6761, 6762, 8375, and what networks at home and in companies use.
const LOCAL: [&str; 7] = ["localhost", "local", "localdomain", "lan", "internal", "invalid", "home.arpa"];

/// The local ending that a name has.
pub(super) fn local_ending(name: &str) -> Option<&'static str> {
    LOCAL.into_iter().find(|top| under(name, top))
}

/// Is the domain or a name below it.
pub(super) fn under(name: &str, domain: &str) -> bool {
    name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_whole_labels() {
        assert_eq!(
            (local_ending("mail.local"), local_ending("localhost"), local_ending("x.home.arpa")),
            (Some("local"), Some("localhost"), Some("home.arpa"))
        );
        assert_eq!((local_ending("maillocal"), local_ending("local.example"), local_ending("")), (None, None, None));
    }
}
