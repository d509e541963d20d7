//! `waypost blacklist`: addresses, networks and domains on the block lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use secrecy::SecretString;
use waypost_engine::{
    blacklist::{Lists, Scanner, Subject, catalog, check_key},
    net::Net,
};
use waypost_types::{
    Cidr, DomainName,
    finding::Severity,
    lists::ListChoice,
    outcome::{BlacklistReport, ListEntry, ListState},
};

use super::{colour, complain};

/// Without `--deadline`: at least this long.
const SHORTEST: Duration = Duration::from_secs(60);
/// Longest key file read.
const MAX_KEY_FILE: u64 = 4096;

/// Arguments of `waypost blacklist`.
#[derive(Debug, clap::Args)]
pub struct BlacklistArgs {
    /// Addresses, networks (IPv4 up to /24) or domains
    #[arg(required = true, value_name = "IP|CIDR|DOMAIN", value_parser = parse_subjects)]
    targets: Vec<Subjects>,
    /// Lists by id, name or DNS suffix; all that are on by default when absent
    #[arg(long, value_delimiter = ',', value_name = "LIST,…", value_parser = parse_list)]
    zones: Option<Vec<String>>,
    /// File with the key of a list that takes one (the list is asked then); may be given several times
    #[arg(long = "key", value_name = "LIST=FILE", value_parser = parse_key)]
    keys: Vec<KeyFile>,
    /// Seconds after which what is left counts as unknown; as many as the pace of the lists wants when absent
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    deadline: Option<u64>,
    /// A line for every subject and list, clean ones too
    #[arg(long, short)]
    verbose: bool,
}

/// A list of the catalog, or the DNS suffix of another. What is neither was mistyped: to ask it would tell of a dead list.
fn parse_list(text: &str) -> Result<String, String> {
    let suffix = DomainName::from_ascii(text.trim()).is_ok_and(|name| name.as_str().contains('.'));
    if suffix || catalog::find(text).is_some() {
        Ok(text.to_owned())
    } else {
        Err(format!("“{text}” is no list of the catalog and no DNS suffix of another list"))
    }
}

/// The id of a list and where its key is.
#[derive(Debug, Clone)]
struct KeyFile {
    id: String,
    file: PathBuf,
}

fn parse_key(text: &str) -> Result<KeyFile, String> {
    let (word, file) = text.split_once('=').filter(|(_, file)| !file.is_empty()).ok_or("written LIST=FILE")?;
    let zone = catalog::find(word).ok_or_else(|| format!("“{word}” is no list of the catalog"))?;
    if !zone.takes_key() {
        return Err(format!("{} takes no key", zone.name));
    }
    Ok(KeyFile { id: zone.id.clone(), file: file.into() })
}

/// The keys, or which file is to blame. What is wrong never says what is in the file.
fn read_keys(files: &[KeyFile]) -> Result<BTreeMap<String, SecretString>, String> {
    let mut keys = BTreeMap::new();
    for KeyFile { id, file } in files {
        let blame = |what: String| format!("the key file {} can not be used: {what}", file.display());
        let size = std::fs::metadata(file).map_err(|error| blame(error.to_string()))?.len();
        if size > MAX_KEY_FILE {
            return Err(blame("it is too long for a key".to_owned()));
        }
        let text = std::fs::read_to_string(file).map_err(|error| blame(error.to_string()))?;
        let key = SecretString::from(text.trim());
        check_key(&key).map_err(blame)?;
        keys.insert(id.clone(), key);
    }
    Ok(keys)
}

/// One argument, spread out.
#[derive(Debug, Clone)]
struct Subjects(Vec<Subject>);

fn parse_subjects(text: &str) -> Result<Subjects, String> {
    match text.parse::<Cidr>() {
        Ok(cidr) => Ok(Subjects(cidr.addresses().into_iter().map(Subject::from).collect())),
        Err(error) if text.contains('/') && !text.contains("://") => Err(error.to_string()),
        Err(_) => text.parse::<DomainName>().map(|name| Subjects(vec![name.into()])).map_err(|error| error.to_string()),
    }
}

