//! The page that takes a table of what is to be watched: tried first where somebody wants to, then carried out as a whole.

use axum::extract::Path;
use leptos::prelude::*;
use waypost_types::{
    outcome::Status,
    roster::{COLUMNS, Import, Imported, ImportedLine, LineOutcome, MOST_LINES},
};

use super::settings;
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Form, FormTag, Gate, Place, icon},
};

/// Lines of a trial that are shown at most.
const MOST_SHOWN: usize = 200;
const EXAMPLE: &str = "kind,target,ports,role,tags,interval_s\ndomain,example.com,,,web,\nserver,mail.example.com,25 465 587,gateway,mx berlin,300\naddress,192.0.2.25,,,,\nhttps,https://webmail.example.com/,,,web,300";

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, "", None, None).await
}

pub(crate) async fn check(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let csv = table(&fields);
    match send(&visit, &org, &fields, true).await {
        Ok(tried) => draw(&visit, &org, csv, None, Some(&tried)).await,
        Err(failure) if failure.is_input() => draw(&visit, &org, csv, Some(&failure), None).await,
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn import(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    match send(&visit, &org, &fields, false).await {
        Ok(done) => {
            let [added, changed, same] = [LineOutcome::Added, LineOutcome::Changed, LineOutcome::Same].map(|outcome| done.count(outcome));
            Ok(redirect(&format!("/o/{}/import?done={added}.{changed}.{same}", text::encoded(&org))))
        }
        Err(failure) if failure.is_input() => draw(&visit, &org, table(&fields), Some(&failure), None).await,
        Err(failure) => Err(failure),
    }
}

/// The table: of the file, where one was chosen, or else what was pasted.
fn table(fields: &Fields) -> &str {
    if fields.text("file").is_empty() { fields.raw("csv") } else { fields.raw("file") }
}

async fn send(visit: &Visit, org: &str, fields: &Fields, dry_run: bool) -> Result<Imported, ApiFailure> {
    let fault = |message: &str| Err(ApiFailure::field("csv", message.to_owned()));
    if fields.too_large() {
        return fault("The table is too large: make several of it, each with the header.");
    }
    if fields.not_text() {
        return fault("The file is no text in UTF-8: save it as “CSV UTF-8”, and choose it again.");
    }
    let csv = table(fields);
    if csv.trim().is_empty() {
        return fault("Choose a file, or paste a table.");
    }
    visit.api.post(&org_path(org, "import"), &Import { csv: csv.to_owned(), dry_run }).await
}

async fn draw(visit: &Visit, org: &str, csv: &str, failure: Option<&ApiFailure>, tried: Option<&Imported>) -> Answer {
    let frame = visit.frame(org).await?;
    Ok(page(visit, settings::status(failure), "Import CSV", || {
        let base = format!("/o/{}", text::encoded(org));
        let gate = Gate::change(&frame, "import");
        let others: Vec<String> = failure.map(|failure| failure.fields().iter().map(|error| error.message.clone()).collect()).unwrap_or_default();
        let fields = Fields::of([("csv", csv.to_owned())]);
        // All that is wrong stands above, line by line, and the first of it beside the field.
        let form = Form::new(&fields, failure, &["csv"]);
        let inputs = view! {
            <div class="field">
                <label for="f-file">"File"</label>
                <input class="input" id="f-file" type="file" name="file" accept=".csv,.tsv,.txt,text/csv" aria-describedby="file-below"/>
                <span class="hint" id="file-below">"CSV in UTF-8, as spreadsheets save it. It takes the place of what is pasted below."</span>
            </div>
            {form.area("csv", "Or the table itself", "", "A header and a line for each thing.")}
            <div><button class="btn" type="submit" formaction=format!("{base}/import/check")>"Try it: what would come of it?"</button></div>
        };
        let form = FormTag { enctype: Some("multipart/form-data"), ..FormTag::default() };
        let content = view! {
            {done(visit, &base)}
            {faults(&others, failure)}
            {ui::head("Import CSV", None, "Watches what a table names and changes what is watched already: all of it, or nothing. Nothing is removed, no port and no tag either.", ())}
            {tried.map(trial)}
            <div class="grid">
                <section class="card c7" aria-labelledby="h-table">
                    <div class="card-head"><h2 id="h-table">"The table"</h2></div>
                    {gate.hint()}
                    {gate.form_with(form, "card-body stack", format!("{base}/import"), inputs, Button::new("btn btn-primary", "Import"))}
                </section>
                {columns()}
            </div>
        };
        ui::shell(&frame, Place::Fleet, vec![(Some(format!("{base}/all")), "All monitors".to_owned()), (None, "Import CSV".to_owned())], content)
    }))
}

fn done(visit: &Visit, base: &str) -> Option<AnyView> {
    let query = visit.query();
    let numbers: Vec<u32> = query.get("done")?.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [added, changed, same] = numbers.try_into().ok()?;
    let said = sentence(added, changed, same, ("is", "are"));
    let first = if added > 0 { " What is new is checked within five minutes." } else { "" };
    Some(
        view! { <div class="banner" role="status" data-status="ok">{icon("ok")}<div>{said}{first}" "<a href=format!("{base}/all")>"Show all monitors"</a></div></div> }
            .into_any(),
    )
}

fn sentence(added: u32, changed: u32, same: u32, (is, are): (&str, &str)) -> String {
    let be = |number: u32| if number == 1 { is } else { are };
    format!(
        "{} {} added, {} {} changed, {} {} as the table says already.",
        text::counted(added, "thing", "things"),
        be(added),
        text::count(changed.into()),
        be(changed),
        text::count(same.into()),
        be(same)
    )
}

fn faults(lines: &[String], failure: Option<&ApiFailure>) -> Option<AnyView> {
    let failure = failure?;
    let body = if lines.is_empty() {
        failure.sentence().to_owned().into_any()
    } else {
        let items = lines.iter().map(|line| view! { <li>{line.clone()}</li> }).collect_view();
        view! { <p><strong>"Nothing was imported."</strong></p><ul>{items}</ul> }.into_any()
    };
    Some(view! { <div class="banner" role="alert" data-status="bad">{icon("bad")}<div>{body}</div></div> }.into_any())
}

fn trial(tried: &Imported) -> AnyView {
    let count = |outcome| u32::try_from(tried.count(outcome)).unwrap_or(u32::MAX);
    let said = sentence(count(LineOutcome::Added), count(LineOutcome::Changed), count(LineOutcome::Same), ("would be", "would be"));
    let word = |line: &ImportedLine| match line.outcome {
        LineOutcome::Added => ui::status(Status::Ok, "Added"),
        LineOutcome::Changed => ui::status(Status::Info, "Changed"),
        LineOutcome::Same => ui::status(Status::None, "Same"),
    };
    let rows = tried
        .lines
        .iter()
        .take(MOST_SHOWN)
        .map(|line| {
            view! {
                <tr>
                    <th scope="row"><span class="wrap-any">{ui::breakable(&line.target)}</span><span class="sub">{line.kind.clone()}</span></th>
                    <td data-label="Line">{line.line.to_string()}</td>
                    <td data-label="What comes of it">{word(line)}</td>
                </tr>
            }
        })
        .collect_view();
    let rest = tried.lines.len().saturating_sub(MOST_SHOWN);
    let more =
        (rest > 0).then(|| view! { <p class="card-body soft sm">{format!("And {} more.", text::count(rest.try_into().unwrap_or(u64::MAX)))}</p> });
    view! {
        <section class="card" id="tried" aria-labelledby="h-tried">
            <div class="card-head"><h2 id="h-tried">"What would come of it"</h2></div>
            <p class="card-body">{said}" Nothing is done yet."</p>
            <div class="table-wrap" tabindex="0" role="region" aria-label="Lines, table">
                <table class="table fold">
                    <caption class="vh">"Lines"</caption>
                    <thead><tr><th scope="col">"Thing"</th><th scope="col">"Line"</th><th scope="col">"What comes of it"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            {more}
        </section>
    }
    .into_any()
}

fn columns() -> AnyView {
    let about = [
        "domain, server, address, tcp, https, dns, imap or pop",
        "A name, host, address or network, host:port, or web address",
        "Of a server, with spaces between: to be watched beside those that are. 25 465 587 for a new one when it is empty",
        "Of a server: originating, relay, gateway or delivery",
        "With spaces between: to be had beside those that are",
        "Seconds between checks",
        "true or false",
        "What a service is expected to do, as the API writes it (JSON)",
        "Of an address: the IP pool that it sends for, which is made where there is none",
    ];
    let rows = COLUMNS.into_iter().zip(about).map(|(name, about)| view! { <div><dt class="mono">{name}</dt><dd>{about}</dd></div> }).collect_view();
    view! {
        <section class="card c5" aria-labelledby="h-columns">
            <div class="card-head"><h2 id="h-columns">"Columns"</h2></div>
            <div class="card-body stack">
                <dl class="kv">{rows}</dl>
                <p class="sm">{format!("The first two are needed. An empty cell leaves what is there, or takes what is usual. {MOST_LINES} lines at most; an export is in this form.")}</p>
                <pre class="code-block xs" tabindex="0">{EXAMPLE}</pre>
            </div>
        </section>
    }
    .into_any()
}
