//! Who belongs to an organisation: members and their roles, who is invited, and what each role may do.

use axum::extract::Path;
use chrono::Utc;
use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    account::Role,
    outcome::Status,
    page::List,
    people::{Invitation, NewInvitation, OrgMember},
    permission::Action,
};

use super::{maintenance::comes_back, settings};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Form, Gate, Place, icon},
};

fn home(org: &str) -> String {
    format!("/o/{}/team", text::encoded(org))
}

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, &Fields::empty(), None).await
}

/// Invites somebody.
pub(crate) async fn invite(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let role = fields.text("role").parse::<Role>().unwrap_or(Role::Viewer);
    let new = NewInvitation { email: fields.text("email").to_owned(), role };
    let made = visit.api.post::<Invitation>(&org_path(&org, "invitations"), &new).await;
    answer(&visit, &org, made.map(|_| "invited"), &fields).await
}

/// Makes a member something else.
pub(crate) async fn change(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let path = named(&org, "members", &fields, "");
    let changed = visit.api.patch(&path, fields.version(), &json!({ "role": fields.text("role") })).await;
    answer(&visit, &org, changed.map(|()| "role"), &Fields::empty()).await
}

/// Removes a member. Who leaves sees the organisation no more.
pub(crate) async fn remove(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let removed = visit.api.delete(&named(&org, "members", &fields, ""), fields.version()).await;
    if removed.is_ok() && fields.text("leave") == "1" {
        return Ok(redirect("/app"));
    }
    answer(&visit, &org, removed.map(|()| "removed"), &Fields::empty()).await
}

/// Sends an invitation again.
pub(crate) async fn resend(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let sent = visit.api.post::<Value>(&named(&org, "invitations", &fields, "/resend"), &json!({})).await;
    answer(&visit, &org, sent.map(|_| "sent"), &Fields::empty()).await
}

/// Takes an invitation back.
pub(crate) async fn withdraw(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let withdrawn = visit.api.delete(&named(&org, "invitations", &fields, ""), fields.version()).await;
    answer(&visit, &org, withdrawn.map(|()| "withdrawn"), &Fields::empty()).await
}

/// What a form is about.
fn named(org: &str, many: &str, fields: &Fields, rest: &str) -> String {
    org_path(org, &format!("{many}/{}{rest}", text::encoded(fields.text("id"))))
}

async fn answer(visit: &Visit, org: &str, done: Result<&str, ApiFailure>, fields: &Fields) -> Answer {
    match done {
        Ok(done) => Ok(redirect(&format!("{}?saved={done}", home(org)))),
        Err(failure) if failure.is_input() || comes_back(&failure) || failure.status == 403 => draw(visit, org, fields, Some(&failure)).await,
        Err(failure) => Err(failure),
    }
}

async fn draw(visit: &Visit, org: &str, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let (members, invitations) = (org_path(org, "members"), org_path(org, "invitations"));
    let (frame, members, invitations) =
        tokio::try_join!(visit.frame(org), visit.api.get::<List<OrgMember>>(&members), visit.api.get::<List<Invitation>>(&invitations))?;
    Ok(page(visit, settings::status(failure), "Team", || {
        let base = home(org);
        let gate = Gate::people(&frame, "team");
        let waiting = (!invitations.items.is_empty()).then(|| invited(&gate, &invitations.items, &base));
        let content = view! {
            {notice(visit, failure.filter(|_| fields.text("email").is_empty()))}
            {ui::head("Team", None, format!("Who can see and change {}.", frame.org.name), ())}
            <section class="card" aria-labelledby="h-members">
                <div class="card-head"><h2 id="h-members">"Members"</h2><span class="meta">{text::counted(u32::try_from(members.items.len()).unwrap_or(u32::MAX), "person", "people")}</span></div>
                {invite_form(&frame, &gate, fields, failure, &base)}
                {table(&frame, &members.items, &base)}
            </section>
            {waiting}
            {matrix(frame.org.role)}
        };
        ui::shell(&frame, Place::Team, vec![(None, "Team".to_owned())], content)
    }))
}

/// The roles that the visitor may give.
fn given_by(have: Role) -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(move |role| have.may_change(None, Some(*role)).is_ok() || !have.may(Action::People))
}

