//! What is around a page: the sidebar and top bar of an organisation, or the head and foot of public pages.

use leptos::prelude::*;

use super::{Gate, icon};
use crate::{
    live::Live,
    ssr::{Frame, Visit},
    text,
};

/// Where in the navigation a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Incidents,
    Fleet,
    Servers,
    Domains,
    Addresses,
    Services,
    Changes,
    Rules,
    Channels,
    Routes,
    Maintenance,
    Settings,
    Team,
    Runbooks,
    Elsewhere,
}

fn brand(to: &'static str) -> AnyView {
    view! {
        <a class="brand" href=to>
            <svg viewBox="0 0 24 24" fill="none" aria-hidden="true">
                <path d="M12 2.5v19" stroke="currentColor" stroke-width="2.4" stroke-linecap="round"></path>
                <path d="M10 4.500h9.200l2.800 2.750-2.800 2.750H10Z" fill="currentColor"></path>
                <path d="M14 12H5.600L3 14.500 5.600 17H14Z" fill="currentColor" opacity=".45"></path>
            </svg>"Waypost"
        </a>
    }
    .into_any()
}

fn themes() -> AnyView {
    let choice = |value: &'static str, glyph: &'static str, title: &'static str, word: &'static str| {
        view! {
            <button type="button" data-set-theme=value aria-pressed=if value.is_empty() { "true" } else { "false" } title=title>
                {icon(glyph)}<span class="vh">{word}</span>
            </button>
        }
    };
    view! {
        <div class="seg seg-icons" role="group" aria-label="Theme">
            {choice("", "screen", "Follow the system", "System theme")}
            {choice("light", "sun", "Light", "Light theme")}
            {choice("dark", "moon", "Dark", "Dark theme")}
        </div>
    }
    .into_any()
}

/// A page without an organisation around it. Whoever has a session is led back to theirs.
pub(crate) fn public(visit: &Visit, content: impl IntoView + 'static) -> AnyView {
    let door = if visit.has_session {
        view! { <a class="btn" href="/app">"To the overview"</a> }.into_any()
    } else {
        view! { <a href="/login">"Log in"</a><a class="btn btn-primary" href="/signup">"Sign up"</a> }.into_any()
    };
    view! {
        <a class="skip" href="#content">"Skip to content"</a>
        <div class="auth">
            <header class="site site-head">
                {brand("/")}
                <nav aria-label="Main">
                    <a class="wide-only" href="/">"Check a domain"</a>
                    {door}
                </nav>
            </header>
            {content.into_any()}
            <footer class="site">
                <div class="site-foot"><span>"Waypost is free software."</span><a href="/api/docs">"API"</a><div class="ml">{themes()}</div></div>
            </footer>
        </div>
    }
    .into_any()
}

/// A page of an organisation. `crumbs` are address and name; the last one has no address.
pub(crate) fn shell(frame: &Frame, place: Place, crumbs: Vec<(Option<String>, String)>, content: impl IntoView + 'static) -> AnyView {
    let slug = text::encoded(&frame.org.slug);
    let add_word = view! { {icon("plus")}<span>"Add"<span class="wide-only">" monitor"</span></span> };
    let add = Gate::change(frame, "top").link("btn", format!("/o/{slug}/add"), add_word);
    let events = format!("/api/v1/orgs/{slug}/events");
    let crumbs = crumbs
        .into_iter()
        .map(|(to, name)| {
            let Some(to) = to else {
                let title = name.clone();
                return view! { <li><span aria-current="page" title=title>{name}</span></li> }.into_any();
            };
            view! { <li><a href=to>{name}</a></li> }.into_any()
        })
        .collect_view();
    view! {
        <a class="skip" href="#content">"Skip to content"</a>
        <div class="app">
            {sidebar(frame, place)}
            <div class="main">
                <header class="topbar">
                    <button class="btn btn-quiet btn-icon narrow-only" type="button" popovertarget="sidebar">
                        {icon("menu")}<span class="vh">"Open menu"</span>
                    </button>
                    <nav class="crumbs" aria-label="Breadcrumb"><ol>{crumbs}</ol></nav>
                    <span class="spacer"></span>
                    {add}
                </header>
                <main class="page" id="content">{banners(frame)}{content.into_any()}</main>
            </div>
        </div>
        {(!frame.is_answer).then(|| view! { <Live events/> })}
    }
    .into_any()
}

