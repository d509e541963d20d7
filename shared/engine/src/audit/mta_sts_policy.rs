//! The policy file of MTA-STS: what it says and which hosts it covers (RFC 8461 3.2, 4.1).

/// RFC 8461 3.2: a year and a bit.
const MAX_AGE_LIMIT: u64 = 31_557_600;
/// Characters of a policy that are kept.
const MOST_TEXT: usize = 16 * 1024;
/// Lines of a policy that are read.
const MOST_LINES: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Enforce,
    Testing,
    None,
}

impl Mode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    pub mode: Mode,
    /// Seconds.
    pub max_age: u64,
    /// Patterns in lower case, without a final dot.
    pub mx: Vec<String>,
}

impl Policy {
    /// Whether two say the same, in whatever order.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let sorted = |policy: &Self| {
            let mut mx = policy.mx.clone();
            mx.sort();
            mx.dedup();
            mx
        };
        (self.mode, self.max_age) == (other.mode, other.max_age) && sorted(self) == sorted(other)
    }
}

/// The lines of a policy that carry something, as pages show it and history keeps it.
pub(super) fn lines(text: &str) -> String {
    let lines = text.lines().take(MOST_LINES).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    lines.chars().filter(|c| *c == '\n' || !c.is_control()).take(MOST_TEXT).collect()
}

/// A policy as it is kept in history; earlier versions kept it on one line.
pub(super) fn parse_kept(record: &str) -> Option<Policy> {
    parse(&record.replace(" / ", "\n")).ok()
}

/// `key: value` lines (RFC 8461 3.2), ended by CRLF or LF. Of a key that repeats the first counts, except `mx`; keys nobody knows are left
/// alone.
pub(super) fn parse(text: &str) -> Result<Policy, String> {
    if text.starts_with('\u{feff}') {
        return Err("it begins with a byte order mark, which belongs to no key".to_owned());
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for line in text.lines().take(MOST_LINES).map(str::trim).filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(':').ok_or_else(|| format!("“{}” lacks “:”", shown(line)))?;
        pairs.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    let first = |key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    // Capital letters make another key, which nobody knows.
    let missing = |key: &str, what: &str| match pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)) {
        Some((name, _)) => format!("“{name}:” must be written “{key}:”"),
        None => format!("{what} is missing"),
    };
    match first("version") {
        Some("STSv1") => {}
        Some(other) => return Err(format!("version: {} is not STSv1", shown(other))),
        None => return Err(missing("version", "version: STSv1")),
    }
    let mode = match first("mode") {
        Some("enforce") => Mode::Enforce,
        Some("testing") => Mode::Testing,
        Some("none") => Mode::None,
        Some(other) => return Err(format!("mode: {} is none of enforce, testing and none", shown(other))),
        None => return Err(missing("mode", "mode")),
    };
    let max_age = match first("max_age") {
        None => return Err(missing("max_age", "max_age")),
        Some(age) => match age.parse::<u64>() {
            // A sign is read by nobody else.
            _ if !age.bytes().all(|byte| byte.is_ascii_digit()) => return Err(format!("max_age: {} is no number of seconds", shown(age))),
            Ok(seconds) if seconds <= MAX_AGE_LIMIT => seconds,
            Ok(seconds) => return Err(format!("max_age: {seconds} is more than the 31557600 seconds allowed")),
            Err(_) => return Err(format!("max_age: {} is no number of seconds", shown(age))),
        },
    };
    let mx: Vec<String> =
        pairs.iter().filter(|(name, _)| name == "mx").map(|(_, value)| value.strip_suffix('.').unwrap_or(value).to_ascii_lowercase()).collect();
    if mx.is_empty() && mode != Mode::None {
        return Err("it names no mx".to_owned());
    }
    match mx.iter().find(|pattern| !is_pattern(pattern)) {
        Some(bad) if bad.is_empty() => Err("a line mx: names no host".to_owned()),
        Some(bad) => Err(format!("mx: {} is no host name, nor one with “*.” in front", shown(bad))),
        None => Ok(Policy { mode, max_age, mx }),
    }
}

fn shown(text: &str) -> String {
    crate::text::shown(text, 40)
}

fn is_pattern(pattern: &str) -> bool {
    let host = pattern.strip_prefix("*.").unwrap_or(pattern);
    let label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    host.len() <= 253 && host.split('.').all(label)
}