/// Runs it: 0 on no list, 1 listed, 2 usage, 3 when no list could tell. A listing of severity info counts only from `fail_on` info.
pub async fn run(net: &Net, args: BlacklistArgs, json: bool, fail_on: Severity) -> ExitCode {
    let mut subjects: Vec<Subject> = Vec::new();
    for subject in args.targets.into_iter().flat_map(|subjects| subjects.0) {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    let keys = match read_keys(&args.keys) {
        Ok(keys) => keys,
        Err(error) => {
            eprintln!("waypost: {error}");
            return ExitCode::from(2);
        }
    };
    let lists = match &args.zones {
        Some(words) => Lists::named(words, &keys),
        None => Lists::of(&ListChoice { on: keys.keys().cloned().collect(), ..ListChoice::default() }, &keys),
    };
    let limit = args.deadline.map_or_else(|| lists.time_for(&subjects).max(SHORTEST), Duration::from_secs);
    let report = Scanner::new(net).scan(&subjects, &lists, limit).await;
    let mut out = anstream::stdout().lock();
    let written = if json { write_json(&mut out, &report) } else { write_text(&mut out, &report, args.verbose) };
    if let Err(error) = written {
        complain(&error);
    }
    exit_code(&report, fail_on)
}

fn exit_code(report: &BlacklistReport, fail_on: Severity) -> ExitCode {
    let counts = |severity: Severity| severity > Severity::Info || severity >= fail_on;
    if report.entries.iter().any(|entry| entry.state == ListState::Listed && counts(entry.severity)) {
        return ExitCode::from(1);
    }
    if report.entries.iter().all(|entry| entry.state == ListState::Unknown) { ExitCode::from(3) } else { ExitCode::SUCCESS }
}

fn write_json(out: &mut impl Write, report: &BlacklistReport) -> io::Result<()> {
    for entry in &report.entries {
        serde_json::to_writer(&mut *out, entry)?;
        writeln!(out)?;
    }
    Ok(())
}

/// Listings first, worst first, each list with the way off it; then what could not be told, by reason; the clean ones as a number.
fn write_text(out: &mut impl Write, report: &BlacklistReport, verbose: bool) -> io::Result<()> {
    let of = |state| report.entries.iter().filter(move |entry| entry.state == state);
    let mut listed: Vec<&ListEntry> = of(ListState::Listed).collect();
    listed.sort_by_key(|entry| std::cmp::Reverse(entry.severity));
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for entry in listed {
        let text = [entry.meaning.as_str(), entry.reason.as_str()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
        line(out, colour(entry.severity), "listed", &format!("{} on {} ({}) {text}", entry.subject, entry.list, entry.zone))?;
        let row = report.lists.iter().find(|row| row.zone == entry.zone);
        let way_off = [row.map_or("", |row| row.delisting.as_str()), entry.delist_url.as_deref().unwrap_or_default()];
        if entry.severity > Severity::Info && way_off.iter().any(|text| !text.is_empty()) && told.insert(&entry.zone) {
            writeln!(out, "{:<8} removal: {}", "", way_off.join(" ").trim())?;
        }
    }
    let dim = Style::new().dimmed();
    if verbose {
        for entry in of(ListState::Unknown) {
            line(out, dim, "unknown", &format!("{} on {} ({}) {}", entry.subject, entry.list, entry.zone, entry.reason))?;
        }
        for entry in of(ListState::Clean) {
            line(out, AnsiColor::Green.on_default(), "clean", &format!("{} on {} ({})", entry.subject, entry.list, entry.zone))?;
        }
    } else {
        let mut reasons: Vec<(String, BTreeSet<&str>, usize)> = Vec::new();
        for entry in of(ListState::Unknown) {
            // A reason that names the list's own zone is the same for all of them.
            let reason = entry.reason.replace(&entry.zone, "…");
            match reasons.iter_mut().find(|(known, ..)| *known == reason) {
                Some((_, lists, count)) => {
                    lists.insert(&entry.list);
                    *count += 1;
                }
                None => reasons.push((reason, BTreeSet::from([entry.list.as_str()]), 1)),
            }
        }
        for (reason, lists, count) in reasons {
            let names = lists.iter().copied().collect::<Vec<_>>().join(", ");
            let questions = if count > lists.len() { format!(", {count} questions") } else { String::new() };
            line(out, dim, "unknown", &format!("{names}{questions}: {reason}"))?;
        }
    }
    let count = |state| of(state).count();
    let (listed, clean, unknown) = (count(ListState::Listed), count(ListState::Clean), count(ListState::Unknown));
    writeln!(out, "{listed} listed, {clean} clean, {unknown} could not be told")
}

fn line(out: &mut impl Write, style: Style, word: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{style}{word:<8}{style:#} {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_spread_out() {
        for (text, count) in [("192.0.2.1", 1), ("192.0.2.0/24", 256), ("2001:db8::/126", 4), ("example.com", 1)] {
            assert_eq!(parse_subjects(text).unwrap().0.len(), count, "{text}");
        }
        for text in ["10.0.0.0/8", "", "no name", "1.2.3.4/99"] {
            assert!(parse_subjects(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_come_from_files_and_only_for_lists_that_take_one() {
        for text in ["spamhaus-dqs-zen", "spamhaus-dqs-zen=", "spamcop=/tmp/key", "no-such-list=/tmp/key"] {
            assert!(parse_key(text).is_err(), "{text}");
        }
        let folder = std::env::temp_dir().join(format!("waypost-keys-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (good, bad) = (folder.join("good"), folder.join("bad"));
        std::fs::write(&good, "abcd1234\n").unwrap();
        std::fs::write(&bad, "not a label").unwrap();
        let key = |file: &PathBuf| parse_key(&format!("spamhaus-dqs-zen={}", file.display())).unwrap();
        let read = read_keys(&[key(&good)]);
        let refused = read_keys(&[key(&bad)]).unwrap_err();
        let missing = read_keys(&[key(&folder.join("none"))]);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(read.unwrap().contains_key("spamhaus-dqs-zen") && missing.is_err());
        assert!(refused.contains("bad") && !refused.contains("not a label"), "{refused}");
    }

    #[test]
    fn a_list_that_was_mistyped_is_not_asked() {
        for (text, fine) in [
            ("spamhaus-zen", true),
            ("Spamhaus ZEN", true),
            ("zen.spamhaus.org", true),
            ("bl.lab.test.", true),
            ("dnsbl.sorbs.net", true),
            ("spamhaus-zenn", false),
            ("localhost", false),
            ("a b.example", false),
            ("", false),
        ] {
            assert_eq!(parse_list(text).is_ok(), fine, "{text}");
        }
    }

    #[test]
    fn listings_come_first_and_what_could_not_be_told_is_folded() {
        let entry = |subject: &str, list: &str, state, severity, reason: &str| ListEntry {
            subject: subject.to_owned(),
            list: list.to_owned(),
            zone: format!("{list}.example"),
            state,
            codes: Vec::new(),
            meaning: if state == ListState::Listed { "spam source".to_owned() } else { String::new() },
            reason: reason.to_owned(),
            severity,
            delist_url: Some("https://example.com/out".to_owned()),
        };
        let entries = vec![
            entry("192.0.2.1", "a", ListState::Unknown, Severity::High, "2.0.0.127.a.example is not known"),
            entry("192.0.2.1", "b", ListState::Listed, Severity::Low, ""),
            entry("192.0.2.1", "c", ListState::Listed, Severity::Critical, "see the page"),
            entry("192.0.2.2", "d", ListState::Unknown, Severity::High, "2.0.0.127.d.example is not known"),
            entry("192.0.2.2", "b", ListState::Clean, Severity::Low, ""),
            entry("192.0.2.2", "c", ListState::Listed, Severity::Critical, "see the page"),
        ];
        let report = BlacklistReport { entries, ..BlacklistReport::empty("192.0.2.0/30") };
        let text = |verbose| {
            let mut out = anstream::StripStream::new(Vec::new());
            write_text(&mut out, &report, verbose).unwrap();
            String::from_utf8(out.into_inner()).unwrap()
        };
        assert_eq!(
            text(false),
            "listed   192.0.2.1 on c (c.example) spam source: see the page\n         removal: https://example.com/out\n\
             listed   192.0.2.2 on c (c.example) spam source: see the page\n\
             listed   192.0.2.1 on b (b.example) spam source\n         removal: https://example.com/out\n\
             unknown  a, d: 2.0.0.127.… is not known\n3 listed, 1 clean, 2 could not be told\n"
        );
        assert!(text(true).contains("unknown  192.0.2.2 on d (d.example) 2.0.0.127.d.example is not known\nclean    192.0.2.2 on b (b.example)\n"));
        let mut json = Vec::new();
        write_json(&mut json, &report).unwrap();
        assert_eq!(String::from_utf8(json).unwrap().lines().count(), 6);
    }
}
