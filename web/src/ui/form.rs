//! Fields of forms, with what is wrong about them beside them.

use leptos::prelude::*;
use waypost_types::problem::FieldError;

use super::icon;
use crate::{api::ApiFailure, ssr::Fields, text};

/// What a form shows: what was sent, and what the API said about it.
pub(crate) struct Form<'a> {
    fields: &'a Fields,
    failure: Option<&'a ApiFailure>,
    /// Fields that the form shows itself; what is said about others goes to the top.
    shown: &'a [&'a str],
}

impl<'a> Form<'a> {
    pub(crate) const fn new(fields: &'a Fields, failure: Option<&'a ApiFailure>, shown: &'a [&'a str]) -> Self {
        Self { fields, failure, shown }
    }

    fn errors(&self) -> &'a [FieldError] {
        self.failure.map(ApiFailure::fields).unwrap_or_default()
    }

    /// What is wrong with the whole.
    pub(crate) fn said(&self) -> Option<AnyView> {
        let failure = self.failure?;
        let elsewhere: Vec<&str> =
            self.errors().iter().filter(|error| !self.shown.contains(&error.field.as_str())).map(|error| error.message.as_str()).collect();
        if elsewhere.is_empty() && !self.errors().is_empty() {
            return None;
        }
        let sentence = if elsewhere.is_empty() { failure.sentence().to_owned() } else { elsewhere.join(" ") };
        Some(view! { <div class="banner" role="alert" data-status="bad">{icon("bad")}<div>{sentence}</div></div> }.into_any())
    }

    /// A labelled field that must be filled. Passwords never come back.
    pub(crate) fn input(&self, name: &'static str, label: &'static str, kind: &'static str, complete: &'static str, hint: &'static str) -> AnyView {
        let value = if kind == "password" { String::new() } else { self.fields.raw(name).to_owned() };
        let (message, described) = self.message(name, hint);
        let wrong = message.is_some().then_some("true");
        let minlength = (complete == "new-password").then_some("10");
        view! {
            <div class="field">
                <label for=format!("f-{name}")>{label}</label>
                <input class="input" id=format!("f-{name}") type=kind name=name value=value autocomplete=complete required=true minlength=minlength
                    spellcheck="false" aria-invalid=wrong aria-describedby=described/>
                {below(name, message, hint)}
            </div>
        }
        .into_any()
    }

    /// A field that starts with a usual value.
    pub(crate) fn optional(&self, name: &'static str, label: &'static str, usual: &str, hint: &'static str) -> AnyView {
        self.typed(name, label, "text", usual, hint)
    }

    /// The same of a type that browsers know, such as `time`.
    pub(crate) fn typed(&self, name: &'static str, label: &'static str, kind: &'static str, usual: &str, hint: &'static str) -> AnyView {
        let value = if self.fields.raw(name).is_empty() { usual.to_owned() } else { self.fields.raw(name).to_owned() };
        let (message, described) = self.message(name, hint);
        let wrong = message.is_some().then_some("true");
        view! {
            <div class="field">
                <label for=format!("f-{name}")>{label}</label>
                <input class="input" id=format!("f-{name}") type=kind name=name value=value autocomplete="off" spellcheck="false" aria-invalid=wrong aria-describedby=described/>
                {below(name, message, hint)}
            </div>
        }
        .into_any()
    }

    /// A field that may be empty; it starts with what is there now.
    pub(crate) fn maybe(&self, name: &'static str, label: &'static str, now: &str, hint: &'static str) -> AnyView {
        let value = self.fields.given(name).unwrap_or(now).to_owned();
        let (message, described) = self.message(name, hint);
        let wrong = message.is_some().then_some("true");
        view! {
            <div class="field">
                <label for=format!("f-{name}")>{label}</label>
                <input class="input" id=format!("f-{name}") name=name value=value autocomplete="off" spellcheck="false" aria-invalid=wrong aria-describedby=described/>
                {below(name, message, hint)}
            </div>
        }
        .into_any()
    }

    /// A secret that may be left out; it never comes back.
    pub(crate) fn secret(&self, name: &'static str, label: &'static str, hint: &'static str) -> AnyView {
        let (message, described) = self.message(name, hint);
        let wrong = message.is_some().then_some("true");
        view! {
            <div class="field">
                <label for=format!("f-{name}")>{label}</label>
                <input class="input" id=format!("f-{name}") type="password" name=name autocomplete="off" spellcheck="false" aria-invalid=wrong aria-describedby=described/>
                {below(name, message, hint)}
            </div>
        }
        .into_any()
    }

    /// A text of many lines that must be there.
    pub(crate) fn long_text(&self, name: &'static str, label: &'static str, rows: u32, hint: &'static str) -> AnyView {
        // What stands in a text area is not escaped for us.
        let value = text::escaped(self.fields.raw(name));
        let (message, described) = self.message(name, hint);
        let wrong = message.is_some().then_some("true");
        view! {
            <div class="field">
                <label for=format!("f-{name}")>{label}</label>
                <textarea class="input mono xs" id=format!("f-{name}") name=name rows=rows.to_string() required=true spellcheck="false" autocomplete="off"
                    aria-invalid=wrong aria-describedby=described>{value}</textarea>
                {below(name, message, hint)}
            </div>
        }
        .into_any()
    }

    /// A list of things, which may be empty; it starts with what is there now.
    pub(crate) fn area(&self, name: &'static str, label: &'static str, now: &str, hint: &'static str) -> AnyView {
        // What stands in a textarea is written as it is given, so it is escaped here.
        let value = text::escaped(self.fields.given(name).unwrap_or(now));
        let (message, _) = self.message(name, hint);
        let (wrong, hint_id) = (message.is_some().then_some("true"), format!("{name}-hint"));
        let described = if message.is_some() { format!("{name}-below {hint_id}") } else { hint_id.clone() };
        view! {
            <div class="field">
                <label for=format!("f-{name}")>{label}</label>
                <textarea class="input mono" id=format!("f-{name}") name=name rows="3" autocomplete="off" autocapitalize="none" spellcheck="false" aria-invalid=wrong aria-describedby=described>{value}</textarea>
                {message.map(|message| below(name, Some(message), ""))}
                <span class="hint" id=hint_id>{hint}</span>
            </div>
        }
        .into_any()
    }

    /// What is said below fields of a kind of its own: what is wrong, or a hint.
    pub(crate) fn below(&self, name: &str, hint: &'static str) -> AnyView {
        below(name, self.message(name, hint).0, hint)
    }

    fn message(&self, name: &str, hint: &str) -> (Option<String>, Option<String>) {
        let message = self.errors().iter().find(|error| error.field == name).map(|error| error.message.clone());
        let described = (message.is_some() || !hint.is_empty()).then(|| format!("{name}-below"));
        (message, described)
    }
}

fn below(name: &str, message: Option<String>, hint: &'static str) -> AnyView {
    let id = format!("{name}-below");
    match message {
        Some(message) => view! { <span class="error" id=id>{icon("bad")}{message}</span> }.into_any(),
        None if hint.is_empty() => ().into_any(),
        None => view! { <span class="hint" id=id>{hint}</span> }.into_any(),
    }
}

/// Intervals that forms offer, in seconds.
pub(crate) const INTERVALS: [u32; 12] = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];

/// A choice of intervals that a kind of check allows.
pub(crate) fn interval_choices(range: (u32, u32), now: Option<u32>) -> AnyView {
    let mut choices: Vec<u32> = INTERVALS.into_iter().filter(|seconds| (range.0..=range.1).contains(seconds)).collect();
    if let Some(now) = now
        && !choices.contains(&now)
    {
        choices.push(now);
        choices.sort_unstable();
    }
    let options = choices
        .into_iter()
        .map(|seconds| view! { <option value=seconds.to_string() selected=now == Some(seconds)>{text::duration(seconds.into())}</option> })
        .collect_view();
    view! { <select class="select" id="f-interval_s" name="interval_s">{options}</select> }.into_any()
}
