//! What is wanted of a provider, beyond its name.

use crate::ids::{Malformed, Scopes};
use crate::oauth::More;

/// Scopes, and what is asked for beside them. What is kept for one is never given out for another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Scopes.
    pub scopes: Scopes,
    more: More,
    most: Option<Scopes>,
}

impl Wanted {
    /// Checked, and in an order of its own: two that ask for the same are equal, however they were written.
    ///
    /// # Errors
    /// [`Malformed`] names what cannot be asked for.
    pub fn new(scopes: Scopes, mut more: More) -> Result<Self, Malformed> {
        more.check()?;
        if more.resources.iter().any(|resource| resource.contains(char::is_whitespace)) {
            return Err(Malformed("a resource must be a URI, and no URI holds a space; write `%20`".into()));
        }
        more.resources.sort_unstable();
        more.resources.dedup();
        more.audiences.sort_unstable();
        more.audiences.dedup();
        more.parameters.sort_unstable();
        Ok(Self { scopes, more, most: None })
    }

    /// The same of these scopes.
    pub fn with_scopes(&self, scopes: Scopes) -> Self {
        Self { scopes, ..self.clone() }
    }

    /// The same, of a grant for no more than these scopes. A token of a wider one could do more than its holder may now,
    /// whatever was asked for.
    pub fn within(&self, most: Option<&Scopes>) -> Self {
        Self { most: most.cloned(), ..self.clone() }
    }

    /// Whether what was asked of the user is no more than may be used now.
    pub(super) fn admits(&self, asked: &Scopes) -> bool {
        self.most.as_ref().is_none_or(|most| most.covers(asked))
    }

    /// What is asked for beside the scopes.
    pub fn more(&self) -> &More {
        &self.more
    }

    /// Where the token is to be used (RFC 8707), sorted. Part of what a grant is for.
    pub fn resources(&self) -> &[String] {
        &self.more.resources
    }
}

impl From<&Scopes> for Wanted {
    fn from(scopes: &Scopes) -> Self {
        scopes.clone().into()
    }
}

impl From<Scopes> for Wanted {
    fn from(scopes: Scopes) -> Self {
        Self { scopes, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_the_same_is_equal_however_it_was_written() {
        let wanted = |resources: &[&str]| {
            let resources = resources.iter().map(|&text| text.to_owned()).collect();
            Wanted::new(Scopes::default(), More { resources, ..More::default() })
        };
        let (a, b) = ("https://a.example/", "https://b.example/");
        assert_eq!(wanted(&[a, b, a]).unwrap(), wanted(&[b, a]).unwrap());
        assert_ne!(wanted(&[a]).unwrap(), wanted(&[b, a]).unwrap());
        for bad in ["no URI", "https://a.example/b c", "https://a.example/#c", ""] {
            assert!(wanted(&[bad]).is_err(), "{bad}");
        }
    }
}
