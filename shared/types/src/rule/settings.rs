//! What may be asked of a rule: its settings, strictly read, and those that are suggested.

use serde::{Deserialize, Serialize};

use super::series::{Series, Side, minutes};
use crate::{
    incident::IncidentSeverity,
    maintenance::Covers,
    runbook::{OwnRunbook, RunbookFault},
};

/// The longest that something may have to last: a day.
pub const MOST_MINUTES: u32 = 1440;
/// The longest window: what lies further back says little of now, and thousands of monitors have millions of checks a day.
pub const LONGEST_WINDOW: u32 = 360;
/// The shortest window.
pub const SHORTEST_WINDOW: u32 = 5;
/// Characters of a name at most.
const MOST_NAME: usize = 80;

/// What a rule asks for, as it was found usable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleSettings {
    /// What people call it.
    pub name: String,
    /// It is judged.
    pub enabled: bool,
    /// What it watches.
    pub series: Series,
    /// Minutes of checks that a value is taken over; absent for series of what was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_minutes: Option<u32>,
    /// The limit, in the unit of the series.
    pub threshold: f64,
    /// The value at which it is over again: the limit, or beyond it on the calm side.
    pub clear: f64,
    /// Minutes that a value has to be beyond the limit; 0 is at once.
    pub for_minutes: u32,
    /// How bad that is.
    pub severity: IncidentSeverity,
    /// What it is about.
    pub scope: Covers,
    /// A runbook of its own, which its incidents lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<OwnRunbook>,
}

/// A field that can not be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct RuleFault {
    /// Name of the field in the body.
    pub field: &'static str,
    /// What to do.
    pub message: String,
}

fn fault(field: &'static str, message: impl Into<String>) -> RuleFault {
    RuleFault { field, message: message.into() }
}

/// `POST rules`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// 1 to 80 characters.
    pub name: String,
    /// Whether it is judged; it is where this is absent.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What it watches. It stays as it is: for another series make another rule.
    pub series: Series,
    /// 5 to 360 minutes of checks; absent for certificates, listings and scores, which are what was seen last.
    #[serde(default)]
    pub over_minutes: Option<u32>,
    /// The limit, in the unit of the series.
    pub threshold: f64,
    /// The value at which it is over again; the limit when absent.
    #[serde(default)]
    pub clear: Option<f64>,
    /// 0 to 1440 minutes that a value has to be beyond the limit.
    #[serde(default)]
    pub for_minutes: u32,
    /// How bad that is.
    pub severity: IncidentSeverity,
    /// What it is about: everything when absent.
    #[serde(default = "everything")]
    pub scope: Covers,
    /// A runbook of its own, which its incidents lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<OwnRunbook>,
}

const fn yes() -> bool {
    true
}

fn everything() -> Covers {
    Covers { everything: true, ..Covers::default() }
}

/// `PATCH rules/{id}`: what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RulePatch {
    /// Another name.
    #[serde(default)]
    pub name: Option<String>,
    /// On or off. What fires when it is switched off is let go.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Another window.
    #[serde(default)]
    pub over_minutes: Option<u32>,
    /// Another limit. Where it is over at the limit, it stays so.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// Another value at which it is over.
    #[serde(default)]
    pub clear: Option<f64>,
    /// Another time to last.
    #[serde(default)]
    pub for_minutes: Option<u32>,
    /// How bad it is; what is open changes with it.
    #[serde(default)]
    pub severity: Option<IncidentSeverity>,
    /// What it is about. What fires and is not among it any more is let go.
    #[serde(default)]
    pub scope: Option<Covers>,
    /// A runbook of its own; null takes it away.
    #[serde(default, deserialize_with = "crate::patch::given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<OwnRunbook>))]
    pub runbook: Option<Option<OwnRunbook>>,
}

impl NewRule {
    /// As it is used, or the first field that can not be.
    pub fn checked(self) -> Result<RuleSettings, RuleFault> {
        let clear = self.clear.unwrap_or(self.threshold);
        RuleSettings {
            name: self.name,
            enabled: self.enabled,
            series: self.series,
            over_minutes: self.over_minutes,
            threshold: self.threshold,
            clear,
            for_minutes: self.for_minutes,
            severity: self.severity,
            scope: self.scope,
            runbook: self.runbook,
        }
        .checked()
    }
}

