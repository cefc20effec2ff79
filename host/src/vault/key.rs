//! Keys of the vault: (account, workload, user, provider, client there), derived from a binding and a provider as it is
//! configured now, and from nothing else.
//!
//! A [`Place`] finds; only a [`VaultKey`] opens. The host's own revocations, which have no binding, open a row with a
//! [`RetiredKey`], made from a row that is already gone from the vault; what it opens goes to the provider's revocation
//! endpoint and nowhere else.

use super::tokens::Tokens;
use super::{GrantRow, PendingRevocation};
use crate::directory::Authority;
use crate::egress::Destinations;
use crate::identity::Binding;
use crate::ids::{Account, ProviderName, Scopes, UserId};
use crate::oauth::{Endpoints, Provider};
use crate::seal::{SealError, Sealer, push_part};
use std::sync::Arc;

/// Which rows a binding may open at one provider. No `Clone`, no way to make one without a [`Binding`].
pub struct VaultKey(Place);

impl VaultKey {
    /// Of the bound workload and user, at this provider. None for a binding without a user.
    pub fn of(account: &Account, who: &Binding, provider: &Provider) -> Option<Self> {
        let (user, client) = (who.user()?.id(), client_of(provider));
        Some(Self(Place::new(account, who.agent().identity().id.as_str(), user, &provider.name, &client)))
    }

    /// Where its rows are.
    pub(super) fn place(&self) -> &Place {
        &self.0
    }

    /// Seals these tokens into the row, which must be complete but for its sealed bytes.
    pub(super) fn seal(&self, sealer: &Sealer, mut row: GrantRow, tokens: &Tokens) -> Result<Held, SealError> {
        let facts = facts_of(&row);
        row.sealed = sealer.seal(&[SCHEMA, &self.0.0, &facts], tokens.plain())?;
        Ok(Held::with(row, facts))
    }

    /// Opens a row, if it was sealed for this key.
    pub(super) fn open(&self, sealer: &Sealer, held: &Held) -> Result<Tokens, SealError> {
        open_at(&self.0, sealer, held)
    }
}

/// The key of a grant that was revoked here and is still to be revoked at the provider.
pub(super) struct RetiredKey(Place);

impl RetiredKey {
    pub(super) fn of(account: &Account, pending: &PendingRevocation) -> Self {
        Self(Place::of_row(account, &pending.row))
    }

    pub(super) fn open(&self, sealer: &Sealer, held: &Held) -> Result<Tokens, SealError> {
        open_at(&self.0, sealer, held)
    }
}

/// For sealing a row anew: what it opens is sealed again at the same place at once, and is never seen.
pub(super) struct ResealKey<'a>(&'a Place);

impl<'a> ResealKey<'a> {
    pub(super) fn of(place: &'a Place) -> Self {
        Self(place)
    }

    /// The same row, under the key that is active now.
    pub(super) fn again(&self, sealer: &Sealer, held: &Held) -> Result<Held, SealError> {
        let parts: [&[u8]; 3] = [SCHEMA, &self.0.0, &held.facts];
        let plain = sealer.open(&parts, &held.row.sealed)?;
        let mut row = held.row.clone();
        row.sealed = sealer.seal(&parts, &plain)?;
        Ok(Held::with(row, held.facts.clone()))
    }
}

fn open_at(place: &Place, sealer: &Sealer, held: &Held) -> Result<Tokens, SealError> {
    let plain = sealer.open(&[SCHEMA, &place.0, &held.facts], &held.row.sealed)?;
    Tokens::read(plain).ok_or(SealError::Unreadable)
}

/// Where rows are: account, workload, user, provider and client there, length-prefixed. Proves nothing; it finds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Place(Arc<[u8]>);

impl Place {
    pub(super) fn of_row(account: &Account, row: &GrantRow) -> Self {
        Self::new(account, &row.workload, &row.user, &row.provider, &row.client)
    }

