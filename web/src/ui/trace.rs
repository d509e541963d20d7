//! The way to a host, router by router.

use leptos::prelude::*;
use waypost_types::outcome::PathTrace;

use crate::text;

/// The way as far as it leads, with where it ends in a sentence above.
pub(crate) fn trace(trace: &PathTrace, id: &str) -> AnyView {
    let rows = trace
        .hops
        .iter()
        .map(|hop| {
            view! { <tr><th scope="row" class="num">{hop.number.to_string()}</th><td data-label="Router" class="mono xs wrap-any">{hop.who()}</td><td class="num" data-label="Answered after">{text::millis(hop.ms)}</td></tr> }
        })
        .collect_view();
    let table = (!trace.hops.is_empty()).then(|| {
        view! {
            <details id=format!("trace-{id}")>
                <summary>"The way there, router by router"</summary>
                <div class="table-wrap mt2" tabindex="0" role="region" aria-label="The way there, table">
                    <table class="table">
                        <caption class="vh">"Routers on the way, the nearest first"</caption>
                        <thead><tr><th scope="col" class="num">"Hop"</th><th scope="col">"Router"</th><th scope="col" class="num">"Answered after"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </details>
        }
    });
    view! { <p class="sm">{text::sentence(&trace.summary)}</p>{table} }.into_any()
}
