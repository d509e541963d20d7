//! The table of the score: what findings cost, how far listings let it rise and what grades take, so that everybody can count for themselves;
//! and how an audit's score is held down by what block lists say of the domain.

use serde::{Deserialize, Serialize};

use crate::{finding::Severity, list_history::Standing, outcome::AuditReport};

/// Raised when the table changes.
pub const VERSION: u32 = 2;

/// Grades with the least points each is given for, best first.
pub const GRADES: [(&str, u8); 6] = [("A", 90), ("B", 75), ("C", 60), ("D", 40), ("E", 20), ("F", 0)];

/// The most points beside a listing of the domain itself or of an address that mail for it goes through, by severity.
pub const CAPS: [(Severity, u8); 3] = [(Severity::Critical, 59), (Severity::High, 74), (Severity::Medium, 89)];

/// Listings that a held score names.
const MOST_NAMED: usize = 5;

/// Points that a finding costs.
pub const fn cost(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 40,
        Severity::High => 20,
        Severity::Medium => 8,
        Severity::Low => 2,
        Severity::Info => 0,
    }
}

/// The grade of a score.
pub fn grade(points: u8) -> &'static str {
    GRADES.iter().find(|(_, least)| points >= *least).map_or("F", |(grade, _)| grade)
}

/// The most points beside a listing of that severity; none where it does not matter.
pub fn most_beside(severity: Severity) -> Option<u8> {
    CAPS.iter().find(|(of, _)| *of == severity).map(|(_, most)| *most)
}

/// Listings that hold a score down, whatever else is mended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Held {
    /// The most points while they stand.
    pub most: u8,
    /// The score without them.
    pub without: u8,
    /// How many matter to the score.
    pub count: u32,
    /// The worst of them, five at most.
    pub listings: Vec<Standing>,
}

impl AuditReport {
    /// Takes what block lists say of the domain into its score. `about` are listings of the domain itself and of [`AuditReport::is_own_host`]; what
    /// lists could not tell is not among them and changes nothing.
    pub fn hold(&mut self, about: &[Standing]) {
        let Some(without) = self.score else { return };
        let mut listings: Vec<&Standing> = about.iter().filter(|listing| most_beside(listing.severity).is_some()).collect();
        listings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| (&a.subject, &a.list).cmp(&(&b.subject, &b.list))));
        let Some(most) = listings.first().and_then(|worst| most_beside(worst.severity)) else { return };
        let points = without.min(most);
        for lost in &mut self.lost {
            lost.gain = without.saturating_add(lost.gain).min(most).saturating_sub(points);
        }
        (self.score, self.grade) = (Some(points), Some(grade(points).to_owned()));
        self.held = Some(Held {
            most,
            without,
            count: u32::try_from(listings.len()).unwrap_or(u32::MAX),
            listings: listings.into_iter().take(MOST_NAMED).cloned().collect(),
        });
    }

    /// Whether an address is one that mail for the domain goes through, and not a mailbox provider's: its listings are the provider's business.
    pub fn is_own_host(&self, address: &str) -> bool {
        let own = self.mx_hosts.iter().filter(|host| host.provider.is_none());
        address.parse().is_ok_and(|address: std::net::IpAddr| own.flat_map(|host| &host.addresses).any(|known| *known == address))
    }
}

/// `GET /api/v1/score`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoreTable {
    /// Raised when the table changes.
    pub version: u32,
    /// Points that a rule costs by the worst severity of its findings, the most first. It costs once, however many subjects it concerns.
    pub costs: Vec<ScoreCost>,
    /// How far the score rises beside a listing of the domain, of one of its own MX hosts' addresses, or of an address named as its sender.
    #[serde(default)]
    pub caps: Vec<ScoreCap>,
    /// Grades with the least points each is given for, best first.
    pub grades: Vec<ScoreGrade>,
}

impl ScoreTable {
    /// The table in force.
    pub fn current() -> Self {
        let severities = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
        Self {
            version: VERSION,
            costs: severities.into_iter().map(|severity| ScoreCost { severity, points: cost(severity) }).collect(),
            caps: CAPS.into_iter().map(|(severity, most)| ScoreCap { severity, most, grade: grade(most).to_owned() }).collect(),
            grades: GRADES.into_iter().map(|(grade, least)| ScoreGrade { grade: grade.to_owned(), least }).collect(),
        }
    }
}

