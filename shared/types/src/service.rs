//! Checks of services beside SMTP: TCP ports, web addresses, DNS records, mailboxes by IMAP and POP. What is expected of each, read once into
//! [`Expects`], by whoever takes it in and whoever looks.

mod record;

use serde::{Deserialize, Serialize};

use crate::monitor::MonitorKind;
pub use record::{RecordKind, reverse_name};

/// Characters of a text that an answer is to begin with or to hold.
pub const MOST_TEXT: usize = 200;
/// Values that a record is compared with.
pub const MOST_VALUES: usize = 50;
/// Bytes of one of them.
pub const MOST_VALUE: usize = 4096;
/// Statuses, or ranges of them.
pub const MOST_STATUSES: usize = 20;

/// Ports that a TCP check may be pointed at: mail, mailboxes and their filters (`ManageSieve`), the web beside them, directories that logins come
/// from, DNS. A short list, since an organisation must not make a port scanner of the workers; logins of machines (SSH, RDP) and databases are
/// left out, whose owners take a stranger's connection for an attack.
pub const TCP_PORTS: [u16; 16] = [25, 53, 80, 110, 143, 389, 443, 465, 587, 636, 853, 993, 995, 2525, 4190, 8443];
/// Ports of IMAP (RFC 9051, RFC 8314 3.2).
pub const IMAP_PORTS: [u16; 2] = [143, 993];
/// Ports of POP3 (RFC 1939, RFC 8314 3.1).
pub const POP_PORTS: [u16; 2] = [110, 995];

/// The ports that a kind of check may be pointed at; nothing where its target names none.
pub const fn ports_of(kind: MonitorKind) -> &'static [u16] {
    match kind {
        MonitorKind::Tcp => &TCP_PORTS,
        MonitorKind::Imap => &IMAP_PORTS,
        MonitorKind::Pop => &POP_PORTS,
        MonitorKind::Audit | MonitorKind::Smtp | MonitorKind::Blacklist | MonitorKind::Https | MonitorKind::Dns => &[],
    }
}

/// How the records found are compared with the values given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// Exactly these, in any order.
    #[default]
    Equals,
    /// These, and others beside them.
    Contains,
    /// Any at all.
    Exists,
    /// None.
    Absent,
}

impl Comparison {
    /// All, in the order of a form.
    pub const ALL: [Self; 4] = [Self::Equals, Self::Contains, Self::Exists, Self::Absent];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equals => "equals",
            Self::Contains => "contains",
            Self::Exists => "exists",
            Self::Absent => "absent",
        }
    }

    /// Whether values are named.
    pub const fn takes_values(self) -> bool {
        matches!(self, Self::Equals | Self::Contains)
    }
}

impl std::str::FromStr for Comparison {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(())
    }
}

/// What a check expects, as bodies and the database have it. Each kind has fields of its own: `begins_with` and `contains` of TCP, `statuses`
/// and `contains` of HTTPS, `comparison` and `values` of DNS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ServiceSettings {
    /// What the server's first words begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins_with: Option<String>,
    /// What the server's first words, or the page, hold somewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Statuses that are fine: `204`, `200-299`. 200 to 399 when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<String>,
    /// How records are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// What they are compared with, as a zone file has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Why settings can not be used: which of them, and what would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingError {
    /// The field, as a problem names it: `settings.values`.
    pub field: &'static str,
    /// One sentence.
    pub message: String,
}

fn wrong(field: &'static str, message: impl Into<String>) -> SettingError {
    SettingError { field, message: message.into() }
}

/// What a check expects, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expects {
    /// Of a TCP port: its first words.
    Words(Words),
    /// Of a web address.
    Page(Page),
    /// Of the records of a name.
    Records(Records),
    /// Of a mailbox server: what the standards say.
    Mailbox,
}

/// Of what a server says first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// It begins with this.
    pub begins_with: Option<String>,
    /// It holds this.
    pub contains: Option<String>,
}

/// Of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Ranges of statuses that are fine, ends included.
    pub statuses: Vec<(u16, u16)>,
    /// It holds this.
    pub contains: Option<String>,
}

