//! What a user has granted.

use super::{Width, initial, layout, show, token};
use crate::clock::Timestamp;
use crate::directory::WorkloadIdentity;
use crate::sign_in::Visit;
use crate::vault::Grant;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use std::sync::Arc;

/// One grant with what people call its parts.
pub(in crate::http) struct Granted<'a> {
    pub(in crate::http) grant: &'a Grant,
    pub(in crate::http) provider: String,
    pub(in crate::http) publisher: Option<Arc<WorkloadIdentity>>,
}

pub(in crate::http) fn me(visit: &Visit, granted: &[Granted<'_>], revoked: bool) -> Response {
    let user = visit.user();
    let body = html! {
        @if revoked {
            p.flash role="status" { "Revoked. The agent cannot use it any more, and the provider is being told." }
        }
        section.card {
            h1 { "What I have granted" }
            p.soft title={ (user.id().subject) " at " (user.id().issuer) } {
                "Signed in as " strong { (user.display_name()) } ". "
                @if granted.is_empty() { "No agent may use an account of yours." }
                @else { "These agents may use your accounts, and only when they work for you." }
            }
            @if granted.is_empty() {
                div.empty {
                    div.tile aria-hidden="true" { "○" }
                    p.soft { "When an agent needs one of your accounts, it sends you here to ask." }
                }
            }
            @for one in granted { (grant(visit, one)) }
        }
    };
    show(StatusCode::OK, layout("What I have granted", Width::Wide, Some(visit), &body))
}

fn grant(visit: &Visit, one: &Granted<'_>) -> Markup {
    let Granted { grant, provider, publisher } = one;
    html! {
        article.grant {
            div.tile.agent.little aria-hidden="true" { (initial(&grant.agent)) }
            div.what {
                h3 { (grant.agent) " uses " (provider) }
                p.soft.small {
                    @if let Some(identity) = publisher { "by " (identity.publisher) " · " }
                    "since " time datetime=(grant.created_at) { (day(grant.created_at)) }
                }
                ul.chips aria-label="Scopes" {
                    @for scope in grant.granted.iter() { li { code { (scope) } } }
                }
            }
            form method="post" action={ "/me/grants/" (grant.id) "/revoke" } {
                (token(visit))
                button.danger type="submit" aria-label={ "Revoke what " (grant.agent) " may do with " (provider) } { "Revoke" }
            }
        }
    }
}

/// `23 November 2026`, in UTC.
fn day(at: Timestamp) -> String {
    let time = i64::try_from(at.millis()).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| at.to_string(), |time| time.strftime("%-d %B %Y").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_for_people() {
        assert_eq!(day(Timestamp::from_secs(1_795_392_000)), "23 November 2026");
    }
}
