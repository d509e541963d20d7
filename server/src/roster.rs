//! The table of what is watched: reading it line by line, each fault by its line and column, and writing it so that no spreadsheet takes a
//! cell for a formula.

use std::collections::HashMap;

use waypost_engine::net::Egress;
use waypost_store::roster::RosterRow;
use waypost_types::{
    Cidr, DomainName,
    asset::ServerRole,
    monitor::MonitorKind,
    problem::FieldError,
    roster::{COLUMNS, MOST_LINES},
    service::ServiceSettings,
};

use crate::{
    api::targets::{self, Target},
    http::problem::ApiError,
};

/// Faults that are told at once at most.
const MOST_FAULTS: usize = 50;
/// A cell that begins so is a formula to a spreadsheet.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// What a line is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Thing {
    /// A domain.
    Domain(DomainName),
    /// A mail server.
    Server {
        /// Its name or address.
        host: String,
        /// Its ports, where they are given.
        ports: Option<Vec<u16>>,
        /// What it is for, where that is given.
        role: Option<ServerRole>,
    },
    /// An address or network.
    Address {
        /// Which.
        cidr: Cidr,
        /// The pool that it sends for, where that is given.
        pool: Option<String>,
    },
    /// A service beside SMTP.
    Service {
        /// What kind.
        kind: MonitorKind,
        /// What it is about.
        target: Target,
        /// What it is expected to do, where that is given.
        settings: Option<ServiceSettings>,
    },
}

impl Thing {
    /// The word of the first column.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Domain(_) => "domain",
            Self::Server { .. } => "server",
            Self::Address { .. } => "address",
            Self::Service { kind, .. } => kind.as_str(),
        }
    }

    /// The one written form.
    pub fn target(&self) -> String {
        match self {
            Self::Domain(name) => name.to_string(),
            Self::Server { host, .. } => host.clone(),
            Self::Address { cidr, .. } => cidr.to_string(),
            Self::Service { target, .. } => target.written.clone(),
        }
    }
}

/// What the monitors of a line run, by the word of its first column.
fn monitors(kind: &str) -> Option<MonitorKind> {
    match kind {
        "domain" => Some(MonitorKind::Audit),
        "server" => Some(MonitorKind::Smtp),
        "address" => Some(MonitorKind::Blacklist),
        _ => kind.parse().ok().filter(|kind: &MonitorKind| kind.is_service()),
    }
}

/// A line that can be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Where it stands, from 1.
    pub number: u64,
    /// What it is about.
    pub thing: Thing,
    /// Its tags, where they are given.
    pub tags: Option<Vec<String>>,
    /// Seconds between checks, where they are given.
    pub interval_s: Option<u32>,
    /// Whether it is checked, where that is given.
    pub paused: Option<bool>,
}

/// Reads a table. All faults are told at once, each by its line.
pub fn read(text: &str, egress: &Egress) -> Result<Vec<Line>, ApiError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let header = text.lines().next().unwrap_or_default();
    // Spreadsheets of half of Europe write semicolons, and what is copied out of one has tabs.
    let between = [b';', b'\t', b','].into_iter().max_by_key(|sign| header.bytes().filter(|byte| byte == sign).count()).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(between).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let columns = columns(reader.headers().map_err(|error| whole(&format!("The header can not be read: {error}")))?)?;
    let (mut lines, mut faults, mut count) = (Vec::new(), Vec::new(), 0);
    let mut seen: HashMap<(&'static str, String), u64> = HashMap::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                // What follows a broken quote can not be told from it.
                faults.push(FieldError { field: "csv".to_owned(), message: format!("The table can not be read from here on: {error}") });
                break;
            }
        };
        let number = record.position().map_or(0, |position| line_of(text, position));
        if record.iter().all(str::is_empty) {
            continue;
        }
        count += 1;
        if count > MOST_LINES {
            return Err(whole(&format!("An import takes {MOST_LINES} lines at most. Make several of it, each with the header.")));
        }
        match line(&record, number, &columns, egress) {
            Ok(line) => match seen.insert((line.thing.kind(), line.thing.target()), number) {
                Some(before) => faults.push(at(number, &format!("target: {} stands in line {before} already.", line.thing.target()))),
                None => lines.push(line),
            },
            Err(errors) => faults.extend(errors.into_iter().map(|error| of_field(number, &error))),
        }
    }
    if !faults.is_empty() {
        let rest = faults.len().saturating_sub(MOST_FAULTS);
        faults.truncate(MOST_FAULTS);
        if rest > 0 {
            faults.push(FieldError { field: "csv".to_owned(), message: format!("And {rest} more.") });
        }
        return Err(ApiError::Invalid(faults));
    }
    if lines.is_empty() {
        return Err(whole("There is no line below the header."));
    }
    Ok(lines)
}

