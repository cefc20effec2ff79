//! The host's pages: calm, readable without a script, in light and dark.

mod consent;
mod me;

pub(super) use consent::consent;
pub(super) use me::{Granted, me};

use super::problem::Problem;
use super::sign_in::ReturnTo;
use crate::sign_in::Visit;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use maud::{DOCTYPE, Markup, html};

/// A problem, for people.
pub(super) struct Failed {
    problem: Problem,
    page: Option<Markup>,
}

impl Failed {
    /// With a page of its own.
    pub(super) fn dressed(problem: Problem, page: Markup) -> Self {
        Self { problem, page: Some(page) }
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self { problem, page: None }
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = self.problem.status;
        show(status, self.page.unwrap_or_else(|| failed(&self.problem)))
    }
}

fn show(status: StatusCode, page: Markup) -> Response {
    (status, Html(page.into_string())).into_response()
}

fn failed(problem: &Problem) -> Markup {
    let body = html! {
        section.card {
            div.pair { div.tile.bad aria-hidden="true" { "!" } }
            h1 { (sentence(problem.title)) }
            p.soft { (sentence(&problem.detail)) "." }
            @match problem.slug {
                "no-sign-in" => {}
                "sign-in-failed" => { div.actions { a.button href="/me" { "Sign in again" } } }
                _ => { div.actions { a.button.quiet href="/me" { "What I have granted" } } }
            }
        }
    };
    layout(&sentence(problem.title), Width::Narrow, None, &body)
}

/// Says nothing of whose the link is, or what for.
pub(super) fn not_yours(problem: &Problem, return_to: ReturnTo, visit: &Visit) -> Markup {
    let body = html! {
        section.card {
            div.pair { div.tile.bad aria-hidden="true" { "!" } }
            h1 { (sentence(problem.title)) }
            p.soft { (sentence(&problem.detail)) "." }
            p.warning { strong { "Did somebody send you this link?" } " Then do not go on: it would connect your account to an agent that works for them." }
            div.who { span { "Signed in as " strong { (visit.user().display_name()) } } }
            div.actions {
                form method="post" action="/sign-out" {
                    (token(visit))
                    input type="hidden" name="return" value=(return_to.path());
                    button.quiet type="submit" { "Sign in as another user" }
                }
                a.button.quiet href="/me" { "What I have granted" }
            }
        }
    };
    layout(&sentence(problem.title), Width::Narrow, None, &body)
}

pub(super) fn signed_out() -> Response {
    let body = html! {
        section.card {
            div.pair { div.tile.good aria-hidden="true" { "✓" } }
            h1 { "You are signed out" }
            p.soft { "Agents keep what you have granted them until you revoke it." }
            div.actions { a.button.quiet href="/me" { "Sign in again" } }
        }
    };
    show(StatusCode::OK, layout("Signed out", Width::Narrow, None, &body))
}

/// The style sheet. It changes with releases only, so an hour in a cache is well.
pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("style.css"))
}

pub(super) async fn icon() -> Response {
    asset("image/svg+xml", include_str!("icon.svg"))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let nosniff = super::headers::NOSNIFF;
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=3600")], [nosniff], text).into_response()
}

enum Width {
    Narrow,
    Wide,
}

fn layout(title: &str, width: Width, visit: Option<&Visit>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " · Attaché" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" type="image/svg+xml" href="/icon.svg";
            }
            body.wide[matches!(width, Width::Wide)] {
                header {
                    a.brand href="/me" { img src="/icon.svg" alt=""; "Attaché" }
                    @if let Some(visit) = visit { (sign_out(visit)) }
                }
                main { (body) }
                footer { "Agents work for you here. Your tokens stay with this host." }
            }
        }
    }
}

fn sign_out(visit: &Visit) -> Markup {
    html! {
        form method="post" action="/sign-out" {
            (token(visit))
            button.link type="submit" { "Sign out" }
        }
    }
}

/// What makes a form ours.
fn token(visit: &Visit) -> Markup {
    html! { input type="hidden" name=(super::form::TOKEN) value=(visit.form_token()); }
}

/// The first letter or digit of a name, for its tile.
fn initial(name: &str) -> String {
    name.chars().find(|c| c.is_alphanumeric()).map_or_else(|| "·".to_owned(), |c| c.to_uppercase().collect())
}

/// With a capital letter. Messages begin without one; code in backticks loses these.
fn sentence(text: &str) -> String {
    let text = text.replace('`', "");
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_and_never_markup() {
        let problem = Problem::no_agent("<script>alert(1)</script>");
        let page = failed(&problem).into_string();
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }

    #[test]
    fn a_page_needs_no_script_and_no_style_of_its_own() {
        let page = failed(&Problem::not_found()).into_string();
        for absent in ["<script", "style=", "<style", "http://", "https://", "onclick"] {
            assert!(!page.contains(absent), "{absent}: {page}");
        }
    }

    #[test]
    fn names_become_tiles_and_messages_become_sentences() {
        assert_eq!((initial("calendar"), initial("-ärzte"), initial("")), ("C".into(), "Ä".into(), "·".into()));
        assert_eq!(sentence("agent `a` is gone"), "Agent a is gone");
        assert_eq!(sentence(""), "");
    }
}
