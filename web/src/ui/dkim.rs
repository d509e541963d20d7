//! The DKIM keys of a domain: how strong, whose, since when, and how we know of them.

use leptos::prelude::*;
use waypost_types::{
    audit::{DkimKey, SelectorOrigin},
    outcome::Status,
};

use super::{parts::day, status};

/// What receivers take without complaint (RFC 8301 3.2).
const GOOD_BITS: u32 = 2048;
/// Below this receivers must not take a key (RFC 8301 3.2).
const LEAST_BITS: u32 = 1024;

/// The card with the keys; nothing when none is known.
pub(crate) fn dkim(keys: &[DkimKey]) -> Option<AnyView> {
    if keys.is_empty() {
        return None;
    }
    let rows = keys.iter().map(row).collect_view();
    Some(
        view! {
            <section class="card" id="dkim" aria-labelledby="h-dkim" data-live="dkim">
                <div class="card-head"><h2 id="h-dkim">"DKIM keys"</h2><span class="meta num">{keys.len().to_string()}</span></div>
                <div class="table-wrap" tabindex="0" role="region" aria-label="DKIM keys, table">
                    <table class="table fold">
                        <caption class="vh">"DKIM keys by selector"</caption>
                        <thead><tr><th scope="col">"Selector"</th><th scope="col">"Key"</th><th scope="col">"State"</th><th scope="col">"Service"</th><th scope="col">"Since"</th><th scope="col">"Known from"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </section>
        }
        .into_any(),
    )
}

fn row(key: &DkimKey) -> AnyView {
    let kind = match key.kind.as_str() {
        "rsa" => "RSA",
        "ed25519" => "Ed25519",
        other => other,
    };
    let strength = key.bits.filter(|_| key.kind == "rsa").map_or_else(|| kind.to_owned(), |bits| format!("{kind}, {bits} bit"));
    let alias = key.alias.clone().map(|alias| view! { <span class="sub mono wrap-any">{format!("alias of {alias}")}</span> });
    let since = key.first_seen.map(day);
    let origin = match key.origin {
        SelectorOrigin::Hand => "Named by hand",
        SelectorOrigin::Seen => "Seen in mail",
        SelectorOrigin::Found | SelectorOrigin::Catalog => "Usual name, tried",
    };
    let (kind, word) = state(key);
    view! {
        <tr>
            <th scope="row"><span class="mono wrap-any">{key.selector.clone()}</span>{alias}</th>
            <td data-label="Key">{strength}</td>
            <td data-label="State">{status(kind, word)}</td>
            <td data-label="Service">{key.service.clone()}</td>
            <td data-label="Since">{since}</td>
            <td data-label="Known from">{origin}</td>
        </tr>
    }
    .into_any()
}

/// The worst that is to say of a key.
fn state(key: &DkimKey) -> (Status, &'static str) {
    match key.bits {
        _ if key.revoked => (Status::None, "Revoked"),
        _ if !matches!(key.kind.as_str(), "rsa" | "ed25519") => (Status::Warn, "Unknown kind"),
        None => (Status::Bad, "Not readable"),
        Some(bits) if key.kind == "rsa" && bits < LEAST_BITS => (Status::Bad, "Too weak"),
        _ if key.testing => (Status::Warn, "Test mode"),
        Some(bits) if key.kind == "rsa" && bits < GOOD_BITS => (Status::Warn, "Weak"),
        Some(_) => (Status::Ok, "Good"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_called_by_the_worst_that_holds_of_it() {
        let key = |kind: &str, bits: Option<u32>, revoked: bool, testing: bool| DkimKey {
            selector: "s1".to_owned(),
            origin: SelectorOrigin::Catalog,
            kind: kind.to_owned(),
            bits,
            revoked,
            testing,
            alias: None,
            service: None,
            mark: String::new(),
            first_seen: None,
        };
        for (given, word) in [
            (key("rsa", Some(2048), false, false), "Good"),
            (key("rsa", Some(1024), false, false), "Weak"),
            (key("rsa", Some(1023), false, true), "Too weak"),
            (key("rsa", Some(2048), false, true), "Test mode"),
            (key("ed25519", Some(256), false, false), "Good"),
            (key("rsa", None, true, false), "Revoked"),
            (key("rsa", None, false, false), "Not readable"),
            (key("dsa", None, false, false), "Unknown kind"),
        ] {
            assert_eq!(state(&given).1, word, "{given:?}");
        }
    }
}
