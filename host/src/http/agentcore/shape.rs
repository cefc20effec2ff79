//! What a value of a call may be: the words in which [`super::calls`] is written.
//!
//! One description serves three readers: [`super::check`] refuses what does not fit, [`super::openapi`] tells it to programs,
//! and the tests hold it against Amazon's own models.

/// A value by its name in the OpenAPI document.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it is a credential, or as good as one.
    pub(super) secret: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Characters, `min` to `max` of them, that match `pattern` as a whole; an empty pattern is none.
    Text {
        min: u32,
        max: u32,
        pattern: &'static str,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// True or false.
    Flag,
    /// A whole number.
    Whole {
        min: i64,
        max: i64,
    },
    /// Seconds since 1970, with a fraction.
    Time,
    List {
        min: u32,
        max: u32,
        item: &'static Shape,
    },
    /// Text by text.
    Map {
        min: u32,
        max: u32,
        key: &'static Shape,
        value: &'static Shape,
    },
    Structure(&'static [Field]),
    /// A structure with exactly one of these members.
    Union(&'static [Field]),
    /// A body as it is; its limit is the host's own.
    Bytes,
    /// A member of Amazon's that this host does not have; refused where it is sent, with these words.
    NotOffered(&'static str),
}

/// No limit in the models.
pub(super) const ANY: u32 = u32::MAX;

/// One member of a structure, or one input of a call.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: &'static Shape,
    pub(super) required: bool,
    pub(super) place: Place,
    /// Not in Amazon's models: no client of theirs sends it, and each ignores it.
    pub(super) ours: bool,
}

/// Where an input of a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A member of the JSON body.
    Body,
    /// A segment of the path, by this name.
    Path,
    /// In the query, by this name.
    Query(&'static str),
    /// A header.
    Header(&'static str),
    /// The whole body.
    Payload,
}

impl Shape {
    const fn of(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, secret: false }
    }

    pub(super) const fn text(name: &'static str, min: u32, max: u32) -> Self {
        Self::of(name, Kind::Text { min, max, pattern: "" })
    }

    pub(super) const fn matching(name: &'static str, min: u32, max: u32, pattern: &'static str) -> Self {
        Self::of(name, Kind::Text { min, max, pattern })
    }

    pub(super) const fn choice(name: &'static str, words: &'static [&'static str]) -> Self {
        Self::of(name, Kind::Choice(words))
    }

    pub(super) const fn flag(name: &'static str) -> Self {
        Self::of(name, Kind::Flag)
    }

    pub(super) const fn whole(name: &'static str, min: i64, max: i64) -> Self {
        Self::of(name, Kind::Whole { min, max })
    }

    pub(super) const fn time(name: &'static str) -> Self {
        Self::of(name, Kind::Time)
    }

    pub(super) const fn list(name: &'static str, item: &'static Shape) -> Self {
        Self::of(name, Kind::List { min: 0, max: ANY, item })
    }

    pub(super) const fn list_of(name: &'static str, min: u32, max: u32, item: &'static Shape) -> Self {
        Self::of(name, Kind::List { min, max, item })
    }

    pub(super) const fn map(
        name: &'static str,
        min: u32,
        max: u32,
        key: &'static Shape,
        value: &'static Shape,
    ) -> Self {
        Self::of(name, Kind::Map { min, max, key, value })
    }

    pub(super) const fn structure(name: &'static str, fields: &'static [Field]) -> Self {
        Self::of(name, Kind::Structure(fields))
    }

    pub(super) const fn union(name: &'static str, fields: &'static [Field]) -> Self {
        Self::of(name, Kind::Union(fields))
    }

    pub(super) const fn bytes(name: &'static str) -> Self {
        Self::of(name, Kind::Bytes)
    }

    pub(super) const fn not_offered(name: &'static str, why: &'static str) -> Self {
        Self::of(name, Kind::NotOffered(why))
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// A member that must be there.
pub(super) const fn need(name: &'static str, shape: &'static Shape) -> Field {
    Field { name, shape, required: true, place: Place::Body, ours: false }
}

/// A member that may be left out.
pub(super) const fn may(name: &'static str, shape: &'static Shape) -> Field {
    Field { name, shape, required: false, place: Place::Body, ours: false }
}

impl Field {
    pub(super) const fn path(mut self) -> Self {
        self.place = Place::Path;
        self
    }

    pub(super) const fn query(mut self, name: &'static str) -> Self {
        self.place = Place::Query(name);
        self
    }

    pub(super) const fn header(mut self, name: &'static str) -> Self {
        self.place = Place::Header(name);
        self
    }

    pub(super) const fn payload(mut self) -> Self {
        self.place = Place::Payload;
        self
    }

    /// An addition to Amazon's models.
    pub(super) const fn ours(mut self) -> Self {
        self.ours = true;
        self
    }
}
