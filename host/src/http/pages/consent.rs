//! What a user is asked, and what came of it.

use super::{Width, initial, layout, show, token};
use crate::clock::Timestamp;
use crate::consent::{DeviceCodes, Stage, View};
use crate::sign_in::Visit;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

/// The page of a consent session at any stage, for the user that it belongs to.
///
/// `reads`: whether the agent gets the token itself, which must not be passed over.
pub(in crate::http) fn consent(view: &View, visit: &Visit, reads: bool, now: Timestamp) -> Response {
    let page = match view.stage {
        Stage::AtProvider if view.by_device => match &view.device {
            Some(codes) => {
                let mut page = show(StatusCode::OK, device(view, codes, visit));
                // A page without a script asks for itself again.
                if let Ok(seconds) = http::HeaderValue::try_from(codes.interval.max(2).to_string()) {
                    page.headers_mut().insert("refresh", seconds);
                }
                return page;
            }
            None => waiting(view, visit),
        },
        Stage::Started | Stage::AtProvider => question(view, visit, reads, now),
        Stage::AwaitingCompletion | Stage::Exchanging => waiting(view, visit),
        Stage::Completed => done(view, visit),
        Stage::Failed => failed(view, visit),
    };
    show(StatusCode::OK, page)
}

fn question(view: &View, visit: &Visit, reads: bool, now: Timestamp) -> Markup {
    let minutes = view.expires_at.since(now).as_secs().div_ceil(60);
    let body = html! {
        section.card {
            div.pair aria-hidden="true" {
                div.tile.agent { (initial(&view.agent)) }
                span.way {}
                div.tile { (initial(&view.provider_display)) }
            }
            h1 { "The agent " em { (view.agent) } " asks to use your " (view.provider_display) }
            p.soft { "Published by " strong { (view.publisher) } }
            @if let Some(digest) = &view.digest {
                details {
                    summary title=(digest) { "Version " code { (short(digest)) } }
                    code { (digest) }
                }
            } @else {
                p.soft.small { "It runs outside this host, which has not seen its code." }
            }

            h2 id="scopes" { "It asks for" }
            ul.plain aria-labelledby="scopes" {
                @for scope in &view.scopes { li { code { (scope) } } }
            }
            // No host holds a workload elsewhere to where it may use a token.
            @if view.digest.is_some() {
                @if !view.news.is_empty() {
                    h2 id="news" { "New in this version" }
                    p { "You agreed to an earlier version of it. This one wants more:" }
                    ul.plain aria-labelledby="news" {
                        @for what in &view.news {
                            li {
                                (crate::vet::in_words(what))
                                @if let Some(import) = what.strip_prefix("import ") { " " code { (import) } }
                            }
                        }
                    }
                }
                h2 id="hosts" { "It may use this only at" }
                ul.plain.hosts aria-labelledby="hosts" {
                    @for host in &view.hosts { li { code { (host) } } }
                }
            }
            @if reads {
                p.warning { strong { "This agent can read the token itself" } ", and could keep or pass it on. Go on only if you trust its publisher." }
            }
            (signed_in_as(view, visit))
            div.actions {
                form method="post" action={ "/consent/" (view.id) } {
                    (token(visit))
                    button type="submit" {
                        @if view.by_device { "Show me the code" } @else { "Continue to " (view.provider_display) }
                    }
                }
                a.button.quiet href="/me" { "Not now" }
            }
            p.note {
                @if !reads {
                    "The agent never gets your password or a token: this host adds it to the agent's requests after they have left it. "
                }
                "You can undo this at any time under " a href="/me" { "what I have granted" } ". "
                "This page is good for " (minutes) @if minutes == 1 { " more minute." } @else { " more minutes." }
            }
        }
    };
    layout(&format!("{} asks for your consent", view.agent), Width::Narrow, None, &body)
}

/// The code that the user types at the provider, on this device or another.
fn device(view: &View, codes: &DeviceCodes, visit: &Visit) -> Markup {
    let body = html! {
        section.card {
            div.pair aria-hidden="true" {
                div.tile.agent { (initial(&view.agent)) }
                span.way {}
                div.tile { (initial(&view.provider_display)) }
            }
            h1 { "Type this code at " (view.provider_display) }
            p.code { strong { code { (codes.user_code) } } }
            p.soft {
                "Open "
                @match &codes.verification_uri_complete {
                    Some(url) => a href=(url) rel="noreferrer" target="_blank" { (codes.verification_uri) },
                    None => a href=(codes.verification_uri) rel="noreferrer" target="_blank" { (codes.verification_uri) },
                }
                " on this or any other device, check that it shows this code, and sign in there with your own account."
            }
            p.warning {
                strong { "Do not give this code to anybody" }
                ", and never type a code that somebody sent you: whose account is signed in there is what "
                em { (view.agent) } " may then use for you."
            }
            p.note { "This page looks by itself whether you are done." }
        }
    };
    layout("Type this code", Width::Narrow, Some(visit), &body)
}

/// Who will have agreed, and a way out for somebody else.
fn signed_in_as(view: &View, visit: &Visit) -> Markup {
    let user = visit.user();
    html! {
        div.who {
            span title={ (user.id().subject) " at " (user.id().issuer) } {
                "Signed in as " strong { (user.display_name()) }
            }
            form method="post" action="/sign-out" {
                (token(visit))
                input type="hidden" name="return" value={ "/consent/" (view.id) };
                button.link type="submit" { "Not you?" }
            }
        }
    }
}

fn done(view: &View, visit: &Visit) -> Markup {
    let body = html! {
        section.card {
            div.pair { div.tile.good aria-hidden="true" { "✓" } }
            h1 { em { (view.agent) } " may now use your " (view.provider_display) }
            p.soft { "You can close this page and go back to where you asked. Ask again there, and it goes on." }
            h2 id="scopes" { "What it asked for" }
            ul.plain aria-labelledby="scopes" {
                @for scope in &view.scopes { li { code { (scope) } } }
            }
            div.actions { a.button.quiet href="/me" { "What I have granted" } }
        }
    };
    layout("Granted", Width::Narrow, Some(visit), &body)
}

fn waiting(view: &View, visit: &Visit) -> Markup {
    let body = html! {
        section.card {
            div.pair { div.tile aria-hidden="true" { "…" } }
            h1 { "Almost there" }
            p.soft { (view.provider_display) " has answered; the grant is being stored. Load this page again in a moment." }
        }
    };
    layout("Almost there", Width::Narrow, Some(visit), &body)
}

fn failed(view: &View, visit: &Visit) -> Markup {
    let body = html! {
        section.card {
            div.pair { div.tile.bad aria-hidden="true" { "!" } }
            h1 { "Nothing was granted" }
            p.soft { "This attempt for " em { (view.agent) } " is over. Ask the agent again for a new link." }
            div.actions { a.button.quiet href="/me" { "What I have granted" } }
        }
    };
    layout("Nothing was granted", Width::Narrow, Some(visit), &body)
}

/// `sha256:` and the first 12 digits.
fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect::<String>() + "…"
}