/// The line that a record begins in. The reader's position is that before the empty lines which it passes over.
fn line_of(text: &str, position: &csv::Position) -> u64 {
    let rest = usize::try_from(position.byte()).ok().and_then(|start| text.as_bytes().get(start..)).unwrap_or_default();
    let passed = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
    position.line() + u64::try_from(passed).unwrap_or_default()
}

fn whole(message: &str) -> ApiError {
    ApiError::field("csv", message)
}

fn at(number: u64, message: &str) -> FieldError {
    FieldError { field: "csv".to_owned(), message: format!("Line {number}, {message}") }
}

fn of_field(number: u64, error: &FieldError) -> FieldError {
    at(number, &format!("{}: {}", error.field, error.message))
}

/// What is wrong with values, told of the line that they stand in.
pub fn at_line(number: u64, error: ApiError) -> ApiError {
    match error {
        ApiError::Invalid(errors) => ApiError::Invalid(errors.iter().map(|error| of_field(number, error)).collect()),
        other => other,
    }
}

/// Where each of our columns stands.
fn columns(header: &csv::StringRecord) -> Result<HashMap<&'static str, usize>, ApiError> {
    let mut columns = HashMap::new();
    for (place, name) in header.iter().enumerate() {
        let name = name.trim().to_lowercase();
        if name.is_empty() {
            continue;
        }
        let known = COLUMNS.into_iter().find(|column| *column == name);
        let known = known.ok_or_else(|| whole(&format!("“{}” is no column: the header names {}.", shortened(&name), COLUMNS.join(", "))))?;
        if columns.insert(known, place).is_some() {
            return Err(whole(&format!("The column {known} stands in the header twice.")));
        }
    }
    match COLUMNS[..2].iter().find(|column| !columns.contains_key(**column)) {
        Some(missing) => Err(whole(&format!("The header does not name {missing}: begin with a line such as “{}”.", COLUMNS.join(",")))),
        None => Ok(columns),
    }
}

fn line(record: &csv::StringRecord, number: u64, columns: &HashMap<&'static str, usize>, egress: &Egress) -> Result<Line, Vec<FieldError>> {
    let cell = |name: &str| columns.get(name).and_then(|place| record.get(*place)).map(unguarded).unwrap_or_default();
    let mut faults = Vec::new();
    let thing = thing(&cell, egress, &mut faults);
    let parts = |text: &str| text.split([' ', ',', ';']).filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let tags = Some(parts(cell("tags"))).filter(|tags| !tags.is_empty());
    let tags = kept(targets::tags(tags), &mut faults).flatten();
    let interval_s = match cell("interval_s") {
        "" => None,
        given => kept(given.parse::<u32>().map_err(|_| ApiError::field("interval_s", "Give seconds as a whole number.")), &mut faults),
    };
    if let Some(kind) = monitors(&cell("kind").to_lowercase()) {
        kept(targets::interval(kind, interval_s), &mut faults);
    }
    let paused = match cell("paused").to_lowercase().as_str() {
        "" => None,
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => kept(Err(ApiError::field("paused", "Give true or false.")), &mut faults),
    };
    match thing {
        Some(thing) if faults.is_empty() => Ok(Line { number, thing, tags, interval_s, paused }),
        _ => Err(faults),
    }
}

/// What can be used; what is wrong with it goes to the others.
fn kept<T>(part: Result<T, ApiError>, faults: &mut Vec<FieldError>) -> Option<T> {
    match part {
        Ok(part) => Some(part),
        Err(ApiError::Invalid(errors)) => {
            faults.extend(errors);
            None
        }
        Err(other) => {
            faults.push(FieldError { field: "target".to_owned(), message: other.to_string() });
            None
        }
    }
}

