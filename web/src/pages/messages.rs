//! “Check a message”: a pasted message or header, read hop by hop.

use axum::extract::Path;
use chrono::Utc;
use leptos::prelude::*;
use waypost_types::{
    headers::{ArcReport, ArcState, AuthResults, HeaderReport, Hop, PastedMessage, SignatureReport, Verified},
    outcome::Status,
};

use super::settings;
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Visit, org_path, page},
    text,
    ui::{self, Button, Form, Gate, Place, icon},
};

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, &Fields::empty(), None, None).await
}

pub(crate) async fn read(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    if fields.too_large() {
        let failure = ApiFailure::field("message", TOO_LARGE.to_owned());
        return draw(&visit, &org, &fields, Some(&failure), None).await;
    }
    let body = PastedMessage { message: fields.raw("message").to_owned() };
    match visit.api.post::<HeaderReport>(&org_path(&org, "messages"), &body).await {
        Ok(report) => draw(&visit, &org, &fields, None, Some(report)).await,
        Err(failure) if failure.status == 413 => {
            let failure = ApiFailure::field("message", STILL_TOO_LARGE.to_owned());
            draw(&visit, &org, &fields, Some(&failure), None).await
        }
        Err(failure) if failure.is_input() => draw(&visit, &org, &fields, Some(&failure), None).await,
        Err(failure) => Err(failure),
    }
}

/// It was read and is there again.
const STILL_TOO_LARGE: &str = "The message is too large to be read as a whole. Keep its header, which ends at the first empty line, and send that.";
/// It was not even read.
const TOO_LARGE: &str =
    "The message is too large to be read. Paste its header alone, which ends at the first empty line; “back” in your browser shows what you pasted.";

async fn draw(visit: &Visit, org: &str, fields: &Fields, failure: Option<&ApiFailure>, report: Option<HeaderReport>) -> Answer {
    let frame = visit.frame(org).await?;
    Ok(page(visit, settings::status(failure), "Check a message", || {
        let base = format!("/o/{}", text::encoded(org));
        let gate = Gate::change(&frame, "message");
        let form = Form::new(fields, failure, &["message"]);
        let hint = "In Gmail “Show original”, in Outlook “View message source”. The header is enough; with the body the signatures are verified. Nothing of it is kept.";
        let inputs = view! { {form.said()}{form.long_text("message", "Message or header", 12, hint)} };
        let content = view! {
            {ui::head("Check a message", None, "Where it went, who signed it, and what receivers made of it.", ())}
            {gate.hint()}
            {report.as_ref().map(result)}
            <section class="card" aria-labelledby="h-paste">
                <div class="card-head"><h2 id="h-paste">"Paste a message"</h2></div>
                {gate.form("card-body stack", format!("{base}/messages"), inputs, Button::new("btn btn-primary", "Read it"))}
            </section>
        };
        ui::shell(
            &frame,
            Place::Domains,
            vec![(Some(format!("{base}/domains")), "Domains".to_owned()), (None, "Check a message".to_owned())],
            content,
        )
    }))
}

fn result(report: &HeaderReport) -> AnyView {
    let subject = report.subject.clone().unwrap_or_else(|| "No subject".to_owned());
    let clean = report
        .findings
        .is_empty()
        .then(|| view! { <div class="empty">{icon("ok")}<h3>"No findings"</h3><p>"Everything that could be read is as it should be."</p></div> });
    let took = report.total_seconds.map(|seconds| view! { <span class="meta num">{format!("{} in all", span(seconds))}</span> });
    view! {
        <section class="card" id="result" aria-labelledby="h-msg">
            <div class="card-head"><h2 id="h-msg">{subject}</h2><span class="meta">{report.from.join(", ")}</span></div>
            <div class="card-body stack"><p>{report.alignment.words.clone()}</p><p class="sm muted">{report.belief.clone()}</p>{remarks(&report.remarks)}</div>
        </section>
        <section class="card" aria-labelledby="h-mf">
            <div class="card-head"><h2 id="h-mf">"Findings"</h2><span class="meta num">{report.findings.len().to_string()}</span></div>
            {clean}{ui::findings(&report.findings, "m")}{ui::unknown_parts(&report.unknown)}
        </section>
        <section class="card" aria-labelledby="h-hops">
            <div class="card-head"><h2 id="h-hops">"The way it went"</h2>{took}</div>
            {hops(&report.hops)}
        </section>
        {signatures(&report.signatures)}
        {arc(&report.arc)}
        {report.authentication.iter().enumerate().map(|(nth, results)| authentication(nth, results)).collect_view()}
    }
    .into_any()
}