impl Page {
    /// Whether a status is fine.
    pub fn takes(&self, status: u16) -> bool {
        self.statuses.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

/// Of the records of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// How they are compared.
    pub comparison: Comparison,
    /// With what, in the one form of their type, sorted, each once.
    pub values: Vec<String>,
}

impl ServiceSettings {
    /// Reads them for a kind of check. Of DNS the target says of which type the values are: `example.com MX`.
    pub fn read(&self, kind: MonitorKind, target: &str) -> Result<Expects, SettingError> {
        self.only_of(kind)?;
        Ok(match kind {
            MonitorKind::Tcp => Expects::Words(Words {
                begins_with: text("settings.begins_with", self.begins_with.as_deref())?,
                contains: text("settings.contains", self.contains.as_deref())?,
            }),
            MonitorKind::Https => {
                Expects::Page(Page { statuses: self.read_statuses()?, contains: text("settings.contains", self.contains.as_deref())? })
            }
            MonitorKind::Dns => Expects::Records(self.read_records(target)?),
            MonitorKind::Imap | MonitorKind::Pop | MonitorKind::Audit | MonitorKind::Smtp | MonitorKind::Blacklist => Expects::Mailbox,
        })
    }

    /// Refuses what this kind of check has no use for, rather than dropping it.
    fn only_of(&self, kind: MonitorKind) -> Result<(), SettingError> {
        let (words, page, records) = (kind == MonitorKind::Tcp, kind == MonitorKind::Https, kind == MonitorKind::Dns);
        let given = [
            ("settings.begins_with", self.begins_with.is_some(), words),
            ("settings.contains", self.contains.is_some(), words || page),
            ("settings.statuses", !self.statuses.is_empty(), page),
            ("settings.comparison", self.comparison.is_some(), records),
            ("settings.values", !self.values.is_empty(), records),
        ];
        match given.into_iter().find(|(_, given, has)| *given && !has) {
            Some((field, ..)) => Err(wrong(field, "A check of this kind has no such setting.")),
            None => Ok(()),
        }
    }

    fn read_statuses(&self) -> Result<Vec<(u16, u16)>, SettingError> {
        const FIELD: &str = "settings.statuses";
        if self.statuses.is_empty() {
            return Ok(vec![(200, 399)]);
        }
        if self.statuses.len() > MOST_STATUSES {
            return Err(wrong(FIELD, format!("Give at most {MOST_STATUSES} statuses or ranges.")));
        }
        let number = |part: &str| part.trim().parse::<u16>().ok().filter(|status| (100..600).contains(status));
        let range = |text: &String| {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            let range = number(from).zip(number(to)).filter(|(from, to)| from <= to);
            range.ok_or_else(|| {
                let shown: String = text.chars().take(40).collect();
                wrong(FIELD, format!("“{shown}” is no status: write 204, or a range such as 200-299."))
            })
        };
        self.statuses.iter().map(range).collect()
    }