/// What a line is about; all that is wrong with it goes to the others.
fn thing<'a>(cell: &impl Fn(&str) -> &'a str, egress: &Egress, faults: &mut Vec<FieldError>) -> Option<Thing> {
    let (kind, target) = (cell("kind").to_lowercase(), cell("target"));
    let Some(monitors) = monitors(&kind) else {
        let services = MonitorKind::SERVICES.map(MonitorKind::as_str).join(", ");
        let message = format!("“{}” is no kind: give one of domain, server, address, {services}.", shortened(&kind));
        faults.push(FieldError { field: "kind".to_owned(), message });
        return None;
    };
    let strange = [
        ("ports", kind == "server", "mail servers"),
        ("role", kind == "server", "mail servers"),
        ("pool", kind == "address", "addresses"),
        ("settings", monitors.is_service(), "services"),
    ];
    for (name, _, of) in strange.into_iter().filter(|(name, has, _)| !has && !cell(name).is_empty()) {
        faults.push(FieldError { field: name.to_owned(), message: format!("Only {of} have it: leave it empty.") });
    }
    match monitors {
        MonitorKind::Audit => kept(targets::domain("target", target), faults).map(Thing::Domain),
        MonitorKind::Smtp => {
            let host = kept(targets::host("target", target, egress), faults);
            let (ports, role) = (kept(ports(cell("ports")), faults), kept(role(cell("role")), faults));
            Some(Thing::Server { host: host?, ports: ports?, role: role? })
        }
        MonitorKind::Blacklist => {
            let cidr = kept(targets::cidr("target", target, egress), faults);
            let pool = Some(cell("pool")).filter(|name| !name.is_empty()).map(|name| targets::pool("pool", name)).transpose();
            let pool = kept(pool, faults);
            Some(Thing::Address { cidr: cidr?, pool: pool? })
        }
        kind => {
            let target = kept(targets::target(kind, target, egress), faults);
            let settings = match cell("settings") {
                "" => Ok(None),
                json => serde_json::from_str(json).map(Some).map_err(|error| ApiError::field("settings", format!("This is not their JSON: {error}"))),
            };
            let (target, settings): (Target, Option<ServiceSettings>) = (target?, kept(settings, faults)?);
            // Without any, those of a service that is watched already stay; of a new one that needs some it is told when it is made.
            if let Some(settings) = &settings {
                kept(targets::settings(kind, &target.written, settings), faults)?;
            }
            Some(Thing::Service { kind, target, settings })
        }
    }
}

fn ports(text: &str) -> Result<Option<Vec<u16>>, ApiError> {
    let number = |part: &str| part.parse().map_err(|_| ApiError::field("ports", format!("“{}” is no port: write 25 465 587.", shortened(part))));
    let given = text.split([' ', ',', ';']).filter(|part| !part.is_empty()).map(number).collect::<Result<Vec<u16>, _>>()?;
    if given.is_empty() { Ok(None) } else { targets::ports(&given).map(Some) }
}

fn role(text: &str) -> Result<Option<ServerRole>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let names = ServerRole::ALL.map(ServerRole::as_str).join(", ");
    text.to_lowercase().parse().map(Some).map_err(|()| ApiError::field("role", format!("Give one of {names}.")))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A cell without the apostrophe that kept a spreadsheet from computing it.
fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(cell)
}

fn guarded(cell: String) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell }
}

/// Writes a table that [`read`] takes back as it is.
pub fn write(rows: Vec<RosterRow>) -> Result<Vec<u8>, ApiError> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(ApiError::internal)?;
    for row in rows {
        let ports = row.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let settings = match row.settings {
            Some(settings) if settings != ServiceSettings::default() => serde_json::to_string(&settings).map_err(ApiError::internal)?,
            _ => String::new(),
        };
        let interval = row.interval_s.map(|seconds| seconds.to_string()).unwrap_or_default();
        let paused = row.paused.map(|paused| paused.to_string()).unwrap_or_default();
        let cells =
            [row.kind, row.target, ports, row.role.unwrap_or_default(), row.tags.join(" "), interval, paused, settings, row.pool.unwrap_or_default()];
        writer.write_record(cells.map(guarded)).map_err(ApiError::internal)?;
    }
    writer.into_inner().map_err(|error| ApiError::internal(error.to_string()))
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
