//! Markdown that people wrote, and that the product brings.

use leptos::prelude::*;
use waypost_render::markdown;

/// The text as it is meant. What looks like HTML in it stays text.
pub(crate) fn markdown(text: &str) -> AnyView {
    view! { <div class="written" inner_html=markdown::html(text)></div> }.into_any()
}
