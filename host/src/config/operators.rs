//! `[operators]`: the people who may call the API with a token, and what they may do.

use super::authorizers::{Authorizers, DEFAULT, named};
use super::file::{self, At};
use super::problems::Problems;
use crate::access::{Operations, People, Workloads};

/// `let_in` are the authorizers that let users in to agents and workloads.
pub(super) fn convert(
    table: Option<file::Operators>,
    authorizers: &Authorizers,
    let_in: &[String],
    problems: &mut Problems<'_>,
) -> Option<People> {
    let table = table?;
    let name = table.authorizer.get_ref();
    if name == DEFAULT || let_in.contains(name) {
        let text = format!(
            "`{name}` lets users in, who would all be operators; add an authorizer of their own, such as \
             `[[authorizers.operators.rules]]`, whose `claims` say who operates this host"
        );
        problems.at(&table.authorizer.span(), text);
        return None;
    }
    let authorizer = named(&table.authorizer, authorizers, problems);
    let operations = read(&table.operations, problems, |patterns| Operations::parse(patterns.iter().copied()));
    let workloads = read(&table.workloads, problems, |patterns| Workloads::parse(patterns.iter().copied()));
    Some(People { authorizer: authorizer?, operations: operations?, workloads: workloads? })
}

fn read<T, E: std::fmt::Display>(
    list: &At<Vec<String>>,
    problems: &mut Problems<'_>,
    parse: impl Fn(&[&str]) -> Result<T, E>,
) -> Option<T> {
    let patterns: Vec<&str> = list.get_ref().iter().map(String::as_str).collect();
    problems.take(&list.span(), parse(&patterns))
}