    fn read_records(&self, target: &str) -> Result<Records, SettingError> {
        const FIELD: &str = "settings.values";
        let comparison = self.comparison.unwrap_or_default();
        let (_, kind) = dns_target(target).ok_or_else(|| wrong("target", "Give a name and a type, for example “example.com MX”."))?;
        if self.values.len() > MOST_VALUES {
            return Err(wrong(FIELD, format!("Give at most {MOST_VALUES} values.")));
        }
        if !comparison.takes_values() && !self.values.is_empty() {
            return Err(wrong(FIELD, "Whether there are any is asked: leave the values out."));
        }
        if comparison.takes_values() && self.values.is_empty() {
            return Err(wrong(FIELD, "Give what the records are to be, one value a line."));
        }
        let read = |value: &String| {
            if value.len() > MOST_VALUE {
                return Err(wrong(FIELD, format!("A value has at most {MOST_VALUE} bytes.")));
            }
            kind.normal(value).map_err(|message| wrong(FIELD, message))
        };
        let mut values = self.values.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        values.sort_unstable();
        values.dedup();
        Ok(Records { comparison, values })
    }
}

fn text(field: &'static str, given: Option<&str>) -> Result<Option<String>, SettingError> {
    match given {
        None | Some("") => Ok(None),
        Some(text) if text.chars().count() > MOST_TEXT => Err(wrong(field, format!("Give at most {MOST_TEXT} characters."))),
        Some(text) if text.chars().any(char::is_control) => Err(wrong(field, "Give one line without control characters.")),
        Some(text) => Ok(Some(text.to_owned())),
    }
}

/// `example.com MX` as name and type.
pub fn dns_target(target: &str) -> Option<(&str, RecordKind)> {
    let (name, kind) = target.trim().rsplit_once(' ')?;
    Some((name.trim(), kind.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: MonitorKind, target: &str, settings: &str) -> Result<Expects, &'static str> {
        serde_json::from_str::<ServiceSettings>(settings).unwrap().read(kind, target).map_err(|error| error.field)
    }

    #[test]
    fn settings_are_read_by_their_kind() {
        let words = |begins: Option<&str>, contains: Option<&str>| {
            Ok(Expects::Words(Words { begins_with: begins.map(str::to_owned), contains: contains.map(str::to_owned) }))
        };
        assert_eq!(read(MonitorKind::Tcp, "a.example:25", "{}"), words(None, None));
        assert_eq!(read(MonitorKind::Tcp, "a.example:25", r#"{"begins_with":"220 ","contains":"x"}"#), words(Some("220 "), Some("x")));
        let page = |statuses: &[(u16, u16)]| Ok(Expects::Page(Page { statuses: statuses.to_vec(), contains: None }));
        assert_eq!(read(MonitorKind::Https, "https://a.example/", "{}"), page(&[(200, 399)]));
        assert_eq!(read(MonitorKind::Https, "https://a.example/", r#"{"statuses":["204"," 301 - 302"]}"#), page(&[(204, 204), (301, 302)]));
        let records = read(MonitorKind::Dns, "a.example MX", r#"{"values":["20 B.example.","10 a.example","20 b.example"]}"#);
        let values = vec!["10 a.example".to_owned(), "20 b.example".to_owned()];
        assert_eq!(records, Ok(Expects::Records(Records { comparison: Comparison::Equals, values })));
        assert_eq!(read(MonitorKind::Imap, "a.example:993", "{}"), Ok(Expects::Mailbox));
    }

    #[test]
    fn what_can_not_be_expected_is_refused_by_its_field() {
        for (kind, target, settings, field) in [
            (MonitorKind::Tcp, "a:25", r#"{"statuses":["200"]}"#, "settings.statuses"),
            (MonitorKind::Imap, "a:143", r#"{"begins_with":"* OK"}"#, "settings.begins_with"),
            (MonitorKind::Tcp, "a:25", "{\"contains\":\"a\\nb\"}", "settings.contains"),
            (MonitorKind::Https, "https://a/", r#"{"statuses":["900"]}"#, "settings.statuses"),
            (MonitorKind::Https, "https://a/", r#"{"statuses":["300-200"]}"#, "settings.statuses"),
            (MonitorKind::Https, "https://a/", r#"{"values":["x"]}"#, "settings.values"),
            (MonitorKind::Dns, "a.example A", "{}", "settings.values"),
            (MonitorKind::Dns, "a.example A", r#"{"values":["192.0.2.256"]}"#, "settings.values"),
            (MonitorKind::Dns, "a.example A", r#"{"comparison":"exists","values":["192.0.2.1"]}"#, "settings.values"),
            (MonitorKind::Dns, "a.example", r#"{"comparison":"exists"}"#, "target"),
        ] {
            assert_eq!(read(kind, target, settings).unwrap_err(), field, "{settings}");
        }
    }

    #[test]
    fn no_port_of_a_machines_login_or_a_database_is_open_to_checks() {
        for port in [22, 23, 445, 1433, 3306, 3389, 5432, 6379] {
            assert!(!TCP_PORTS.contains(&port), "{port}");
        }
    }
}