fn invite_form(frame: &Frame, gate: &Gate, fields: &Fields, failure: Option<&ApiFailure>, base: &str) -> AnyView {
    let failure = failure.filter(|_| !fields.text("email").is_empty());
    let form = Form::new(fields, failure, &["email"]);
    let chosen = fields.text("role").parse().unwrap_or(Role::Editor);
    let roles =
        given_by(frame.org.role).map(|role| view! { <option value=role.as_str() selected=role == chosen>{role.word()}</option> }).collect_view();
    let inputs = view! {
        {form.input("email", "Invite by email", "email", "off", "")}
        <div class="field"><label for="f-role">"Role"</label><select class="select" id="f-role" name="role">{roles}</select></div>
    };
    view! {
        {form.said()}
        {gate.form("filters", base.to_owned(), inputs, Button::new("btn btn-primary", view! { {icon("send")}"Send invitation" }))}
        {gate.hint().map(|hint| view! { <div class="card-body pt4">{hint}</div> })}
    }
    .into_any()
}

fn table(frame: &Frame, members: &[OrgMember], base: &str) -> AnyView {
    let rows = members.iter().map(|member| row(frame, member, base)).collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Members, table">
            <table class="table fold">
                <caption class="vh">"Members"</caption>
                <thead><tr><th scope="col">"Member"</th><th scope="col">"Role"</th><th scope="col">"Joined"</th><th scope="col"><span class="vh">"Actions"</span></th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(frame: &Frame, member: &OrgMember, base: &str) -> AnyView {
    let have = frame.org.role;
    let me = member.id == frame.me.user.id;
    let initials = text::initials(&member.email);
    let sub = match (me, member.email_verified) {
        (true, _) => "This is you",
        (false, true) => "Active",
        (false, false) => "Address not confirmed: gets no mail",
    };
    let named = || view! { <input type="hidden" name="id" value=member.id.to_string()/><input type="hidden" name="version" value=member.version.to_string()/> };
    let choices: Vec<Role> = Role::ALL.into_iter().filter(|role| have.may_change(Some(member.role), Some(*role)).is_ok()).collect();
    let role = if choices.is_empty() {
        view! { <span class="tag">{member.role.word()}</span> }.into_any()
    } else {
        let id = format!("role-{}", member.id);
        let options =
            choices.into_iter().map(|role| view! { <option value=role.as_str() selected=role == member.role>{role.word()}</option> }).collect_view();
        view! {
            <form class="row nowrap" method="post" action=format!("{base}/role")>
                {named()}
                <label class="vh" for=id.clone()>{format!("Role of {}", member.email)}</label>
                <select class="select role" id=id name="role">{options}</select>
                <button class="btn btn-sm" type="submit">"Save"<span class="vh">{format!(" the role of {}", member.email)}</span></button>
            </form>
        }
        .into_any()
    };
    let (word, said) = if me {
        ("Leave", "You will not see this organisation any more, until somebody invites you again.")
    } else {
        ("Remove", "They can not see this organisation any more, and are told nothing of it. What they wrote stays.")
    };
    let may_go = me || have.may_change(Some(member.role), None).is_ok();
    let go = may_go.then(|| {
        let id = format!("go-{}", member.id);
        let whom = if me { "Leave the organisation".to_owned() } else { format!("Remove {}", member.email) };
        let label = whom.clone();
        view! {
            <button class="btn btn-sm btn-quiet" type="button" popovertarget=id.clone()>{word}<span class="vh">{format!(" {}", member.email)}</span></button>
            <div class="card ask" id=id popover="auto" role="dialog" aria-label=label>
                <form class="card-body stack" method="post" action=format!("{base}/remove")>
                    {named()}
                    {me.then(|| view! { <input type="hidden" name="leave" value="1"/> })}
                    <p class="sm">{said}</p>
                    <div><button class="btn btn-danger btn-name" type="submit">{whom}</button></div>
                </form>
            </div>
        }
    });
    view! {
        <tr>
            <th scope="row"><span class="person"><span class="avatar" aria-hidden="true">{initials}</span><span class="wrap-any">{member.email.clone()}<span class="sub">{sub}</span></span></span></th>
            <td data-label="Role">{role}</td>
            <td data-label="Joined">{ui::time(member.joined_at)}</td>
            <td data-label="Actions">{go}</td>
        </tr>
    }
    .into_any()
}

fn invited(gate: &Gate, invitations: &[Invitation], base: &str) -> AnyView {
    let now = Utc::now();
    let late = invitations.iter().filter(|invitation| invitation.expires_at <= now).count();
    let said = match (invitations.len() - late, late) {
        (waiting, 0) => format!("{waiting} waiting"),
        (0, late) => format!("{late} expired"),
        (waiting, late) => format!("{waiting} waiting, {late} expired"),
    };
    let items = invitations
        .iter()
        .map(|invitation| {
            let expired = invitation.expires_at <= now;
            let (status, glyph) = if expired { (Status::None, "unknown") } else { (Status::Info, "clock") };
            let until = if expired { "Expired" } else { "Works until" };
            let named = || view! { <input type="hidden" name="id" value=invitation.id.to_string()/> };
            let versioned = view! { {named()}<input type="hidden" name="version" value=invitation.version.to_string()/> };
            let whom = || view! { <span class="vh">{format!(" {}", invitation.email)}</span> };
            view! {
                <li>
                    <div class="item" data-status=status.as_str()>
                        {icon(glyph)}
                        <div><span class="title wrap-any">{invitation.email.clone()}</span><p class="desc">{format!("{}, invited by {}. Sent ", invitation.role.word(), invitation.invited_by)}{ui::time(invitation.sent_at)}{format!(". {until} {}.", text::minute(invitation.expires_at))}</p></div>
                        <div class="end row">
                            {gate.form("", format!("{base}/resend"), named(), Button::new("btn btn-sm", view! { "Send again"{whom()} }))}
                            {gate.form("", format!("{base}/withdraw"), versioned, Button::new("btn btn-sm btn-danger", view! { "Withdraw"{whom()} }))}
                        </div>
                    </div>
                </li>
            }
        })
        .collect_view();
    view! {
        <section class="card" aria-labelledby="h-invited">
            <div class="card-head"><h2 id="h-invited">"Invitations"</h2><span class="meta">{said}</span></div>
            <ul class="list">{items}</ul>
        </section>
    }
    .into_any()
}

/// The table of permissions.
fn matrix(mine: Role) -> AnyView {
    let heads = Role::ALL
        .into_iter()
        .map(|role| view! { <th scope="col">{role.word()}{(role == mine).then(|| view! { <span class="sub">"Yours"</span> })}</th> })
        .collect_view();
    let rows = Action::ALL
        .into_iter()
        .map(|action| {
            let cells = Role::ALL
                .into_iter()
                .map(|role| {
                    let (status, word) = if role.may(action) { (Status::Ok, "Yes") } else { (Status::None, "No") };
                    view! { <td data-label=role.word()>{ui::status(status, word)}</td> }
                })
                .collect_view();
            view! { <tr><th scope="row">{action.words()}</th>{cells}</tr> }
        })
        .collect_view();
    view! {
        <section class="card" aria-labelledby="h-roles">
            <div class="card-head"><h2 id="h-roles">"What each role can do"</h2></div>
            <div class="table-wrap" tabindex="0" role="region" aria-label="Roles, table">
                <table class="table matrix dense"><caption class="vh">"Permissions by role"</caption><thead><tr><th scope="col">"Permission"</th>{heads}</tr></thead><tbody>{rows}</tbody></table>
            </div>
        </section>
    }
    .into_any()
}

fn notice(visit: &Visit, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let said = visit.query().remove("saved");
    let (kind, words) = match (failure, said.as_deref()) {
        (Some(failure), _) if comes_back(failure) => {
            ("warn", "Somebody else changed this in the meantime, so nothing was saved. Look at it and try again.".to_owned())
        }
        (Some(failure), _) => ("bad", failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone())),
        (None, Some("invited")) => ("ok", "The invitation is on its way. Its link works for a week.".to_owned()),
        (None, Some("sent")) => ("ok", "The invitation is on its way again. Links that were sent before work no more.".to_owned()),
        (None, Some("withdrawn")) => ("ok", "The invitation is taken back: its link works no more.".to_owned()),
        (None, Some("role")) => ("ok", "The role is changed.".to_owned()),
        (None, Some("removed")) => ("ok", "The member is removed.".to_owned()),
        _ => return None,
    };
    let role = if kind == "ok" { "status" } else { "alert" };
    Some(view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{words}</div></div> }.into_any())
}
