//! Tags: the field, the chips, and the filter of lists.

use leptos::prelude::*;
use waypost_types::tag::TagUse;

use super::Form;
use crate::{api::ApiFailure, ssr::Fields, text};

/// Tags above a list at most.
const MOST_LINKS: usize = 100;

/// Parts of a list that people write with commas, spaces or a line each.
pub(crate) fn tag_parts(text: &str) -> Vec<String> {
    text.split([',', ';', ' ', '\t', '\r', '\n']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The field of a settings form.
pub(crate) fn tags_field(tags: &[String], typed: &Fields, failure: Option<&ApiFailure>) -> AnyView {
    Form::new(typed, failure, &["tags"]).optional(
        "tags",
        "Tags",
        &tags.join(", "),
        "With commas between: lists are filtered by them, and maintenance windows cover what has them.",
    )
}

/// Tags of something in a list or on its page; each leads to the list of what has it.
pub(crate) fn tags(tags: &[String], list: &str) -> Option<AnyView> {
    let chips = |tags: &[String]| {
        let chip = |tag: &String| view! { <a class="tag" href=format!("{list}?tag={}", text::encoded(tag))>{tag.clone()}</a> };
        tags.iter().map(chip).collect_view()
    };
    (!tags.is_empty()).then(|| view! { <span class="row tags">{chips(tags)}</span> }.into_any())
}

/// The tags above a list, as links; nothing where no tag is in use.
pub(crate) fn tag_filter(used: &[TagUse], count: impl Fn(&TagUse) -> u32, chosen: &str, list: &str) -> Option<AnyView> {
    let counted = used.iter().map(|tag| (tag, count(tag))).filter(|(tag, number)| *number > 0 || tag.tag == chosen);
    let links: Vec<_> = counted
        .take(MOST_LINKS)
        .map(|(tag, number)| {
            let here = (tag.tag == chosen).then_some("true");
            view! { <a class="tag" href=format!("{list}?tag={}", text::encoded(&tag.tag)) aria-current=here>{format!("{} ({number})", tag.tag)}</a> }
        })
        .collect();
    let all = (!chosen.is_empty()).then(|| view! { <a href=list.to_owned()>"Show all"</a> });
    (!links.is_empty() || all.is_some())
        .then(|| view! { <nav class="row sm" aria-label="Tags"><span class="soft">"Tags:"</span>{links}{all}</nav> }.into_any())
}

/// Says which of these tags nothing has: what is written for them is about nothing, which may be a slip.
pub(crate) fn unused_tags<'a>(tags: impl IntoIterator<Item = &'a String>, used: &[TagUse]) -> Option<String> {
    let of = |tag: &str| used.iter().find(|each| each.tag == tag).map_or(0, |each| each.domains + each.servers + each.addresses + each.services);
    let unused: Vec<String> = tags.into_iter().filter(|tag| of(tag) == 0).map(|tag| format!("“{tag}”")).collect();
    (!unused.is_empty()).then(|| format!("Nothing has the tag {} now.", unused.join(", or ")))
}

/// What the query of a list says about tags: the tag, and the part of the query that asks for it.
pub(crate) fn asked_tag(query: &std::collections::HashMap<String, String>) -> (String, String) {
    let tag = query.get("tag").map(|tag| tag.trim().to_lowercase()).unwrap_or_default();
    let part = if tag.is_empty() { String::new() } else { format!("&tag={}", text::encoded(&tag)) };
    (tag, part)
}
