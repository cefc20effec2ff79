//! What a component is made of, as it stands in the file: modules and components inside each other, and the steps by
//! which they are joined. Nothing here is resolved yet; names and bytes are borrowed from the file.

use super::code::Call;
use std::collections::BTreeSet;
use wasmparser::types::CoreTypeId;
use wasmparser::{ComponentExternalKind, ComponentOuterAliasKind, ExternalKind};

/// A component or a core module. The first of a file is the whole file.
pub(super) struct Part<'a> {
    /// Where it is, such as `component/module 2`.
    pub(super) path: String,
    pub(super) offset: usize,
    pub(super) size: usize,
    /// From its name section.
    pub(super) name: Option<&'a str>,
    /// Field, name and version of what made it, as it says of itself.
    pub(super) producers: Vec<(&'a str, &'a str, &'a str)>,
    pub(super) customs: Vec<Custom<'a>>,
    pub(super) body: Body<'a>,
}

/// A custom section.
pub(super) struct Custom<'a> {
    pub(super) name: &'a str,
    pub(super) offset: usize,
    pub(super) data: &'a [u8],
}

pub(super) enum Body<'a> {
    Component(Vec<Step<'a>>),
    Module(Box<Module<'a>>),
}

/// A core module: what instantiating it needs and gives, and who calls whom in it.
#[derive(Default)]
pub(super) struct Module<'a> {
    pub(super) imports: Vec<(&'a str, &'a str, ExternalKind)>,
    pub(super) exports: Vec<(&'a str, ExternalKind, u32)>,
    /// By index in the module's own type section; equal types of all modules have equal ids.
    pub(super) types: Vec<CoreTypeId>,
    /// The type of each function, imported ones first.
    pub(super) functions: Vec<CoreTypeId>,
    /// Per function that is defined here, what it calls.
    pub(super) calls: Vec<Box<[Call]>>,
    /// Where each of them starts in the file.
    pub(super) starts: Vec<usize>,
    /// Functions of which a reference is taken.
    pub(super) references: BTreeSet<u32>,
    /// Tables that code writes to, so that any reference may be at any place in them.
    pub(super) written: BTreeSet<u32>,
    pub(super) elements: Vec<Elements>,
    pub(super) start: Option<u32>,
    /// Minimum and maximum of those defined here, in elements.
    pub(super) tables: Vec<(u64, Option<u64>)>,
    /// Minimum and maximum of those defined here, in bytes.
    pub(super) memories: Vec<(u64, Option<u64>)>,
    /// Offset in the file, and the bytes.
    pub(super) data: Vec<(usize, &'a [u8])>,
}

/// Functions that are put into a table at the start, or can be later.
pub(super) struct Elements {
    /// Table and place; none when code puts them somewhere, if at all.
    pub(super) at: Option<(u32, Option<u32>)>,
    pub(super) functions: Vec<Option<u32>>,
}

/// One definition of a component. Each adds to one of its index spaces.
pub(super) enum Step<'a> {
    Import(&'a str, ComponentExternalKind),
    /// Index into the list of parts.
    Module(usize),
    /// Index into the list of parts.
    Component(usize),
    CoreInstantiate(u32, Vec<(&'a str, u32)>),
    CoreExports(Vec<(&'a str, ExternalKind, u32)>),
    Instantiate(u32, Vec<(&'a str, ComponentExternalKind, u32)>),
    Exports(Vec<(&'a str, ComponentExternalKind, u32)>),
    AliasExport(ComponentExternalKind, u32, &'a str),
    AliasCore(ExternalKind, u32, &'a str),
    AliasOuter(ComponentOuterAliasKind, u32, u32),
    /// The core function, and those that are called with it: `realloc`, `post-return`, `callback`.
    Lift(u32, Vec<u32>),
    Lower(u32, Vec<u32>),
    /// A core function of the component model itself, such as one that drops a handle.
    BuiltIn,
    Export(&'a str, ComponentExternalKind, u32),
    /// A resource type with the core function that ends its values.
    Destructor(u32),
}
