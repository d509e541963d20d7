//! What the visitor's role allows: forms and links for those who may, and the same controls disabled, with the role they need, for the others.
//! Nothing vanishes; the API refuses by itself whatever a page shows.

use leptos::prelude::*;
use waypost_types::{account::Role, permission::Action};

use super::icon;
use crate::ssr::Frame;

/// Controls of one place on a page and the role they need.
pub(crate) struct Gate {
    have: Role,
    need: Role,
    /// Id of the hint that the closed controls refer to.
    hint: String,
}

impl Gate {
    /// For what adds, changes or removes. `place` keeps the hints of a page apart.
    pub(crate) fn change(frame: &Frame, place: &str) -> Self {
        Self { have: frame.org.role, need: Action::Watch.least(), hint: format!("gate-{place}") }
    }

    /// For who works on incidents.
    pub(crate) fn handle(frame: &Frame, place: &str) -> Self {
        Self { need: Action::Handle.least(), ..Self::change(frame, place) }
    }

    /// For what decides who is told.
    pub(crate) fn manage(frame: &Frame, place: &str) -> Self {
        Self { need: Action::Tell.least(), ..Self::change(frame, place) }
    }

    /// For who may invite and remove people.
    pub(crate) fn people(frame: &Frame, place: &str) -> Self {
        Self { need: Action::People.least(), ..Self::change(frame, place) }
    }

    /// Whether the visitor may.
    pub(crate) fn is_open(&self) -> bool {
        self.have >= self.need
    }

    fn sentence(&self) -> String {
        format!("Needs the role {}; yours is {}.", self.need.word(), self.have.word())
    }

    /// Why the controls of this place are disabled; nothing for those who may. A page draws it once per gate, beside the controls.
    pub(crate) fn hint(&self) -> Option<AnyView> {
        (!self.is_open()).then(|| view! { <p class="gate-hint" id=self.hint.clone()>{icon("lock")}{self.sentence()}</p> }.into_any())
    }

    /// A form that posts its fields to `action`.
    pub(crate) fn form(&self, class: &'static str, action: String, fields: impl IntoView + 'static, button: Button) -> AnyView {
        self.form_with(FormTag::default(), class, action, fields, button)
    }

    /// The same with what few forms have.
    pub(crate) fn form_with(
        &self,
        FormTag { id, enctype }: FormTag,
        class: &'static str,
        action: String,
        fields: impl IntoView + 'static,
        button: Button,
    ) -> AnyView {
        let Button { class: kind, content } = button;
        if self.is_open() {
            return view! { <form id=id class=class method="post" action=action enctype=enctype>{fields.into_any()}<div><button class=kind type="submit">{content}</button></div></form> }.into_any();
        }
        // Fields leave the order of keys; the button stays in it, so that everybody can learn why it does nothing.
        view! {
            <div class=class role="group" aria-describedby=self.hint.clone()>
                <fieldset class="gate" disabled=true>{fields.into_any()}</fieldset>
                <div>
                    <button class=kind type="button" aria-disabled="true" aria-describedby=self.hint.clone() title=self.sentence()>{content}</button>
                </div>
            </div>
        }
        .into_any()
    }

    /// A link that leads to a form.
    pub(crate) fn link(&self, class: &'static str, to: String, content: impl IntoView + 'static) -> AnyView {
        if self.is_open() {
            return view! { <a class=class href=to>{content.into_any()}</a> }.into_any();
        }
        view! {
            <a class=class role="link" aria-disabled="true" tabindex="0" title=self.sentence()>
                {content.into_any()}<span class="vh">{format!(" ({})", self.sentence())}</span>
            </a>
        }
        .into_any()
    }
}

/// What few forms have.
#[derive(Default)]
pub(crate) struct FormTag {
    /// Its id, for fields elsewhere on the page that belong to it.
    pub(crate) id: Option<&'static str>,
    /// How it is sent, for one with files.
    pub(crate) enctype: Option<&'static str>,
}

/// The button of a form.
pub(crate) struct Button {
    class: &'static str,
    content: AnyView,
}

impl Button {
    /// With these classes of the style sheet.
    pub(crate) fn new(class: &'static str, content: impl IntoView + 'static) -> Self {
        Self { class, content: content.into_any() }
    }
}
