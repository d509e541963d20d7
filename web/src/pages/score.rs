//! The public page that says how audits are scored, from the table of the API.

use axum::http::StatusCode;
use leptos::prelude::*;
use waypost_types::{outcome::Status, score::ScoreTable};

use crate::{
    ssr::{Answer, Visit, page},
    ui,
};

pub(crate) async fn show(visit: Visit) -> Answer {
    let table = visit.api.get::<ScoreTable>("score").await?;
    Ok(page(&visit, StatusCode::OK, "How the score is counted", || {
        let costs = table
            .costs
            .iter()
            .map(|cost| {
                let (word, meaning) = (cost.severity.word(), cost.severity.meaning());
                let points = if cost.points == 0 { "0".to_owned() } else { format!("−{}", cost.points) };
                view! { <tr><th scope="row">{ui::status(Status::from(cost.severity), word)}</th><td data-label="Means">{crate::text::sentence(meaning)}</td><td class="num" data-label="Points">{points}</td></tr> }
            })
            .collect_view();
        let grades = table
            .grades
            .iter()
            .map(|grade| {
                view! { <tr><th scope="row">{ui::grade(Some(&grade.grade), false)}</th><td class="num" data-label="Points">{format!("{} or more", grade.least)}</td></tr> }
            })
            .collect_view();
        let caps = table
            .caps
            .iter()
            .map(|cap| {
                let (word, meaning) = (cap.severity.word(), cap.severity.meaning());
                view! { <tr><th scope="row">{ui::status(Status::from(cap.severity), word)}</th><td data-label="Means">{crate::text::sentence(meaning)}</td><td class="num" data-label="Most points">{cap.most.to_string()}</td><td data-label="Best grade">{ui::grade(Some(&cap.grade), false)}</td></tr> }
            })
            .collect_view();
        ui::public(
            &visit,
            view! {
                <main id="content" class="site stack">
                    <div class="page-head pt4"><div>
                        <h1>"How the score is counted"</h1>
                        <p class="sub">{format!("Version {} of the table. The number is raised when the table changes.", table.version)}</p>
                    </div></div>
                    <section class="card" aria-labelledby="h-cost">
                        <div class="card-head"><h2 id="h-cost">"What a finding costs"</h2><span class="meta">"of 100 points"</span></div>
                        <div class="table-wrap" tabindex="0" role="region" aria-label="Points by severity, table">
                            <table class="table"><caption class="vh">"Points by severity"</caption>
                                <thead><tr><th scope="col">"Severity"</th><th scope="col">"Means"</th><th scope="col" class="num">"Points"</th></tr></thead>
                                <tbody>{costs}</tbody>
                            </table>
                        </div>
                    </section>
                    <section class="card" aria-labelledby="h-caps">
                        <div class="card-head"><h2 id="h-caps">"How far a listing lets it rise"</h2></div>
                        <div class="table-wrap" tabindex="0" role="region" aria-label="The most points beside a listing, table">
                            <table class="table fold"><caption class="vh">"The most points beside a listing"</caption>
                                <thead><tr><th scope="col">"The listing is"</th><th scope="col">"Means"</th><th scope="col" class="num">"Most points"</th><th scope="col">"Best grade"</th></tr></thead>
                                <tbody>{caps}</tbody>
                            </table>
                        </div>
                        <div class="card-foot"><span>"Listings of the domain itself, of the addresses of its own MX hosts, and of addresses named as its senders. Those of a mailbox provider's hosts and of web servers do not count."</span></div>
                    </section>
                    <section class="card" aria-labelledby="h-rules">
                        <div class="card-head"><h2 id="h-rules">"The rules of counting"</h2></div>
                        <div class="card-body"><ul class="stack sm prose">
                            <li>"A domain starts with 100 points and never falls below 0."</li>
                            <li>"A rule costs once, however many servers, keys or records it concerns; the worst of them counts."</li>
                            <li>"What could not be told costs nothing: a server that does not answer us is no fault of the domain."</li>
                            <li>"With MX, SPF and DMARC all unknown there is no score, and none for a domain that does not exist."</li>
                            <li>"A list that does not answer holds nothing down: only a listing that was seen does, until it is seen to be gone or was silent for a week."</li>
                            <li>"What the next fix gains is the score with that rule mended and nothing else. Where more than 100 points are lost, one fix alone may gain nothing yet."</li>
                        </ul></div>
                    </section>
                    <section class="card" aria-labelledby="h-grades">
                        <div class="card-head"><h2 id="h-grades">"What a grade takes"</h2></div>
                        <div class="table-wrap" tabindex="0" role="region" aria-label="Grades, table">
                            <table class="table"><caption class="vh">"Grades and their least points"</caption>
                                <thead><tr><th scope="col">"Grade"</th><th scope="col" class="num">"Points"</th></tr></thead>
                                <tbody>{grades}</tbody>
                            </table>
                        </div>
                        <div class="card-foot"><span>"For programs: "<code>"GET /api/v1/score"</code></span></div>
                    </section>
                </main>
            },
        )
    }))
}
