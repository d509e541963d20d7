//! The DKIM selectors that are looked at, with how we know of each. One that was seen in a message, or found by an audit, can be forgotten.

use leptos::prelude::*;
use waypost_types::audit::{DkimKey, SelectorOrigin};

use super::one::Loaded;
use crate::{
    ssr::Frame,
    ui::{self, Button, Gate},
};

/// The card; nothing while no selector is known but the usual ones that are tried.
pub(super) fn card(frame: &Frame, loaded: &Loaded, base: &str) -> Option<AnyView> {
    let gate = Gate::change(frame, "selectors");
    let by_hand = loaded.domain.selectors.iter().map(|selector| row(selector, "Named by hand, in the settings below".into_any(), ()));
    let seen = loaded.seen.iter().flatten().filter(|seen| !loaded.domain.selectors.contains(&seen.selector)).map(|seen| {
        let name = seen.selector.clone();
        let field = view! { <input type="hidden" name="selector" value=name.clone()/> };
        let word = view! { "Forget"<span class="vh">{format!(" the selector {name}")}</span> };
        let how =
            if seen.origin == SelectorOrigin::Found { "A usual name: it was tried and had a key, last " } else { "Seen in a signed message, last " };
        let origin = view! { {how}{ui::time(seen.seen_at)} }.into_any();
        row(&seen.selector, origin, gate.form("", format!("{base}/selectors"), field, Button::new("btn btn-sm", word)))
    });
    let audit = loaded.domain.audit.as_ref();
    let listed = |key: &&DkimKey| loaded.seen.iter().flatten().any(|seen| seen.selector == key.selector);
    let keys = audit.into_iter().flat_map(|audit| &audit.detail.dkim).filter(|key| key.origin == SelectorOrigin::Catalog && !listed(key));
    let usual = keys.map(|key| row(&key.selector, "A usual name: it was tried and has a key".into_any(), ()));
    let rows: Vec<AnyView> = by_hand.chain(seen).chain(usual).collect();
    let lost =
        loaded.seen.is_none().then(|| view! { <p class="card-body sm muted">"Selectors that were seen in messages can not be shown right now."</p> });
    if rows.is_empty() && lost.is_none() {
        return None;
    }
    let number = rows.len().to_string();
    Some(
        view! {
            <section class="card" id="selectors" aria-labelledby="h-sel" data-live="selectors">
                <div class="card-head"><h2 id="h-sel">"DKIM selectors"</h2><span class="meta num">{number}</span></div>
                {gate.hint()}
                <div class="table-wrap" tabindex="0" role="region" aria-label="DKIM selectors, table">
                    <table class="table fold">
                        <caption class="vh">"DKIM selectors and how they are known"</caption>
                        <thead><tr><th scope="col">"Selector"</th><th scope="col">"Known from"</th><th scope="col"><span class="vh">"Forget"</span></th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
                {lost}
            </section>
        }
        .into_any(),
    )
}

fn row(selector: &str, origin: AnyView, action: impl IntoView + 'static) -> AnyView {
    view! {
        <tr>
            <th scope="row"><span class="mono wrap-any">{selector.to_owned()}</span></th>
            <td data-label="Known from"><span>{origin}</span></td>
            <td class="num" data-label="">{action.into_any()}</td>
        </tr>
    }
    .into_any()
}
