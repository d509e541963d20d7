//! The runbook that an incident leads to: one of its rule's or its monitor's own, or else that of the usual event it is about.

use serde::{Deserialize, Serialize};

use crate::{id::IncidentId, topic::Topic};

/// Characters of a link at most: messages carry it whole.
const MOST_LINK: usize = 500;
/// Characters of a text at most, as of an organisation's runbooks.
pub const MOST_TEXT: usize = 20_000;

/// A runbook of a monitor's or a rule's own: a link, a text, or both. It stands in the place of the one that fits the usual event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OwnRunbook {
    /// Where it is: an `https` or `http` address of at most 500 characters. Messages lead there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Markdown of at most 20,000 characters. The incident's page shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What of a runbook can not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RunbookFault {
    /// The field of the body.
    pub field: &'static str,
    /// What to do.
    pub message: String,
}

impl OwnRunbook {
    /// As it is kept, without what is empty; nothing where all of it is.
    pub fn checked(&self) -> Result<Option<Self>, RunbookFault> {
        let fault = |field, message: String| RunbookFault { field, message };
        let url = self.url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        if let Some(url) = url {
            if url.chars().count() > MOST_LINK {
                return Err(fault("runbook.url", format!("The link has more than {MOST_LINK} characters.")));
            }
            if !is_address(url) {
                return Err(fault("runbook.url", "Give an address that begins with https:// or http://.".to_owned()));
            }
        }
        let text = self.text.as_deref().map(|text| text.replace("\r\n", "\n"));
        let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if text.is_some_and(|text| text.chars().count() > MOST_TEXT) {
            return Err(fault("runbook.text", format!("The text has more than {MOST_TEXT} characters.")));
        }
        let own = Self { url: url.map(str::to_owned), text: text.map(str::to_owned) };
        Ok((own != Self::default()).then_some(own))
    }
}

/// Whether it can be a link in every kind of message: an address of the web with a host, and nothing that ends a link there. Who writes it is
/// an editor of the organisation; credentials in it would be shown to everybody who reads the message.
fn is_address(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")) else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |char: char| !char.is_whitespace() && !char.is_control() && !"<>\"|\\^`{}".contains(char);
    host.chars().next().is_some_and(|first| first.is_alphanumeric() || first == '[') && !host.contains('@') && text.chars().all(plain)
}

/// The runbook that an incident leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guide {
    /// One of its rule's or its monitor's own.
    Own(OwnRunbook),
    /// That of the usual event that it is about.
    Usual(Topic),
}

impl Guide {
    /// What is its own comes first.
    pub fn of(own: Option<OwnRunbook>, topic: Option<Topic>) -> Option<Self> {
        own.map(Self::Own).or(topic.map(Self::Usual))
    }

    /// What a link to it says.
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Own(_) => "Your own runbook",
            Self::Usual(topic) => topic.title(),
        }
    }

    /// Where it is: an address, or a path of this installation. A text without a link is on the incident's page.
    pub fn place(&self, org_slug: &str, incident: IncidentId) -> String {
        match self {
            Self::Own(OwnRunbook { url: Some(url), .. }) => url.clone(),
            Self::Own(_) => format!("/o/{org_slug}/incidents/{incident}#runbook"),
            Self::Usual(topic) => format!("/o/{org_slug}/runbooks/{}", topic.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(url: Option<&str>, text: Option<&str>) -> OwnRunbook {
        OwnRunbook { url: url.map(str::to_owned), text: text.map(str::to_owned) }
    }

    #[test]
    fn a_link_is_one_that_every_message_can_carry() {
        for url in [
            "https://wiki.example/mail#port-25",
            "HTTP://wiki.example",
            "http://10.1.2.3:8080/a?b=c&d=e",
            "https://[2001:db8::1]/x",
            "https://wiki.example/\u{fc}ber",
        ] {
            assert_eq!(own(Some(url), None).checked().unwrap(), Some(own(Some(url), None)), "{url}");
        }
        let long = format!("https://wiki.example/{}", "x".repeat(480));
        for url in [
            "wiki.example/mail",
            "javascript:alert(1)",
            "ftp://wiki.example/",
            "https://",
            "https:///x",
            "https://a.example/ b",
            "https://a.example/|x",
            "https://a.example/>x",
            "https://ann:secret@a.example/",
            &long,
        ] {
            assert_eq!(own(Some(url), None).checked().unwrap_err().field, "runbook.url", "{url}");
        }
        let long = "x".repeat(20_001);
        assert_eq!(own(None, Some(&long)).checked().unwrap_err().field, "runbook.text");
    }

    #[test]
    fn what_is_empty_is_none() {
        assert_eq!(own(Some(" "), Some("\r\n")).checked().unwrap(), None);
        assert_eq!(own(Some(" https://a.example "), Some("a\r\nb\n")).checked().unwrap(), Some(own(Some("https://a.example"), Some("a\nb"))));
    }

    #[test]
    fn what_is_its_own_comes_first_and_its_link_before_its_text() {
        let incident = IncidentId(uuid::Uuid::from_u128(7));
        let place = |own, topic| Guide::of(own, topic).map(|guide| guide.place("example", incident));
        let usual = Some(Topic::Unreachable);
        assert_eq!(place(None, None), None);
        assert_eq!(place(None, usual).unwrap(), "/o/example/runbooks/unreachable");
        assert_eq!(place(Some(own(Some("https://a.example"), Some("x"))), usual).unwrap(), "https://a.example");
        assert_eq!(place(Some(own(None, Some("x"))), usual).unwrap(), format!("/o/example/incidents/{incident}#runbook"));
    }
}
