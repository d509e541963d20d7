//! The island that keeps a page live: it listens to the organisation's events and replaces the parts of the page that changed.
//!
//! It asks for the page itself again and takes over every element with `data-live`, so there is one way to draw things: the server's.

// The macro's struct of properties can not carry a comment.
#![allow(missing_docs)]

use leptos::prelude::*;

/// Listens to the events of this address for as long as the page is open.
#[island]
pub fn Live(
    /// Address of the event stream.
    events: String,
) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    browser::listen(&events);
    #[cfg(not(feature = "hydrate"))]
    drop(events);
    view! { <span hidden></span> }
}

/// Names the island so that the linker keeps it.
#[cfg(feature = "hydrate")]
pub(crate) fn keep() {
    std::hint::black_box(Live as fn(LiveProps) -> _);
}

#[cfg(feature = "hydrate")]
mod browser {
    //! What only a browser has: the event stream, fetch, and the document.

    use std::{cell::RefCell, rc::Rc, time::Duration};

    use leptos::prelude::{TimeoutHandle, set_timeout_with_handle, window};
    use wasm_bindgen::{JsCast, JsValue, closure::Closure};
    use wasm_bindgen_futures::{JsFuture, spawn_local};
    use web_sys::{Document, DomParser, Element, EventSource, HtmlElement, HtmlInputElement, HtmlTextAreaElement, Response, SupportedType};

    /// Events come in bursts; the page is asked for once after them.
    const QUIET: Duration = Duration::from_millis(400);
    const EVENTS: [&str; 4] = ["checked", "assets", "incidents", "resync"];

    pub(super) fn listen(address: &str) {
        let Ok(source) = EventSource::new(address) else { return };
        let waiting: Rc<RefCell<Option<TimeoutHandle>>> = Rc::default();
        let changed = {
            let waiting = Rc::clone(&waiting);
            move || {
                if let Some(before) = waiting.borrow_mut().take() {
                    before.clear();
                }
                let next = set_timeout_with_handle(|| spawn_local(async { drop(refresh().await) }), QUIET);
                // Without a timer the page waits for the next event; it is complete as it stands.
                *waiting.borrow_mut() = next.ok();
            }
        };
        // Whatever happened between the making of the page, or the loss of the stream, and now was not heard.
        let reopened = Closure::<dyn FnMut()>::new(changed.clone());
        source.set_onopen(Some(reopened.as_ref().unchecked_ref()));
        reopened.forget();
        let told = Closure::<dyn FnMut()>::new(changed);
        for name in EVENTS {
            drop(source.add_event_listener_with_callback(name, told.as_ref().unchecked_ref()));
        }
        told.forget();
    }

    /// Fetches this page and takes over what differs. A load that is cut off by leaving the page ends silently.
    async fn refresh() -> Result<(), JsValue> {
        let here = window().location().href()?;
        let here = here.split('#').next().unwrap_or_default().to_owned();
        let answer: Response = JsFuture::from(window().fetch_with_str(&here)).await?.dyn_into()?;
        if !answer.ok() || answer.redirected() {
            return Ok(());
        }
        let text = JsFuture::from(answer.text()?).await?.as_string().unwrap_or_default();
        let fresh = DomParser::new()?.parse_from_string(&text, SupportedType::TextHtml)?;
        let Some(document) = window().document() else { return Ok(()) };
        if keys(&document)? != keys(&fresh)? {
            // A part came or went: the page has another shape now, so all of it is taken over.
            if let (Some(old), Some(new)) = (document.query_selector("main")?, fresh.query_selector("main")?) {
                take_over(&document, &old, &new)?;
            }
        }
        let regions = document.query_selector_all("[data-live]")?;
        for index in 0..regions.length() {
            let Some(old) = regions.item(index).and_then(|node| node.dyn_into::<Element>().ok()) else { continue };
            let key = old.get_attribute("data-live").unwrap_or_default();
            if let Some(new) = fresh.query_selector(&format!("[data-live=\"{key}\"]"))? {
                take_over(&document, &old, &new)?;
            }
        }
        Ok(())
    }

    /// The live parts of a page, in order.
    fn keys(document: &Document) -> Result<Vec<String>, JsValue> {
        let regions = document.query_selector_all("[data-live]")?;
        Ok((0..regions.length()).filter_map(|index| regions.item(index)?.dyn_into::<Element>().ok()?.get_attribute("data-live")).collect())
    }

    fn take_over(document: &Document, old: &Element, new: &Element) -> Result<(), JsValue> {
        if is_being_edited(document, old)? {
            return Ok(());
        }
        let open = old.query_selector_all("details[id]")?;
        for index in 0..open.length() {
            let Some(details) = open.item(index).and_then(|node| node.dyn_into::<Element>().ok()) else { continue };
            if let Some(same) = new.query_selector(&format!("details[id=\"{}\"]", details.id()))? {
                if details.has_attribute("open") {
                    same.set_attribute("open", "")?;
                } else {
                    same.remove_attribute("open")?;
                }
            }
        }
        if old.outer_html() == new.outer_html() {
            return Ok(());
        }
        let focused = document.active_element().filter(|active| old.contains(Some(active))).map(|active| active.id()).filter(|id| !id.is_empty());
        old.set_outer_html(&new.outer_html());
        if let Some(element) = focused.and_then(|id| document.get_element_by_id(&id)).and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
            element.focus()?;
        }
        Ok(())
    }

    /// Whether somebody typed into the region: what was typed stays.
    fn is_being_edited(document: &Document, region: &Element) -> Result<bool, JsValue> {
        if let Some(active) = document.active_element()
            && region.contains(Some(&active))
            && matches!(active.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
        {
            return Ok(true);
        }
        let fields = region.query_selector_all("input, textarea")?;
        for index in 0..fields.length() {
            let Some(node) = fields.item(index) else { continue };
            let edited = match node.dyn_into::<HtmlInputElement>() {
                Ok(input) => input.value() != input.default_value() || input.checked() != input.default_checked(),
                Err(node) => node.dyn_into::<HtmlTextAreaElement>().is_ok_and(|area| area.default_value().is_ok_and(|before| area.value() != before)),
            };
            if edited {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
