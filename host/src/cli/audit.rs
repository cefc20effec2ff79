//! `attache audit`: the trail, newest last, so that the end of a terminal is the present.

use super::Global;
use super::admin::{Admin, printed, typed};
use super::table::{Table, time};
use crate::clock::{Clock, Timestamp};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use std::process::ExitCode;
use std::time::Duration;

/// Which records.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  attache audit --agent calendar --since 1h\n  attache audit --user alice --decision refused\n  \
                        attache audit --action credential.send --format json"
)]
pub(super) struct Audit {
    /// Of this agent
    #[arg(long)]
    agent: Option<String>,
    /// On behalf of this user (`sub`)
    #[arg(long, alias = "subject")]
    user: Option<String>,
    /// With this action, such as credential.send
    #[arg(long)]
    action: Option<String>,
    /// With this decision
    #[arg(long, value_enum)]
    decision: Option<Decision>,
    /// Asked for by this caller, such as key:AKAT…, person:… or uid:1000
    #[arg(long)]
    caller: Option<String>,
    /// Not before: a time such as 2026-11-24T09:00:00Z, or how long ago, such as 30m, 2h or 7d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// At most so many, the newest
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Decision {
    Allowed,
    Refused,
    Failed,
}

/// One attempt, as the host tells of it.
#[derive(Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub(super) seq: u64,
    at: Timestamp,
    agent: Option<Agent>,
    user: Option<User>,
    operator: Option<String>,
    caller: Option<String>,
    action: String,
    resource: String,
    pub(super) decision: Option<String>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Agent {
    name: String,
    digest: Option<String>,
}

#[derive(Deserialize)]
struct User {
    subject: String,
}

impl Audit {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let now = Clock::system().now();
        let since = self.since.map(|since| match since {
            Since::At(at) => at.millis().to_string(),
            Since::Ago(ago) => now.minus(ago).millis().to_string(),
        });
        let decision = self.decision.and_then(|decision| Some(decision.to_possible_value()?.get_name().to_owned()));
        let limit = self.limit.to_string();
        let given = [
            ("agent", self.agent.as_deref()),
            ("subject", self.user.as_deref()),
            ("action", self.action.as_deref()),
            ("decision", decision.as_deref()),
            ("caller", self.caller.as_deref()),
            ("since", since.as_deref()),
            ("limit", Some(limit.as_str())),
        ];
        let query: Vec<(&str, &str)> = given.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
        let reply = Admin::of(global)?.read("/v1/audit", &query).await?;
        if printed(global.format, &reply) {
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new(&["time", "caller", "agent", "user", "action", "resource", "decision", "reason"]);
        for entry in typed::<Vec<Entry>>(&reply)?.iter().rev() {
            let [agent, decision] = [entry.agent(), entry.decision()];
            let user = entry.user.as_ref().map_or("-".into(), |user| user.subject.clone());
            let cells = [
                time(entry.at),
                entry.caller(),
                agent,
                user,
                entry.action.clone(),
                entry.resource.clone(),
                decision,
                entry.reason.clone(),
            ];
            table.row(cells);
        }
        table.print("nothing in the trail matches");
        Ok(ExitCode::SUCCESS)
    }
}

impl Entry {
    /// `calendar@1a2b3c4d`, so that two versions are told apart.
    fn agent(&self) -> String {
        self.agent.as_ref().map_or("-".into(), |agent| {
            let Some(digest) = &agent.digest else { return agent.name.clone() };
            let digest: String = digest.trim_start_matches("sha256:").chars().take(8).collect();
            format!("{}@{digest}", agent.name)
        })
    }

    /// Who asked for it, of those who are not users: a program or a person over the API, an operator at the socket.
    fn caller(&self) -> String {
        self.caller.as_ref().or(self.operator.as_ref()).map_or("-".into(), Clone::clone)
    }

    fn user(&self) -> String {
        match &self.user {
            Some(user) => user.subject.clone(),
            None => Some(self.caller()).filter(|caller| caller != "-").map_or("-".into(), |who| format!("({who})")),
        }
    }

    fn decision(&self) -> String {
        self.decision.clone().unwrap_or_else(|| "in flight".into())
    }

    /// Whether it was done for a user, and not by the operator or the host.
    pub(super) fn is_by_a_user(&self) -> bool {
        self.operator.is_none() && self.action != "host.start"
    }

    /// In one line, for `attache dev`.
    pub(super) fn line(&self) -> String {
        let reason = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        let line = format!("{:<8} {:<18} {} {}{reason}", self.user(), self.action, self.resource, self.decision());
        super::table::printable(&line)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Since {
    At(Timestamp),
    Ago(Duration),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Since::At(Timestamp::from_millis(u64::try_from(at.as_millisecond()).unwrap_or(0))));
    }
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => 0,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|number| number.parse::<u64>().ok());
    match number.and_then(|number| number.checked_mul(unit)).filter(|secs| *secs > 0) {
        Some(secs) => Ok(Since::Ago(Duration::from_secs(secs))),
        None => Err("write a time such as 2026-11-24T09:00:00Z, or how long ago, such as 30m, 2h or 7d".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_time_or_how_long_ago() {
        assert_eq!(since("2h"), Ok(Since::Ago(Duration::from_secs(7200))));
        assert_eq!(since("2023-11-14T22:13:20Z"), Ok(Since::At(Timestamp::from_secs(1_700_000_000))));
        for bad in ["", "h", "2", "2w", "-1h", "yesterday", "é"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_record_of_the_journal_is_read_back() {
        use crate::audit::{Action, Actor, AgentRef, Entry as Written, Outcome, Phase, Record};
        let written = Written {
            seq: 7,
            at: Timestamp::from_secs(1),
            record: Record {
                attempt: crate::ids::AttemptId::random(),
                phase: Phase::Opened,
                at: Timestamp::from_secs(1),
                host: crate::ids::HostId::parse("spiffe://example.com/host/1").unwrap(),
                actor: Actor {
                    agent: Some(AgentRef { name: "calendar".into(), digest: Some("sha256:0123456789abcdef".into()) }),
                    user: Some(crate::ids::UserId {
                        issuer: "https://id.example.com".parse().unwrap(),
                        subject: "alice".parse().unwrap(),
                    }),
                    ..Actor::default()
                },
                action: Action::new(crate::audit::codes::SEND, "GET https://api.example.com/events"),
                outcome: Some(Outcome::refused("not its host")),
            },
            closed_at: None,
        };
        let Ok(text) = serde_json::to_string(&written) else { panic!("an entry must serialise") };
        let entry: Entry = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(
            (entry.agent(), entry.user(), entry.decision()),
            ("calendar@01234567".into(), "alice".into(), "refused".into())
        );
        assert_eq!(
            entry.line(),
            "alice    credential.send    GET https://api.example.com/events refused: not its host"
        );
    }
}
