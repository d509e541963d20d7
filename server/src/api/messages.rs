//! `messages`: reading a pasted message or its header. Nothing of it is kept but the selectors that it is signed with, where the domain is
//! watched: from then on their keys are looked at.

use std::time::Duration;

use axum::{Json, extract::State};
use waypost_engine::headers::analyse;
use waypost_types::{
    headers::{HeaderReport, NO_MESSAGE, PastedMessage, Verified},
    problem::Problem,
};

use crate::{
    api::targets,
    http::{
        body::Body,
        org::{Member, Write},
        problem::ApiError,
    },
    state::AppState,
};

/// Keys and policies that a message names are looked up; a visitor does not wait longer.
const LIMIT: Duration = Duration::from_secs(20);

/// Reads a message: hops with their delays, results, signatures, the ARC chain, and what is wrong.
#[utoipa::path(post, path = "/v1/orgs/{org}/messages", tag = "messages", params(("org" = String, Path)), request_body = PastedMessage,
    responses((status = 200, body = HeaderReport), (status = 403, body = Problem), (status = 413, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn read(member: Member<Write>, State(state): State<AppState>, Body(pasted): Body<PastedMessage>) -> Result<Json<HeaderReport>, ApiError> {
    if pasted.message.trim().is_empty() {
        return Err(ApiError::field("message", "Paste a message, or its header: your mail program shows it as “source” or “original”."));
    }
    member.take_check()?;
    let report = tokio::time::timeout(LIMIT, analyse(&state.net, pasted.message.as_bytes()))
        .await
        .map_err(|_| ApiError::field("message", "The name servers of the domains in it did not answer in time. Try again in a minute."))?;
    if report.is_no_message() {
        return Err(ApiError::field("message", NO_MESSAGE));
    }
    let seen = believable(&report);
    if !seen.is_empty() {
        let mut tx = member.tx().await?;
        tx.selectors_seen(&seen).await?;
        tx.commit().await?;
    }
    Ok(Json(report))
}

/// Selectors that sign mail. Whoever forges a message writes what they like: only what verifies proves that a selector is in use.
fn believable(report: &HeaderReport) -> Vec<(String, String)> {
    let valid = report.signatures.iter().filter(|signature| signature.verified == Verified::Valid);
    valid
        .filter_map(|signature| {
            let selector = targets::selectors(std::slice::from_ref(&signature.selector)).ok()?.pop()?;
            Some((signature.domain.to_ascii_lowercase(), selector))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use waypost_types::headers::SignatureReport;

    use super::*;

    #[test]
    fn only_signatures_that_verify_prove_a_selector() {
        let signature = |selector: &str, verified| SignatureReport {
            domain: "Example.com".to_owned(),
            selector: selector.to_owned(),
            verified,
            ..SignatureReport::default()
        };
        let report = HeaderReport {
            signatures: vec![
                signature("S1", Verified::Valid),
                signature("forged", Verified::Broken),
                signature("gone", Verified::NoKey),
                signature("blind", Verified::Unknown),
                signature(&"x".repeat(5_000), Verified::Valid),
            ],
            ..HeaderReport::default()
        };
        assert_eq!(believable(&report), [("example.com".to_owned(), "s1".to_owned())]);
    }
}