impl RuleSettings {
    /// The same with what a patch says, or the first field that can not be used.
    pub fn patched(self, patch: RulePatch) -> Result<Self, RuleFault> {
        let threshold = patch.threshold.unwrap_or(self.threshold);
        let at_limit = self.series.side().is_beyond(self.clear, self.threshold) == self.series.side().is_beyond(self.threshold, self.clear);
        let clear = patch.clear.unwrap_or(if at_limit { threshold } else { self.clear });
        Self {
            name: patch.name.unwrap_or(self.name),
            enabled: patch.enabled.unwrap_or(self.enabled),
            series: self.series,
            over_minutes: patch.over_minutes.or(self.over_minutes),
            threshold,
            clear,
            for_minutes: patch.for_minutes.unwrap_or(self.for_minutes),
            severity: patch.severity.unwrap_or(self.severity),
            scope: patch.scope.unwrap_or(self.scope),
            runbook: patch.runbook.unwrap_or(self.runbook),
        }
        .checked()
    }

    fn checked(self) -> Result<Self, RuleFault> {
        let name = self.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > MOST_NAME || name.chars().any(char::is_control) {
            return Err(fault("name", format!("Give a name of 1 to {MOST_NAME} characters on one line.")));
        }
        match self.over_minutes {
            None if self.series.has_window() => {
                return Err(fault(
                    "over_minutes",
                    format!("Give the minutes of checks that it is taken over: {SHORTEST_WINDOW} to {LONGEST_WINDOW}."),
                ));
            }
            Some(_) if !self.series.has_window() => {
                return Err(fault("over_minutes", "This series is what was seen last and has no window: leave it out."));
            }
            Some(over) if !(SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&over) => {
                return Err(fault("over_minutes", format!("Give {SHORTEST_WINDOW} to {LONGEST_WINDOW} minutes.")));
            }
            _ => {}
        }
        self.number("threshold", self.threshold)?;
        self.number("clear", self.clear)?;
        if self.series.side().is_beyond(self.clear, self.threshold) {
            let side = match self.series.side() {
                Side::Above => "below",
                Side::Below => "above",
            };
            return Err(fault("clear", format!("It can be over at the limit or {side} it, and not beyond it.")));
        }
        if self.for_minutes > MOST_MINUTES {
            return Err(fault("for_minutes", format!("Give 0 to {MOST_MINUTES} minutes.")));
        }
        let runbook = match self.runbook.as_ref().map(OwnRunbook::checked).transpose() {
            Ok(runbook) => runbook.flatten(),
            Err(RunbookFault { field, message }) => return Err(fault(field, message)),
        };
        Ok(Self { name, runbook, ..self })
    }

    fn number(&self, field: &'static str, value: f64) -> Result<(), RuleFault> {
        let (least, most) = self.series.bounds();
        if !value.is_finite() || !(least..=most).contains(&value) {
            return Err(fault(field, format!("Give a number from {least} to {most}: it is in {}.", self.series.unit())));
        }
        if self.series.is_whole() && value.fract().abs() > f64::EPSILON {
            return Err(fault(field, "Give a whole number."));
        }
        Ok(())
    }

    /// Whether a value is beyond the limit.
    pub fn is_over(&self, value: f64) -> bool {
        self.series.side().is_beyond(value, self.threshold)
    }

    /// Whether a value ends what is open.
    pub fn is_calm(&self, value: f64) -> bool {
        !self.series.side().is_beyond(value, self.clear)
    }

    /// `over 15 min`, with a space before; nothing for what was seen last.
    pub fn over_words(&self) -> String {
        self.over_minutes.map(|over| format!(" over {}", minutes(over))).unwrap_or_default()
    }

    /// The rule as one sentence.
    pub fn sentence(&self) -> String {
        let Self { series, severity, .. } = self;
        let lasts = match self.for_minutes {
            0 => String::new(),
            lasts => format!(" for {}", minutes(lasts)),
        };
        let incident = match severity {
            IncidentSeverity::Critical => "a critical incident",
            IncidentSeverity::Warning => "a warning",
            IncidentSeverity::Info => "a notice",
        };
        let apart = series.side().is_beyond(self.threshold, self.clear);
        let over = if apart { format!("; it is over at {}", series.words(self.clear)) } else { String::new() };
        format!(
            "When {}{} is {} {}{lasts}, {incident} opens{over}.",
            series.phrase(),
            self.over_words(),
            series.side().word(),
            series.words(self.threshold)
        )
    }
}

/// What is suggested to whoever has no rule of the series yet, by name.
pub const SUGGESTED: [(&str, Series); 4] =
    [("slow", Series::ResponseTimeP95), ("failing", Series::FailureRate), ("certificate", Series::CertificateDays), ("score", Series::Score)];

