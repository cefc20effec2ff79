//! `[agents.NAME]`: what each agent may do, and who may call it.

use super::api_keys::{self, Known};
use super::authorizers::{Authorizers, DEFAULT, named};
use super::file::{self, At, Named};
use super::problems::Problems;
use super::{AgentSettings, Context, url, workloads};
use crate::directory::Terms;
use crate::egress;
use crate::identity::Authorizer;
use crate::ids::AgentName;
use http::HeaderName;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The authorizers that agents name.
pub(super) fn authorizers(tables: &Named<file::Agent>) -> impl Iterator<Item = &String> {
    tables.values().filter_map(|table| table.authorizer.as_ref().map(At::get_ref))
}

pub(super) fn convert(
    context: &Context<'_>,
    tables: Named<file::Agent>,
    confine: bool,
    known: &Known,
    authorizers: &Authorizers,
    problems: &mut Problems<'_>,
) -> HashMap<AgentName, AgentSettings> {
    let mut agents = HashMap::new();
    for (name, table) in tables {
        let here = name.span();
        let name = problems.take(&here, AgentName::parse(name.get_ref()));
        let authorizer = authorizer(&here, table.authorizer.as_ref(), authorizers, problems);
        let inbound_headers = table.inbound_headers.iter().filter_map(|text| header(text, problems)).collect();
        let allowed_return_urls = workloads::return_urls(table.allowed_return_urls, problems);
        let terms = Terms {
            providers: api_keys::bound(&table.providers, known, problems),
            claims: table.claims,
            egress: table.egress.iter().filter_map(|text| origin(context, text, problems)).collect(),
            reveal: table.reveal,
            confine: table.confine.unwrap_or(confine),
            trusts_user_ids: table.trust_user_ids,
            ..Terms::default()
        };
        if let (Some(name), Some(authorizer)) = (name, authorizer) {
            agents.insert(name, AgentSettings { terms, authorizer, inbound_headers, allowed_return_urls });
        }
    }
    agents
}

fn authorizer(
    here: &Range<usize>,
    name: Option<&At<String>>,
    known: &Authorizers,
    problems: &mut Problems<'_>,
) -> Option<Arc<Authorizer>> {
    match (name, known.get(DEFAULT)) {
        (Some(name), _) => named(name, known, problems),
        (None, Some(default)) => default.clone(),
        (None, None) => {
            problems.at(here, "nobody is let in: write `authorizer = \"NAME\"`, or add `[authorizers.default]`");
            None
        }
    }
}

fn header(text: &At<String>, problems: &mut Problems<'_>) -> Option<HeaderName> {
    let shown = text.get_ref().escape_debug();
    let name = text.get_ref().parse::<HeaderName>().map_err(|_| format!("`{shown}` is no header name"));
    let allowed = name.and_then(|name| match egress::forbidden_header(&name) {
        true => Err(format!("`{shown}` never reaches an agent; remove it from `inbound_headers`")),
        false => Ok(name),
    });
    problems.take(&text.span(), allowed)
}

/// `https://api.example.com`: an origin, or a path below one.
fn origin(context: &Context<'_>, text: &At<String>, problems: &mut Problems<'_>) -> Option<String> {
    let written = text.get_ref();
    let checked = url(context, written)
        .and_then(|_| egress::Destinations::parse([written.as_str()]).map_err(|error| error.to_string()));
    problems.take(&text.span(), checked)?;
    Some(written.clone())
}