fn sidebar(frame: &Frame, place: Place) -> AnyView {
    let slug = text::encoded(&frame.org.slug);
    let counts = frame.overview.as_ref().map(|overview| overview.counts).unwrap_or_default();
    let link = |to: &str, at: Place, glyph: &'static str, word: &'static str, count: u32, alarming: bool| {
        let status = (alarming && count > 0).then_some("bad");
        view! {
            <li>
                <a href=format!("/o/{slug}{to}") aria-current=(at == place).then_some("page")>
                    {icon(glyph)}{word}
                    {(count > 0).then(|| view! { <span class="count" data-status=status>{alarming.then(|| view! { <span class="vh">"open: "</span> })}{text::count(count.into())}</span> })}
                </a>
            </li>
        }
    };
    let begins = frame.org.name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let mark: String = begins.take(2).flat_map(char::to_uppercase).collect();
    let initials = text::initials(&frame.me.user.email);
    let others = frame.me.orgs.len() > 1;
    let orgs = frame
        .me
        .orgs
        .iter()
        .filter(|org| org.slug != frame.org.slug)
        .map(|org| view! { <li><a href=format!("/o/{}", text::encoded(&org.slug))>{org.name.clone()}</a></li> })
        .collect_view();
    view! {
        <aside class="sidebar" id="sidebar" popover="auto" aria-label="Sidebar">
            {brand("/app")}
            <div class="org-switch"><span class="org-mark" aria-hidden="true">{mark}</span>{frame.org.name.clone()}</div>
            <nav class="nav" aria-label="Main" data-live="nav">
                <ul>
                    {link("", Place::Overview, "home", "Overview", 0, false)}
                    {link("/incidents", Place::Incidents, "bolt", "Incidents", counts.open_incidents, true)}
                    {link("/changes", Place::Changes, "branch", "Changes", 0, false)}
                </ul>
                <p class="nav-title" id="nav-monitoring">"Monitoring"</p>
                <ul aria-labelledby="nav-monitoring">
                    {link("/all", Place::Fleet, "eye", "All monitors", 0, false)}
                    {link("/servers", Place::Servers, "server", "Mail servers", counts.servers, false)}
                    {link("/domains", Place::Domains, "globe", "Domains", counts.domains, false)}
                    {link("/addresses", Place::Addresses, "list", "Blacklists", counts.addresses, false)}
                    {link("/monitors", Place::Services, "link", "Services", counts.services, false)}
                </ul>
                <p class="nav-title" id="nav-alerting">"Alerting"</p>
                <ul aria-labelledby="nav-alerting">
                    {link("/rules", Place::Rules, "chart", "Rules", 0, false)}
                    {link("/channels", Place::Channels, "bell", "Channels", 0, false)}
                    {link("/routes", Place::Routes, "branch", "Routes", 0, false)}
                    {link("/maintenance", Place::Maintenance, "clock", "Maintenance", 0, false)}
                    {link("/runbooks", Place::Runbooks, "book", "Runbooks", 0, false)}
                </ul>
                <p class="nav-title" id="nav-org">"Organisation"</p>
                <ul aria-labelledby="nav-org">{link("/team", Place::Team, "users", "Team", 0, false)}{link("/settings", Place::Settings, "gear", "Settings", 0, false)}</ul>
                {others.then(|| view! { <p class="nav-title" id="nav-orgs">"Other organisations"</p><ul aria-labelledby="nav-orgs">{orgs}</ul> })}
            </nav>
            <div class="side-foot">
                <div class="who"><span class="avatar" aria-hidden="true">{initials}</span><span>{frame.me.user.email.clone()}</span></div>
                <div class="row between nowrap">{themes()}<span title="All times are shown in UTC">"UTC"</span></div>
                <form method="post" action="/logout"><button class="btn btn-quiet btn-sm" type="submit">"Log out"</button></form>
            </div>
        </aside>
    }
    .into_any()
}

fn banners(frame: &Frame) -> AnyView {
    let unverified = (!frame.me.user.email_verified).then(|| {
        view! {
            <div class="banner" role="status" data-status="info" id="confirm">
                {icon("info")}
                <div><strong>"Confirm your email address."</strong>{format!(" We sent a link to {}.", frame.me.user.email)}</div>
                <form method="post" action="/verify/resend"><button class="btn" type="submit">"Send again"</button></form>
            </div>
        }
    });
    let blocked = frame.overview.as_ref().and_then(|overview| overview.port25_blocked.clone()).map(|sentence| {
        view! { <div class="banner" role="status" data-status="warn">{icon("warn")}<div><strong>"Port 25 seems blocked here. "</strong>{sentence}</div></div> }
    });
    let cut_off = frame.overview.as_ref().and_then(|overview| overview.cut_off.clone()).map(|sentence| {
        view! { <div class="banner" role="status" data-status="warn">{icon("warn")}<div><strong>"A region is cut off. "</strong>{sentence}</div></div> }
    });
    let silent = frame.overview.as_ref().and_then(|overview| overview.silent.clone()).map(|sentence| {
        view! { <div class="banner" role="status" data-status="warn">{icon("warn")}<div><strong>"A region has no worker. "</strong>{sentence}</div></div> }
    });
    view! { <div class="stack" data-live="banners">{unverified}{blocked}{cut_off}{silent}</div> }.into_any()
}
