//! `wit/` is the promise to guests: nobody can be named through it, and everything in it is explained.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::collections::HashSet;
use std::path::Path;
use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId, TypeOwner, UnresolvedPackageGroup, WorldItem};

/// Words by which somebody could be named. A parameter, a field or a type that has one of them as a part of its name
/// would let a guest say whom it speaks for.
const PRINCIPALS: &[&str] = &[
    "account",
    "accounts",
    "actor",
    "agent",
    "behalf",
    "caller",
    "client",
    "customer",
    "delegate",
    "email",
    "human",
    "identities",
    "identity",
    "impersonate",
    "iss",
    "issuer",
    "login",
    "member",
    "organisation",
    "organization",
    "owner",
    "person",
    "principal",
    "sender",
    "spiffe",
    "sub",
    "subject",
    "tenant",
    "user",
    "username",
    "users",
    "who",
    "whom",
    "workload",
    "workspace",
];

fn names_somebody(name: &str) -> bool {
    name.split(['-', '_', '/', '.']).any(|word| PRINCIPALS.contains(&word))
}

fn ours() -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")).expect("`wit/` resolves");
    resolve
}

/// Every function of our package, as `interface.function`.
fn functions(resolve: &Resolve) -> Vec<(String, &Function)> {
    let mut all = Vec::new();
    for (_, package) in resolve.packages.iter().filter(|(_, package)| package.name.namespace == "attache") {
        for (name, id) in &package.interfaces {
            all.extend(resolve.interfaces[*id].functions.values().map(|f| (format!("{name}.{}", f.name), f)));
        }
        for (name, id) in &package.worlds {
            let world = &resolve.worlds[*id];
            for item in world.imports.values().chain(world.exports.values()) {
                if let WorldItem::Function(function) = item {
                    all.push((format!("{name}.{}", function.name), function));
                }
            }
        }
    }
    all
}

/// Where a guest could name a principal: a path into the parameters for each.
fn principals(resolve: &Resolve) -> Vec<String> {
    let mut found = Vec::new();
    for (name, function) in functions(resolve) {
        for parameter in function.params.iter().filter(|parameter| parameter.name != "self") {
            let path = format!("{name}({})", parameter.name);
            if names_somebody(&parameter.name) {
                found.push(path.clone());
            }
            walk(resolve, &parameter.ty, &path, &mut HashSet::new(), &mut found);
        }
    }
    found
}

fn walk(resolve: &Resolve, ty: &Type, path: &str, seen: &mut HashSet<TypeId>, found: &mut Vec<String>) {
    let Type::Id(id) = ty else { return };
    if !seen.insert(*id) {
        return;
    }
    let def = &resolve.types[*id];
    if let Some(name) = def.name.as_deref().filter(|name| names_somebody(name)) {
        found.push(format!("{path}: {name}"));
    }
    for (name, ty) in parts(resolve, *id) {
        let path = if name.is_empty() { path.to_owned() } else { format!("{path}.{name}") };
        if names_somebody(&name) {
            found.push(path.clone());
        }
        walk(resolve, &ty, &path, seen, found);
    }
}

/// What a value of this type is made of, with names where they have some.
fn parts(resolve: &Resolve, id: TypeId) -> Vec<(String, Type)> {
    let unnamed = |types: &[Type]| types.iter().map(|ty| (String::new(), *ty)).collect();
    match &resolve.types[id].kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| (field.name.clone(), field.ty)).collect(),
        // A case without a payload says what, never who: `flow` has `user-federation`.
        TypeDefKind::Variant(variant) => {
            variant.cases.iter().filter_map(|case| Some((case.name.clone(), case.ty?))).collect()
        }
        TypeDefKind::Tuple(tuple) => unnamed(&tuple.types),
        TypeDefKind::Option(ty)
        | TypeDefKind::List(ty)
        | TypeDefKind::FixedLengthList(ty, _)
        | TypeDefKind::Type(ty) => unnamed(&[*ty]),
        TypeDefKind::Map(key, value) => unnamed(&[*key, *value]),
        TypeDefKind::Result(result) => {
            [result.ok, result.err].into_iter().flatten().map(|ty| (String::new(), ty)).collect()
        }
        TypeDefKind::Future(ty) | TypeDefKind::Stream(ty) => ty.iter().map(|ty| (String::new(), *ty)).collect(),
        TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => unnamed(&[Type::Id(*id)]),
        TypeDefKind::Resource | TypeDefKind::Flags(_) | TypeDefKind::Enum(_) => Vec::new(),
        TypeDefKind::Unknown => panic!("a resolved package has no unknown types"),
    }
}

fn holds_bytes(resolve: &Resolve, ty: &Type) -> bool {
    let Type::Id(id) = ty else { return false };
    matches!(resolve.types[*id].kind, TypeDefKind::List(Type::U8))
        || parts(resolve, *id).iter().any(|(_, ty)| holds_bytes(resolve, ty))
}

