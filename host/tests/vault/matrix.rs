//! Everybody asks for everything, in random order: only one's own opens.

use crate::support::{Bench, scopes, text, tokens};
use attache::identity::Binding;
use attache::oauth::More;
use attache::vault::{GrantStatus, Mint, VaultError, Wanted};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

const AGENTS: [&str; 3] = ["calendar", "rogue", "elsewhere"];
const USERS: [&str; 3] = ["alice", "bob", "mallory"];
const PROVIDERS: [&str; 3] = ["google", "slack", "orders"];
const SCOPES: [&str; 3] = ["read", "write", "read write"];
const RESOURCES: [&[&str]; 3] = [&[], &["https://a.example/"], &["https://a.example/", "https://b.example/"]];

/// Who asks for what, and in which way: a place in each of the lists above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Asks {
    agent: usize,
    user: usize,
    provider: usize,
    scopes: usize,
    resources: usize,
    flow: Flow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Flow {
    Grant,
    Machine,
    OnBehalfOf,
}

fn asks() -> impl Strategy<Value = Asks> {
    let flow = prop_oneof![Just(Flow::Grant), Just(Flow::Machine), Just(Flow::OnBehalfOf)];
    (0..3usize, 0..3usize, 0..3usize, 0..3usize, 0..3usize, flow).prop_map(
        |(agent, user, provider, scopes, resources, flow)| Asks { agent, user, provider, scopes, resources, flow },
    )
}

impl Asks {
    fn wanted(self) -> Wanted {
        let resources = RESOURCES[self.resources].iter().map(|&text| text.to_owned()).collect();
        Wanted::new(scopes(SCOPES[self.scopes]), More { resources, ..More::default() }).unwrap()
    }

    /// Whose token it is: the user has no part in the agent's own.
    fn whose(self) -> Self {
        match self.flow {
            Flow::Machine => Self { user: 0, ..self },
            // Only one of them exchanges tokens.
            Flow::OnBehalfOf => Self { provider: 2, ..self },
            Flow::Grant => self,
        }
    }
}

/// Bound once per agent and user, as one session of theirs would be.
async fn everybody(bench: &Bench) -> HashMap<(usize, usize), Arc<Binding>> {
    let mut all = HashMap::new();
    for (agent, name) in AGENTS.iter().enumerate() {
        for (user, who) in USERS.iter().enumerate() {
            let binding = match *name {
                "elsewhere" => bench.bind_elsewhere(Some(who)).await,
                name => bench.bind(name, who).await,
            };
            all.insert((agent, user), binding);
        }
    }
    all
}

async fn only_the_diagonal_opens(kept: Vec<Asks>, asked: Vec<Asks>) {
    let bench = Bench::new().await;
    let people = everybody(&bench).await;
    let name = |asks: Asks| format!("{asks:?}").replace(' ', "");
    let kept: Vec<Asks> = kept.into_iter().filter(|asks| asks.flow == Flow::Grant).collect();
    for one in &kept {
        bench
            .keep(&people[&(one.agent, one.user)], PROVIDERS[one.provider], one.wanted(), tokens(&name(*one), None))
            .await;
    }
    let mut minted: HashMap<String, Asks> = HashMap::new();
    for vault in [bench.vault.clone(), bench.restart().await.unwrap()] {
        for asks in asked.iter().chain(&kept) {
            let asks = asks.whose();
            let who = &people[&(asks.agent, asks.user)];
            let provider = PROVIDERS[asks.provider];
            let attempt = bench.attempt(who);
            let written = attempt.written().await.unwrap();
            let mint = match asks.flow {
                Flow::Grant => {
                    let got = bench.token_of(&vault, who, provider, asks.wanted()).await;
                    // One's own for just these resources, with at least these scopes.
                    let opens = |other: &&Asks| {
                        Asks { scopes: 0, ..**other } == Asks { scopes: 0, ..asks }
                            && other.wanted().scopes.covers(&asks.wanted().scopes)
                    };
                    let mine: Vec<String> = kept.iter().filter(opens).map(|other| name(*other)).collect();
                    let status = vault.status(who, &bench.provider(provider), &asks.wanted());
                    match got {
                        Ok(token) => assert!(mine.contains(&text(&token)), "{asks:?} got {}", text(&token)),
                        Err(error) => {
                            assert!(mine.is_empty() && matches!(error, VaultError::Missing), "{asks:?}: {error}")
                        }
                    }
                    assert_eq!(matches!(status, GrantStatus::Granted { .. }), !mine.is_empty(), "{asks:?}");
                    continue;
                }
                Flow::Machine => Mint::Machine(asks.wanted()),
                Flow::OnBehalfOf => Mint::OnBehalfOf(asks.wanted()),
            };
            let token = text(&vault.minted(&written, &bench.provider(provider), &mint).await.unwrap());
            let owner = *minted.entry(token).or_insert(asks);
            assert_eq!(owner, asks, "a token of one was given to another");
        }
    }
    let mut owners: Vec<Asks> = minted.into_values().collect();
    let count = owners.len();
    owners.sort_by_key(|asks| format!("{asks:?}"));
    owners.dedup();
    assert!(count <= 2 * owners.len(), "each is minted once by each host");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn whoever_asks_for_whatever_gets_only_their_own(
        kept in proptest::collection::vec(asks(), 0..24),
        asked in proptest::collection::vec(asks(), 0..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(only_the_diagonal_opens(kept, asked));
    }
}