/// `*.` stands for exactly one label (RFC 8461 4.1).
pub(super) fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => pattern == host,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn policies_as_the_standard_writes_them() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n";
        let policy = parse(text).unwrap();
        assert_eq!((policy.mode, policy.max_age, policy.mx.len()), (Mode::Enforce, 604_800, 2));
        assert_eq!(parse(&text.replace("\r\n", "\n")), parse(text));
        assert_eq!(parse(&format!("{text}future: thing\r\n")), parse(text), "keys nobody knows");
        assert_eq!(parse(&format!("{text}mode: none\r\nmax_age: 1\r\nversion: STSv2\r\n")), parse(text), "of two the first counts");
        assert_eq!(parse_kept(&lines(text).replace('\n', " / ")), parse(text).ok(), "as earlier versions kept it");
        assert!(parse("version: STSv1\nmode: none\nmax_age: 86400").unwrap().mx.is_empty());
        for (broken, why) in [
            ("", "version: STSv1 is missing"),
            ("version: STSv2\nmode: none\nmax_age: 1", "STSv2 is not STSv1"),
            ("version: STSv1\nmode: enforced\nmx: a.example\nmax_age: 1", "enforced is none of"),
            ("version: STSv1\nmode: enforce\nmax_age: 1", "names no mx"),
            ("mode: none\nmax_age: 1", "version"),
            ("version: STSv1\nmax_age: 1", "mode is missing"),
            ("version: STSv1\nmode: none", "max_age is missing"),
            ("version: STSv1\nmode: none\nmax_age: 31557601", "more than"),
            ("version: STSv1\nmode: none\nmax_age: week", "no number"),
            ("version: STSv1\nmode: enforce\nmx: a.example, b.example\nmax_age: 86400", "no host name"),
            ("version: STSv1\nmode: enforce\nmx: a.*.example\nmax_age: 86400", "no host name"),
            ("version: STSv1\nmode: none\nmax_age: +86400", "no number"),
            ("version: STSv1\nMode: none\nmax_age: 86400", "“Mode:” must be written “mode:”"),
            ("version: STSv1\nmode: enforce\nmx:\nmax_age: 86400", "a line mx: names no host"),
            ("version: STSv1\nmode: enforce\nmx: .example\nmax_age: 86400", "no host name"),
            ("version: STSv1\rmode: none\rmax_age: 86400", "is not STSv1"),
            ("\u{feff}version: STSv1", "byte order mark"),
            ("hello", "lacks"),
        ] {
            assert!(parse(broken).unwrap_err().contains(why), "{broken}: {:?}", parse(broken));
        }
    }

    #[test]
    fn a_star_is_one_label() {
        assert!(covers("*.example.net", "a.example.net") && covers("mx.example.net", "mx.example.net"));
        assert!(!covers("*.example.net", "a.b.example.net") && !covers("*.example.net", "example.net") && !covers("example.net", "a.example.net"));
    }

    #[test]
    fn order_and_case_are_no_change() {
        let policy = |lines: &str| parse(&format!("version: STSv1\nmode: testing\nmax_age: 86400\n{lines}")).unwrap();
        assert!(policy("mx: a.example\nmx: B.example.").says_the_same(&policy("mx: b.example\nmx: a.example")));
        assert!(!policy("mx: a.example").says_the_same(&policy("mx: b.example")));
    }

    /// A policy as somebody writes it: its lines in any order, well formed or a little off.
    fn written() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            4 => "mx: ?(\\*\\.)?[a-zA-Z0-9-]{1,9}(\\.[a-z]{1,5}){0,2}\\.?",
            1 => "(mode|version|max_age|mx|[a-z]{1,4}): ?[ -~]{0,9}",
            1 => "[ -~]{0,12}",
            2 => Just(String::new()),
        ];
        let fixed = ("version ?: ?STSv1", "mode:\\s?(enforce|testing|none)", "max_age: ?(0|[1-9][0-9]{0,7})").prop_map(|(v, m, a)| vec![v, m, a]);
        (fixed, proptest::collection::vec(line, 0..4), prop_oneof![Just("\n"), Just("\r\n")])
            .prop_flat_map(|(fixed, more, end)| (Just([fixed, more].concat()).prop_shuffle(), Just(end)))
            .prop_map(|(lines, end)| lines.join(end))
    }

    #[test]
    fn what_is_read_can_be_written_again() {
        let read = std::cell::Cell::new(0_u32);
        let config = proptest::test_runner::Config { failure_persistence: None, ..Default::default() };
        let cases = config.cases;
        let ran = proptest::test_runner::TestRunner::new(config).run(&(written(), "\\PC{0,80}"), |(text, noise)| {
            let _: Result<_, _> = parse(&noise);
            let Ok(policy) = parse(&text) else { return Ok(()) };
            read.set(read.get() + 1);
            prop_assert!(policy.max_age <= MAX_AGE_LIMIT && (policy.mode == Mode::None || !policy.mx.is_empty()));
            prop_assert!(policy.mx.iter().all(|pattern| is_pattern(pattern) && covers(pattern, &pattern.replace("*.", "a."))));
            let mx: String = policy.mx.iter().flat_map(|pattern| ["mx: ", pattern.as_str(), "\r\n"]).collect();
            let again = format!("version: STSv1\r\nmode: {}\r\n{mx}max_age: {}\r\n", policy.mode.as_str(), policy.max_age);
            prop_assert_eq!(parse(&again), Ok(policy.clone()));
            prop_assert_eq!(parse_kept(&lines(&text)), Some(policy));
            Ok(())
        });
        assert!(ran.is_ok(), "{ran:?}");
        assert!(read.get() * 5 > cases, "only {} of {cases} were policies: the others try nothing", read.get());
    }
}