    fn new(account: &Account, workload: &str, user: &UserId, provider: &ProviderName, client: &str) -> Self {
        let user = [user.issuer.as_str(), user.subject.as_str()];
        let parts = [account.as_str(), workload, user[0], user[1], provider.as_str(), client];
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
        for part in parts {
            push_part(&mut bytes, part.as_bytes());
        }
        Self(bytes.into())
    }
}

/// Which client we are at a provider, and where: what tokens belong to. A provider of the same name that is asked elsewhere, or
/// knows us as somebody else, is another: tokens of the one are never sent to the other.
pub fn client_of(provider: &Provider) -> String {
    let at = match &provider.endpoints {
        Endpoints::Discovery { issuer } => issuer.as_str(),
        Endpoints::Static(server) => server.token.as_str(),
    };
    format!("{} at {at}", provider.client_id)
}

/// A provider as a question to a user is about it: [`client_of`], and where its tokens go. A question that was asked about
/// other hosts is another question.
pub fn asked_about(provider: &Provider) -> String {
    format!("{} for {}", client_of(provider), provider.destinations.joined())
}

/// A row in memory, still sealed, with what is computed from it once.
pub(super) struct Held {
    pub(super) row: GrantRow,
    /// What the user was asked for and the provider granted: the scopes that may be used.
    pub(super) usable: Scopes,
    facts: Vec<u8>,
}

impl Held {
    /// Whether the user was told of every place to which a token of this provider may be sent now. Where the operator added one
    /// since, they are asked anew; where one was taken away, they need not be.
    pub(super) fn told_of(&self, now: &Destinations) -> bool {
        self.row.destinations == now.joined()
            || Destinations::parse(self.row.destinations.split_whitespace()).is_ok_and(|told| now.within(&told))
    }

    /// Whether the user was told of everything that the agent could use a grant for now. A version that wants more than the one
    /// they agreed to asks anew.
    pub(super) fn told_of_authority(&self, now: &Authority) -> bool {
        now.within(&self.row.authority)
    }

    pub(super) fn new(row: GrantRow) -> Self {
        let facts = facts_of(&row);
        Self::with(row, facts)
    }

    fn with(mut row: GrantRow, facts: Vec<u8>) -> Self {
        // Most providers grant what was asked for. One set then, not three: there may be a million rows.
        if row.granted == row.asked {
            row.granted = row.asked.clone();
        }
        // Granted beyond what was asked for is not used: the user did not read it on our page.
        let beyond = row.asked.missing(&row.granted);
        let usable = if beyond.is_empty() { row.granted.clone() } else { beyond.missing(&row.granted) };
        Self { row, usable, facts }
    }
}

/// Names the form of the associated data; changes when anything below does.
const SCHEMA: &[u8] = b"attache vault 4";
/// The kind of row, so that another kind sealed under the same place can never pass for one.
const KIND: &[u8] = b"oauth2 grant";

/// Everything else in the row that stands in the clear: changing any of it in the store makes the row unreadable.
fn facts_of(row: &GrantRow) -> Vec<u8> {
    let mut facts = Vec::with_capacity(192);
    push_part(&mut facts, KIND);
    push_part(&mut facts, &row.id.bytes());
    push_part(&mut facts, &row.generation.to_be_bytes());
    push_part(&mut facts, row.asked.joined().as_bytes());
    push_part(&mut facts, row.resources.join(" ").as_bytes());
    push_part(&mut facts, row.destinations.as_bytes());
    push_part(&mut facts, row.authority.as_str().as_bytes());
    push_part(&mut facts, row.granted.joined().as_bytes());
    push_part(&mut facts, &row.created_at.millis().to_be_bytes());
    push_part(&mut facts, &row.updated_at.millis().to_be_bytes());
    match row.expires_at {
        Some(at) => push_part(&mut facts, &at.millis().to_be_bytes()),
        None => push_part(&mut facts, b""),
    }
    facts
}