/// What a severity costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoreCost {
    /// The severity.
    pub severity: Severity,
    /// Points of 100.
    pub points: u8,
}

/// How far a listing lets the score rise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoreCap {
    /// How bad the listing is.
    pub severity: Severity,
    /// The most points while it stands.
    pub most: u8,
    /// The grade of these.
    pub grade: String,
}

/// What a grade takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoreGrade {
    /// `A` to `F`.
    pub grade: String,
    /// The least points it is given for.
    pub least: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::LostPoints, outcome::MxHost};

    fn listing(subject: &str, severity: Severity) -> Standing {
        Standing { subject: subject.to_owned(), list: "L".to_owned(), zone: "l.example".to_owned(), severity }
    }

    fn audit(score: Option<u8>, points: &[u8]) -> AuditReport {
        let lost =
            |points: &u8| LostPoints { rule: "a.b".to_owned(), title: "T".to_owned(), severity: Severity::Low, points: *points, gain: *points };
        AuditReport {
            score,
            grade: score.map(|points| grade(points).to_owned()),
            lost: points.iter().map(lost).collect(),
            ..AuditReport::empty("e.example")
        }
    }

    #[test]
    fn a_listing_holds_the_score_at_the_top_of_a_grade_and_what_does_not_matter_holds_nothing() {
        use Severity::{Critical, High, Info, Low, Medium};
        for (severities, score, most) in [
            (&[Critical, Low][..], (59, "D"), Some(59)),
            (&[High], (74, "C"), Some(74)),
            (&[Medium], (89, "B"), Some(89)),
            (&[Low, Info], (98, "A"), None),
            (&[], (98, "A"), None),
        ] {
            let mut held = audit(Some(98), &[2]);
            held.hold(&severities.iter().map(|severity| listing("192.0.2.7", *severity)).collect::<Vec<_>>());
            assert_eq!((held.score, held.grade.as_deref()), (Some(score.0), Some(score.1)), "{severities:?}");
            assert_eq!(held.held.as_ref().map(|held| held.most), most);
            assert_eq!(held.lost[0].gain, if most.is_some() { 0 } else { 2 }, "mending a finding gains nothing while it is held");
        }
        assert!(CAPS.iter().all(|(_, most)| grade(*most) != grade(most + 1)), "each stops short of the next grade");
    }

    #[test]
    fn a_score_that_is_lower_anyway_stays_and_none_stays_none() {
        let mut low = audit(Some(52), &[40, 8]);
        low.hold(&[listing("e.example", Severity::Critical)]);
        assert_eq!((low.score, low.lost[0].gain, low.lost[1].gain), (Some(52), 7, 7), "up to what the listing allows");
        let mut none = audit(None, &[]);
        none.hold(&[listing("e.example", Severity::Critical)]);
        assert_eq!((none.score, none.held), (None, None));
    }

    #[test]
    fn a_providers_hosts_are_not_the_domains_own() {
        let host = |address: &str, provider: Option<&str>| MxHost {
            preference: 10,
            host: "mx.example".to_owned(),
            addresses: vec![address.parse().unwrap()],
            partial: false,
            provider: provider.map(str::to_owned),
        };
        let audit = AuditReport { mx_hosts: vec![host("192.0.2.1", None), host("192.0.2.2", Some("Provider"))], ..AuditReport::empty("e.example") };
        assert!(
            audit.is_own_host("192.0.2.1") && !audit.is_own_host("192.0.2.2") && !audit.is_own_host("192.0.2.3") && !audit.is_own_host("e.example")
        );
    }

    #[test]
    fn the_published_table_says_what_is_counted_by() {
        let table = ScoreTable::current();
        assert!(table.costs.is_sorted_by_key(|cost| std::cmp::Reverse(cost.points)), "{table:?}");
        assert!(table.grades.iter().all(|row| grade(row.least) == row.grade));
        assert_eq!(table.grades.last().map(|grade| grade.least), Some(0), "every score has a grade");
        assert!(table.caps.iter().all(|cap| most_beside(cap.severity) == Some(cap.most) && grade(cap.most) == cap.grade));
        assert!(table.caps.is_sorted_by_key(|cap| cap.most));
    }
}