/// A suggestion by its name.
pub fn suggestion(name: &str) -> Option<NewRule> {
    let (_, series) = SUGGESTED.into_iter().find(|(known, _)| *known == name)?;
    let (title, over_minutes, threshold, clear, for_minutes) = match series {
        Series::ResponseTimeP95 => ("Slow answers", Some(30), 2000.0, 1500.0, 15),
        Series::FailureRate => ("Failing checks", Some(60), 20.0, 10.0, 0),
        Series::CertificateDays => ("Certificate runs out", None, 14.0, 14.0, 0),
        _ => ("Score is low", None, 80.0, 80.0, 0),
    };
    Some(NewRule {
        name: title.to_owned(),
        enabled: true,
        series,
        over_minutes,
        threshold,
        clear: Some(clear),
        for_minutes,
        severity: IncidentSeverity::Warning,
        scope: everything(),
        runbook: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(url: &str) -> OwnRunbook {
        OwnRunbook { url: Some(url.to_owned()), text: None }
    }

    fn slow() -> NewRule {
        suggestion("slow").unwrap()
    }

    #[test]
    fn every_suggestion_can_be_used_and_reads_as_a_sentence() {
        let said: Vec<String> = SUGGESTED.iter().map(|(name, _)| suggestion(name).unwrap().checked().unwrap().sentence()).collect();
        assert_eq!(
            said,
            [
                "When the p95 response time over 30 min is above 2,000 ms for 15 min, a warning opens; it is over at 1,500 ms.",
                "When the share of failed checks over 1 h is above 20 %, a warning opens; it is over at 10 %.",
                "When the time left on the certificate is below 14 days, a warning opens.",
                "When the score is below 80 points, a warning opens.",
            ]
        );
        assert_eq!(suggestion("other"), None);
    }

    #[test]
    fn what_can_not_be_used_is_refused_by_its_field() {
        let score = || suggestion("score").unwrap();
        for (rule, field) in [
            (NewRule { name: " ".into(), ..slow() }, "name"),
            (NewRule { name: "two\nlines".into(), ..slow() }, "name"),
            (NewRule { name: "x".repeat(81), ..slow() }, "name"),
            (NewRule { over_minutes: None, ..slow() }, "over_minutes"),
            (NewRule { over_minutes: Some(4), ..slow() }, "over_minutes"),
            (NewRule { over_minutes: Some(361), ..slow() }, "over_minutes"),
            (NewRule { over_minutes: Some(60), ..score() }, "over_minutes"),
            (NewRule { threshold: 0.0, clear: None, ..slow() }, "threshold"),
            (NewRule { threshold: f64::NAN, clear: None, ..slow() }, "threshold"),
            (NewRule { threshold: 80.5, clear: None, ..score() }, "threshold"),
            (NewRule { threshold: 100.0, clear: None, ..suggestion("failing").unwrap() }, "threshold"),
            (NewRule { clear: Some(2001.0), ..slow() }, "clear"),
            (NewRule { clear: Some(79.0), ..score() }, "clear"),
            (NewRule { clear: Some(101.0), ..score() }, "clear"),
            (NewRule { for_minutes: 1441, ..slow() }, "for_minutes"),
            (NewRule { runbook: Some(link("wiki.example")), ..slow() }, "runbook.url"),
        ] {
            assert_eq!(rule.clone().checked().unwrap_err().field, field, "{rule:?}");
        }
    }

    #[test]
    fn a_patch_changes_what_it_names_and_a_clear_that_is_the_limit_goes_with_it() {
        let rule = slow().checked().unwrap();
        let patched = rule.clone().patched(RulePatch { threshold: Some(3000.0), ..RulePatch::default() }).unwrap();
        assert_eq!((patched.threshold, patched.clear, patched.for_minutes), (3000.0, 1500.0, 15));
        let own = Some(link("https://wiki.example"));
        let with = rule.clone().patched(RulePatch { runbook: Some(own.clone()), ..RulePatch::default() }).unwrap();
        assert_eq!(with.runbook, own);
        assert_eq!(with.clone().patched(RulePatch { for_minutes: Some(1), ..RulePatch::default() }).unwrap().runbook, own);
        assert_eq!(with.patched(RulePatch { runbook: Some(None), ..RulePatch::default() }).unwrap().runbook, None);
        let refused = rule.patched(RulePatch { threshold: Some(1000.0), ..RulePatch::default() }).unwrap_err();
        assert_eq!(refused.field, "clear", "it would be over before it begins");
        let score = suggestion("score").unwrap().checked().unwrap();
        let patched = score.patched(RulePatch { threshold: Some(70.0), ..RulePatch::default() }).unwrap();
        assert_eq!((patched.threshold, patched.clear), (70.0, 70.0));
    }
}