fn remarks(all: &[String]) -> AnyView {
    all.iter().map(|remark| view! { <p class="sm">{text::sentence(remark)}</p> }).collect_view().into_any()
}

fn span(seconds: u64) -> String {
    text::duration(i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn hops(all: &[Hop]) -> AnyView {
    if all.is_empty() {
        return view! { <div class="empty"><h3>"No Received field"</h3><p>"The header names no host that the message passed."</p></div> }.into_any();
    }
    let rows = all
        .iter()
        .enumerate()
        .map(|(nth, hop)| {
            let from = hop.reverse.as_ref().or(hop.helo.as_ref()).cloned().unwrap_or_else(|| "–".to_owned());
            let address = hop.address.map(|address| view! { <span class="sub mono">{address.to_string()}{hop.private.then_some(" (private)")}</span> });
            let link = [hop.with.clone(), hop.tls_version.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ");
            let delay = match (hop.delay_seconds, hop.skew_seconds) {
                (_, Some(skew)) => format!("clock {} off", span(skew)),
                (Some(0), _) => "at once".to_owned(),
                (Some(delay), _) => span(delay),
                (None, None) => "–".to_owned(),
            };
            view! {
                <tr>
                    <th scope="row" class="num">{(nth + 1).to_string()}</th>
                    <td data-label="From"><span>{ui::breakable(&from)}{address}</span></td>
                    <td data-label="Taken by"><span>{ui::breakable(hop.by.as_deref().unwrap_or("–"))}{hop.id.clone().map(|id| view! { <span class="sub mono">{id}</span> })}</span></td>
                    <td data-label="Link">{(!link.is_empty()).then_some(link)}</td>
                    <td data-label="Time">{hop.time.map(|at| view! { <time datetime=at.to_rfc3339() title=text::relative(at, Utc::now())>{text::exact(at)}</time> })}</td>
                    <td class="num" data-label="Delay">{delay}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Hops, table">
            <table class="table fold">
                <caption class="vh">"Hops in the order of time"</caption>
                <thead><tr><th scope="col">"Hop"</th><th scope="col">"From"</th><th scope="col">"Taken by"</th><th scope="col">"Link"</th><th scope="col">"Time"</th><th scope="col" class="num">"Delay"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn verified(state: Verified) -> AnyView {
    let (kind, word) = match state {
        Verified::Valid => (Status::Ok, "Valid"),
        Verified::Broken => (Status::Bad, "Broken"),
        Verified::NoKey => (Status::Bad, "No key"),
        Verified::Unknown => (Status::None, "Not known"),
    };
    ui::status(kind, word)
}

fn signatures(all: &[SignatureReport]) -> AnyView {
    let row = |signature: &SignatureReport| {
        view! {
            <tr>
                <th scope="row">{ui::breakable(&signature.domain)}<span class="sub mono">{signature.selector.clone()}</span></th>
                <td data-label="State">{verified(signature.verified)}</td>
                <td data-label="Aligned with From">{match signature.aligned { Some(true) => "Yes", Some(false) => "No", None => "Not known" }}</td>
                <td data-label="Algorithm"><span class="mono xs">{signature.algorithm.clone()}</span></td>
                <td data-label="Why"><span>{text::sentence(&signature.reason)}{signature.advice.clone().map(|advice| view! { <span class="sub">{advice}</span> })}</span></td>
            </tr>
        }
    };
    let body = if all.is_empty() {
        view! { <div class="empty"><h3>"Not signed"</h3><p>"The message has no DKIM signature."</p></div> }.into_any()
    } else {
        view! {
            <div class="table-wrap" tabindex="0" role="region" aria-label="DKIM signatures, table">
                <table class="table fold">
                    <caption class="vh">"DKIM signatures"</caption>
                    <thead><tr><th scope="col">"Domain and selector"</th><th scope="col">"State"</th><th scope="col">"Aligned with From"</th><th scope="col">"Algorithm"</th><th scope="col">"Why"</th></tr></thead>
                    <tbody>{all.iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! { <section class="card" aria-labelledby="h-sig"><div class="card-head"><h2 id="h-sig">"DKIM signatures"</h2></div>{body}</section> }
        .into_any()
}

fn arc(chain: &ArcReport) -> Option<AnyView> {
    let kind = match chain.state {
        ArcState::None => return None,
        ArcState::Pass => Status::Ok,
        ArcState::Fail => Status::Bad,
        ArcState::Unknown => Status::None,
    };
    let rows = chain
        .sets
        .iter()
        .map(|set| {
            let why = [&set.seal_reason, &set.message_signature_reason].into_iter().chain(&set.remarks).filter(|words| !words.is_empty());
            let failed = (chain.failed_instance == Some(set.instance)).then(|| ui::badge(Status::Bad, "Fails here"));
            let why = why.map(|words| text::sentence(words)).collect::<Vec<_>>().join(". ");
            view! {
                <tr>
                    <th scope="row" class="num">{set.instance.to_string()}</th>
                    <td data-label="Forwarder"><span>{ui::breakable(set.domain.as_deref().unwrap_or("–"))}<span class="sub">{text::sentence(&set.vouched)}</span>{failed}</span></td>
                    <td data-label="Found">{set.cv.clone()}</td>
                    <td data-label="Seal">{verified(set.seal)}</td>
                    <td data-label="Message">{verified(set.message_signature)}</td>
                    <td data-label="Why">{why}</td>
                </tr>
            }
        })
        .collect_view();
    Some(
        view! {
            <section class="card" aria-labelledby="h-arc">
                <div class="card-head"><h2 id="h-arc">"ARC chain"</h2>{ui::badge(kind, chain.state.as_str())}</div>
                <div class="card-body stack"><p>{text::sentence(&chain.reason)}</p>{(!chain.receiver.is_empty()).then(|| view! { <p class="sm muted">{text::sentence(&chain.receiver)}</p> })}</div>
                <div class="table-wrap" tabindex="0" role="region" aria-label="ARC chain, table">
                    <table class="table fold">
                        <caption class="vh">"ARC sets"</caption>
                        <thead><tr><th scope="col">"Instance"</th><th scope="col">"Forwarder"</th><th scope="col">"Found"</th><th scope="col">"Seal"</th><th scope="col">"Message"</th><th scope="col">"Why"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </section>
        }
        .into_any(),
    )
}

fn authentication(nth: usize, results: &AuthResults) -> AnyView {
    let items = results
        .results
        .iter()
        .map(|method| {
            let kind = match method.result.as_str() {
                "pass" => Status::Ok,
                "fail" | "permerror" | "softfail" => Status::Bad,
                _ => Status::None,
            };
            let said = method.properties.iter().map(|property| format!("{}={}", property.name, property.value)).collect::<Vec<_>>().join(" ");
            view! { <li><div class="item" data-status=kind.as_str()>{icon(kind_icon(kind))}<div><span class="title">{format!("{}: {}", method.method, method.result)}</span><p class="desc mono xs">{said}</p></div></div></li> }
        })
        .collect_view();
    let id = format!("h-auth-{nth}");
    let word = if results.believable { "Can be believed" } else { "Cannot be believed" };
    let kind = if results.believable { Status::Ok } else { Status::None };
    let name = results.authserv_id.clone().unwrap_or_else(|| "an unnamed host".to_owned());
    view! {
        <section class="card" aria-labelledby=id.clone()>
            <div class="card-head"><h2 id=id.clone()>{format!("Results of {name}")}</h2>{ui::badge(kind, word)}</div>
            <ul class="list">{items}</ul>
        </section>
    }
    .into_any()
}

const fn kind_icon(kind: Status) -> &'static str {
    match kind {
        Status::Ok => "ok",
        Status::Bad => "bad",
        _ => "unknown",
    }
}
