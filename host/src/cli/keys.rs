//! `attache keys`: access keys, with which programs sign what they ask of the API.

use super::Global;
use super::admin::{Admin, printed, typed};
use super::table::{Table, list, printable, time};
use crate::access::KeyId;
use crate::clock::Timestamp;
use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Lists them unless told otherwise.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
                        attache keys create --name ci --operations operator --workloads '*'\n  \
                        attache keys create --name billing --operations runtime --workloads billing,'billing-*'\n  \
                        eval \"$(attache keys create --name me --operations Get*,List* --workloads '*')\"\n  \
                        attache keys disable AKAT…\n\n\
                        To replace a key, make its successor, put that into use, and delete the first: what a key may \
                        do never changes.")]
pub(super) struct Keys {
    #[command(subcommand)]
    deed: Option<Deed>,
}

#[derive(Subcommand)]
enum Deed {
    /// Make one; its secret is shown now and never again
    Create {
        /// What to call it; need not be unique
        #[arg(long)]
        name: String,
        /// What it may do: names such as GetResourceOauth2Token, beginnings such as Get*, and the sets runtime (what a
        /// workload needs), invoke and operator (everything)
        #[arg(long, value_delimiter = ',', required = true, value_name = "LIST")]
        operations: Vec<String>,
        /// For which workloads: names, or beginnings such as team-*
        #[arg(long, value_delimiter = ',', required = true, value_name = "LIST")]
        workloads: Vec<String>,
    },
    /// All of them, without their secrets
    List,
    /// Refuse it from now on, and keep it in the list
    Disable {
        /// Its id
        id: KeyId,
    },
    /// Remove it
    Delete {
        /// Its id
        id: KeyId,
    },
}

#[derive(Deserialize)]
struct Key {
    access_key_id: String,
    name: String,
    operations: Vec<String>,
    workloads: Vec<String>,
    created_at: Option<Timestamp>,
    created_by: String,
    last_used_at: Option<Timestamp>,
    disabled: bool,
}

#[derive(Deserialize)]
struct Made {
    access_key_id: String,
    environment: BTreeMap<String, String>,
}

impl Keys {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let admin = Admin::of(global)?;
        let reply = match &self.deed {
            None | Some(Deed::List) => admin.read("/v1/keys", &[]).await?,
            Some(Deed::Create { name, operations, workloads }) => {
                let wanted = json!({ "name": name, "operations": operations, "workloads": workloads });
                admin.change(Method::POST, "/v1/keys", Some(wanted)).await?
            }
            Some(Deed::Disable { id }) => admin.change(Method::POST, &format!("/v1/keys/{id}/disable"), None).await?,
            Some(Deed::Delete { id }) => admin.change(Method::DELETE, &format!("/v1/keys/{id}"), None).await?,
        };
        if printed(global.format, &reply) {
            return Ok(ExitCode::SUCCESS);
        }
        match self.deed {
            None | Some(Deed::List) => show(typed(&reply)?),
            Some(Deed::Create { .. }) => print!("{}", made(&typed(&reply)?)),
            Some(Deed::Disable { id }) => println!("access key {id} is refused from now on"),
            Some(Deed::Delete { id }) => println!("access key {id} is gone"),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What a shell can read, so that `eval` puts it into use.
fn made(made: &Made) -> String {
    let mut text =
        format!("# access key {}; its secret is shown now and never again\n", printable(&made.access_key_id));
    for (name, value) in &made.environment {
        // Ids, base64 and URLs have no quotes; a host that sent one would be told apart by this, not obeyed.
        text += &format!("export {}='{}'\n", printable(name), printable(value).replace('\'', "'\\''"));
    }
    text
}

fn show(keys: Vec<Key>) {
    let mut table = Table::new(&["access key", "name", "operations", "workloads", "made", "by", "last used", "state"]);
    for key in keys {
        table.row([
            key.access_key_id,
            key.name,
            list(&key.operations),
            list(&key.workloads),
            key.created_at.map_or("-".into(), time),
            key.created_by,
            key.last_used_at.map_or("never".into(), time),
            if key.disabled { "disabled" } else { "active" }.into(),
        ]);
    }
    table.print("there is no access key; make one with `attache keys create`");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_a_new_key_prints() {
        let reply = json!({
            "access_key_id": "AKATABCDEFGHIJKLMNOP",
            "secret_access_key": "a/b+c",
            "environment": { "AWS_SECRET_ACCESS_KEY": "a/b+c", "AWS_DEFAULT_REGION": "it's" },
        });
        assert_eq!(
            made(&typed(&reply).unwrap()),
            "# access key AKATABCDEFGHIJKLMNOP; its secret is shown now and never again\n\
             export AWS_DEFAULT_REGION='it'\\''s'\nexport AWS_SECRET_ACCESS_KEY='a/b+c'\n"
        );
    }
}
