//! How the development pages look: plainly not the product.

use axum::http::StatusCode;
use axum::response::Html;
use maud::{DOCTYPE, Markup, html};

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
header { border-top: .4rem dashed #d97706; padding-top: .75rem; margin-bottom: 1.5rem; }
header p { margin: 0; color: #b45309; font-size: .85rem; letter-spacing: .04em; text-transform: uppercase; }
h1 { margin: .25rem 0; font-size: 1.6rem; }
a.choice, button { display: inline-block; font: inherit; padding: .5rem 1rem; margin: 0 .5rem .5rem 0; border-radius: .5rem;
  border: 1px solid #8888; background: #8881; color: inherit; text-decoration: none; cursor: pointer; }
a.choice:hover, a.choice:focus, button:hover, button:focus, a.chosen { border-color: #d97706; }
a.chosen, button { background: #d9770622; }
a.next { background: #b45309; border-color: #b45309; color: #fff; }
textarea { width: 100%; box-sizing: border-box; font: .9rem/1.4 ui-monospace, monospace; padding: .6rem; border-radius: .5rem; }
pre { overflow-x: auto; padding: .75rem; border-radius: .5rem; background: #8882; white-space: pre-wrap; overflow-wrap: anywhere; }
code { overflow-wrap: anywhere; } dt { font-weight: 600; } dd { margin: 0 0 .5rem; } label { display: block; margin-bottom: .25rem; }
";

/// A whole page.
pub(super) fn page(title: &str, body: &Markup) -> Html<String> {
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · attache dev" }
                link rel="icon" href="data:,";
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                header {
                    p { "Development only" }
                    h1 { (title) }
                }
                main { (body) }
            }
        }
    };
    Html(whole.into_string())
}

/// A page that says what is wrong with a request.
pub(super) fn refusal(why: &str) -> (StatusCode, Html<String>) {
    (StatusCode::BAD_REQUEST, page("This request is wrong", &html! { p { (why) } }))
}