/// What in our package has no doc.
fn unexplained(resolve: &Resolve) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |docs: &wit_parser::Docs, what: String| {
        if docs.contents.as_deref().is_none_or(|text| text.trim().is_empty()) {
            found.push(what);
        }
    };
    for (name, function) in functions(resolve) {
        check(&function.docs, name);
    }
    for (_, package) in resolve.packages.iter().filter(|(_, package)| package.name.namespace == "attache") {
        package.interfaces.iter().for_each(|(name, id)| check(&resolve.interfaces[*id].docs, name.clone()));
        package.worlds.iter().for_each(|(name, id)| check(&resolve.worlds[*id].docs, name.clone()));
    }
    for (_, def) in &resolve.types {
        let (Some(name), true) = (&def.name, is_ours(resolve, def.owner)) else { continue };
        // `use` brings in a type that is explained where it comes from.
        if matches!(def.kind, TypeDefKind::Type(Type::Id(_))) {
            continue;
        }
        check(&def.docs, name.clone());
        match &def.kind {
            TypeDefKind::Record(r) => r.fields.iter().for_each(|f| check(&f.docs, format!("{name}.{}", f.name))),
            TypeDefKind::Variant(v) => v.cases.iter().for_each(|c| check(&c.docs, format!("{name}.{}", c.name))),
            TypeDefKind::Enum(e) => e.cases.iter().for_each(|c| check(&c.docs, format!("{name}.{}", c.name))),
            TypeDefKind::Flags(f) => f.flags.iter().for_each(|f| check(&f.docs, format!("{name}.{}", f.name))),
            _ => {}
        }
    }
    found
}

fn is_ours(resolve: &Resolve, owner: TypeOwner) -> bool {
    let package = match owner {
        TypeOwner::Interface(id) => resolve.interfaces[id].package,
        TypeOwner::World(id) => resolve.worlds[id].package,
        TypeOwner::None => None,
    };
    package.is_some_and(|id| resolve.packages[id].name.namespace == "attache")
}

#[test]
fn no_parameter_can_name_a_principal() {
    let resolve = ours();
    assert!(functions(&resolve).len() >= 10, "the functions of all three interfaces are looked at");
    assert_eq!(principals(&resolve), Vec::<String>::new());
}

#[test]
fn everything_is_explained() {
    assert_eq!(unexplained(&ours()), Vec::<String>::new());
}

#[test]
fn nothing_but_reveal_returns_bytes() {
    let resolve = ours();
    for (name, function) in functions(&resolve) {
        let bytes = function.result.is_some_and(|ty| holds_bytes(&resolve, &ty));
        assert_eq!(bytes, name == "reveal.bytes", "{name}");
    }
}

/// The default world is what an agent gets without asking for more.
#[test]
fn the_default_world_has_no_reveal_and_no_sockets() {
    let resolve = ours();
    let imports = |world: &str| {
        let (_, world) = resolve.worlds.iter().find(|(_, w)| w.name == world).unwrap();
        world.imports.keys().map(|key| resolve.name_world_key(key)).collect::<Vec<_>>()
    };
    let reveal = "attache:identity/reveal@0.1.0".to_owned();
    assert!(!imports("agent").contains(&reveal));
    assert!(imports("revealing-agent").contains(&reveal));
    assert!(imports("revealing-agent").iter().all(|name| !name.starts_with("wasi:sockets/")));
}

/// Each of these hides a principal in another place. The check must see all of them.
#[test]
fn a_hidden_principal_is_found() {
    let bad = r#"
        package attache:bad@0.1.0;
        interface bad {
            record innocent { provider: string, tenant-id: string }
            variant choice { nobody, as-user(string) }
            record deep { choices: list<option<choice>> }
            type subject-name = string;
            resource principal-handle;
            resource door { open: func(on-behalf-of: string); }
            direct: func(user: string);
            in-a-record: func(request: innocent);
            in-a-variant: func(request: result<tuple<u8, deep>, string>);
            by-its-type: func(name: subject-name);
            by-a-handle: func(it: borrow<principal-handle>);
            good: func(provider: string, scopes: list<string>) -> string;
        }
        world bad-world { import bad; import whoever: func(whom: string); }
    "#;
    let mut resolve = Resolve::default();
    resolve.push_group(UnresolvedPackageGroup::parse("bad.wit", bad).unwrap()).unwrap();
    let mut found = principals(&resolve);
    found.sort();
    let expected = [
        "bad-world.whoever(whom)",
        "bad.[method]door.open(on-behalf-of)",
        "bad.by-a-handle(it): principal-handle",
        "bad.by-its-type(name): subject-name",
        "bad.direct(user)",
        "bad.in-a-record(request).tenant-id",
        "bad.in-a-variant(request).choices.as-user",
    ];
    assert_eq!(found, expected);
    assert!(unexplained(&resolve).len() > 15, "and none of it is explained");
}
