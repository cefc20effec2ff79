//! Which export can reach which import.
//!
//! The component's instances are put together on paper, as instantiation would, and calls are followed from each export
//! through lifted and lowered functions, shims and adapters. The answer errs on one side only: it may name an import that
//! is never called, because a call through a table reaches whatever of the right type may be in it. It leaves out none.
//! The one exception is said by [`Reach::complete`].

use super::code::Call;
use super::part::{Body, Module, Part, Step};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use wasmparser::types::CoreTypeId;
use wasmparser::{ComponentExternalKind, ComponentOuterAliasKind, ExternalKind};

/// What putting together and following may cost; then everything counts as reached. Real components take a thousandth.
const MOST_STEPS: usize = 2_000_000;
const MOST_FOLLOWED: usize = 50_000_000;
const MOST_INSTANCES: usize = 5_000;
/// Components that instantiate each other may be more than they are nested: each can be handed to the next.
const DEEPEST: usize = 64;

/// Which export can reach which import.
#[derive(Default)]
pub(super) struct Reach {
    /// Per exported function, by the names of its interface and of itself: the imported functions.
    pub(super) exports: BTreeMap<(String, String), BTreeSet<(String, String)>>,
    /// Reached when an instance is made or a resource is dropped, whichever export is called.
    pub(super) always: BTreeSet<(String, String)>,
    /// When false, following was given up, and every import counts as reached.
    pub(super) complete: bool,
    /// Core instances, and memories and tables of them all together.
    pub(super) made: (usize, usize, usize),
}

impl Reach {
    /// Of the component whose parts these are.
    pub(super) fn of(parts: &[Part<'_>]) -> Self {
        Bench::new(parts).reach().unwrap_or_default()
    }

    /// The exported functions from which one import can be reached, written `interface.function`.
    pub(super) fn reached_from(&self, interface: &str, function: &str) -> Vec<String> {
        let wanted = (interface.to_owned(), function.to_owned());
        if self.always.contains(&wanted) {
            return vec!["(always)".to_owned()];
        }
        let from = self.exports.iter().filter(|(_, imports)| imports.contains(&wanted));
        from.map(|((interface, function), _)| dotted(interface, function)).collect()
    }

    /// Whether anything reaches it.
    pub(super) fn reaches(&self, interface: &str, function: &str) -> bool {
        !self.complete || !self.reached_from(interface, function).is_empty()
    }
}

/// A function by the name of its interface; one that stands alone has a name only.
pub(super) fn dotted(interface: &str, function: &str) -> String {
    if function.is_empty() { interface.to_owned() } else { format!("{interface}.{function}") }
}

/// A core function.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Target {
    /// By instance and index among all functions of its module.
    Defined(usize, u32),
    /// An index into [`Bench::lowered`].
    Lowered(usize),
    /// One that calls nothing of the component.
    BuiltIn,
}

/// A function of the component model.
#[derive(Clone, Copy)]
enum Func {
    /// An index into [`Bench::imports`].
    Host(usize),
    /// An index into [`Bench::lifted`].
    Lifted(usize),
}

/// Whatever a component passes on.
#[derive(Clone)]
enum Item {
    Func(Func),
    Instance(Rc<Exports>),
    Component(Rc<Closure>),
    Module(usize),
    Other,
}

enum Exports {
    Own(HashMap<String, Item>),
    /// An import of the whole file. What is in it is named when it is asked for.
    Host(String),
}

/// A component with what it sees of those around it.
struct Closure {
    part: usize,
    around: Vec<Rc<Around>>,
}

/// Modules and components of one that is around another, as they were when the inner one was defined.
type Around = (Vec<Item>, Vec<Item>);

#[derive(Clone, Copy)]
enum Core {
    Func(Target),
    Table(usize),
    Other,
}

/// A module that was instantiated.
struct Instance {
    part: usize,
    imported: Vec<Target>,
    tables: Vec<usize>,
}

/// A table, wherever it is seen from.
#[derive(Default)]
struct Table {
    places: HashMap<u32, Vec<(Target, CoreTypeId)>>,
    all: HashMap<CoreTypeId, Vec<Target>>,
    /// Anything may be anywhere in it.
    open: bool,
}

/// Index spaces of a component that is being put together.
#[derive(Default)]
struct Frame {
    modules: Vec<Item>,
    components: Vec<Item>,
    instances: Vec<Item>,
    funcs: Vec<Item>,
    core_instances: Vec<Rc<HashMap<String, Core>>>,
    core_funcs: Vec<Target>,
    core_tables: Vec<usize>,
}

struct TooMuch;

struct Bench<'a> {
    parts: &'a [Part<'a>],
    budget: usize,
    depth: usize,
    instances: Vec<Instance>,
    tables: Vec<Table>,
    /// What code may hold a reference of, by type.
    loose: HashMap<CoreTypeId, Vec<Target>>,
    lifted: Vec<Vec<Target>>,
    lowered: Vec<(Item, Vec<Target>)>,
    imports: Vec<(String, String)>,
    import_ids: HashMap<(String, String), usize>,
    /// Start functions and destructors.
    always: Vec<Target>,
}

impl<'a> Bench<'a> {
    fn new(parts: &'a [Part<'a>]) -> Self {
        Self {
            parts,
            budget: MOST_STEPS,
            depth: 0,
            instances: vec![],
            tables: vec![],
            loose: HashMap::new(),
            lifted: vec![],
            lowered: vec![],
            imports: vec![],
            import_ids: HashMap::new(),
            always: vec![],
        }
    }

    fn reach(&mut self) -> Result<Reach, TooMuch> {
        let file = Closure { part: 0, around: Vec::new() };
        let exports = self.component(&file, None)?;
        self.budget = MOST_FOLLOWED;
        let mut reach = Reach { complete: true, made: self.made(), ..Reach::default() };
        let always = std::mem::take(&mut self.always);
        reach.always = self.follow(always)?;
        let mut names: Vec<(&String, &Item)> = exports.iter().collect();
        names.sort_by_key(|(name, _)| *name);
        for (name, item) in names {
            self.export(&mut reach, name, "", item)?;
        }
        Ok(reach)
    }

    fn export(&mut self, reach: &mut Reach, interface: &str, function: &str, item: &Item) -> Result<(), TooMuch> {
        match item {
            Item::Func(Func::Lifted(lifted)) => {
                let start = self.lifted[*lifted].clone();
                let found = self.follow(start)?;
                reach.exports.insert((interface.to_owned(), function.to_owned()), found);
            }
            Item::Func(Func::Host(import)) => {
                let found = BTreeSet::from([self.imports[*import].clone()]);
                reach.exports.insert((interface.to_owned(), function.to_owned()), found);
            }
            Item::Instance(exports) => {
                if let Exports::Own(exports) = &**exports {
                    let mut inner: Vec<(&String, &Item)> = exports.iter().collect();
                    inner.sort_by_key(|(name, _)| *name);
                    for (name, item) in inner {
                        let name = if function.is_empty() { name.clone() } else { format!("{function}.{name}") };
                        self.export(reach, interface, &name, item)?;
                    }
                }
            }
            Item::Component(_) | Item::Module(_) | Item::Other => {}
        }
        Ok(())
    }

    fn made(&self) -> (usize, usize, usize) {
        let modules = self.instances.iter().filter_map(|instance| match &self.parts[instance.part].body {
            Body::Module(module) => Some(module),
            Body::Component(_) => None,
        });
        modules.fold((0, 0, 0), |(instances, memories, tables), module| {
            (instances + 1, memories + module.memories.len(), tables + module.tables.len())
        })
    }

    fn spend(&mut self, steps: usize) -> Result<(), TooMuch> {
        self.budget = self.budget.checked_sub(steps).ok_or(TooMuch)?;
        Ok(())
    }

    fn host(&mut self, interface: &str, function: &str) -> Item {
        let name = (interface.to_owned(), function.to_owned());
        let next = self.imports.len();
        let id = *self.import_ids.entry(name.clone()).or_insert(next);
        if id == next {
            self.imports.push(name);
        }
        Item::Func(Func::Host(id))
    }

    /// Puts one component together. `arguments` is none for the file itself, whose imports are the host's.
    fn component(
        &mut self,
        closure: &Closure,
        arguments: Option<&HashMap<String, Item>>,
    ) -> Result<HashMap<String, Item>, TooMuch> {
        let parts = self.parts;
        let Body::Component(steps) = &parts[closure.part].body else { return Ok(HashMap::new()) };
        let mut frame = Frame::default();
        let mut exports = HashMap::new();
        for step in steps {
            self.spend(1)?;
            match step {
                Step::Import(name, kind) => {
                    let item = match arguments {
                        Some(arguments) => arguments.get(*name).cloned().unwrap_or(Item::Other),
                        None => match kind {
                            ComponentExternalKind::Instance => {
                                Item::Instance(Rc::new(Exports::Host((*name).to_owned())))
                            }
                            ComponentExternalKind::Func => self.host(name, ""),
                            _ => Item::Other,
                        },
                    };
                    frame.define(*kind, item);
                }
                Step::Module(part) => frame.modules.push(Item::Module(*part)),
                Step::Component(part) => {
                    // Innermost last, as `AliasOuter` counts from there.
                    let mut around = closure.around.clone();
                    self.spend(around.len() + frame.modules.len() + frame.components.len())?;
                    around.push(Rc::new((frame.modules.clone(), frame.components.clone())));
                    frame.components.push(Item::Component(Rc::new(Closure { part: *part, around })));
                }
                Step::CoreInstantiate(module, arguments) => {
                    let instance = match frame.modules.get(*module as usize) {
                        Some(Item::Module(part)) => self.instantiate(*part, arguments, &frame)?,
                        _ => HashMap::new(),
                    };
                    frame.core_instances.push(Rc::new(instance));
                }
                Step::CoreExports(items) => {
                    self.spend(items.len())?;
                    let item = |kind: &ExternalKind, index: u32| match kind {
                        ExternalKind::Func => {
                            frame.core_funcs.get(index as usize).map_or(Core::Other, |f| Core::Func(*f))
                        }
                        ExternalKind::Table => {
                            frame.core_tables.get(index as usize).map_or(Core::Other, |t| Core::Table(*t))
                        }
                        _ => Core::Other,
                    };
                    let instance =
                        items.iter().map(|(name, kind, index)| ((*name).to_owned(), item(kind, *index))).collect();
                    frame.core_instances.push(Rc::new(instance));
                }
                Step::Instantiate(component, arguments) => {
                    let arguments = frame.named(arguments);
                    self.spend(arguments.len())?;
                    let exports = match frame.components.get(*component as usize) {
                        Some(Item::Component(closure)) => {
                            let closure = closure.clone();
                            self.depth += 1;
                            if self.depth > DEEPEST {
                                return Err(TooMuch);
                            }
                            let exports = self.component(&closure, Some(&arguments))?;
                            self.depth -= 1;
                            exports
                        }
                        _ => HashMap::new(),
                    };
                    frame.instances.push(Item::Instance(Rc::new(Exports::Own(exports))));
                }
                Step::Exports(items) => {
                    self.spend(items.len())?;
                    let exports = frame.named(items);
                    frame.instances.push(Item::Instance(Rc::new(Exports::Own(exports))));
                }
                Step::AliasExport(kind, instance, name) => {
                    let item = match frame.instances.get(*instance as usize).cloned() {
                        Some(Item::Instance(exports)) => match &*exports {
                            Exports::Own(exports) => exports.get(*name).cloned().unwrap_or(Item::Other),
                            Exports::Host(interface) => match kind {
                                ComponentExternalKind::Func => self.host(interface, name),
                                ComponentExternalKind::Instance => {
                                    Item::Instance(Rc::new(Exports::Host(format!("{interface}.{name}"))))
                                }
                                _ => Item::Other,
                            },
                        },
                        _ => Item::Other,
                    };
                    frame.define(*kind, item);
                }
                Step::AliasCore(kind, instance, name) => {
                    let item = frame.core_instances.get(*instance as usize).and_then(|i| i.get(*name).copied());
                    match (kind, item) {
                        (ExternalKind::Func, Some(Core::Func(target))) => frame.core_funcs.push(target),
                        (ExternalKind::Func, _) => frame.core_funcs.push(Target::BuiltIn),
                        (ExternalKind::Table, Some(Core::Table(table))) => frame.core_tables.push(table),
                        (ExternalKind::Table, _) => frame.core_tables.push(usize::MAX),
                        _ => {}
                    }
                }
                Step::AliasOuter(kind, count, index) => {
                    let seen = match *count as usize {
                        0 => Some((&frame.modules, &frame.components)),
                        count => closure.around.iter().rev().nth(count - 1).map(|around| (&around.0, &around.1)),
                    };
                    let item = |items: Option<&Vec<Item>>| items.and_then(|i| i.get(*index as usize)).cloned();
                    match kind {
                        ComponentOuterAliasKind::CoreModule => {
                            let item = item(seen.map(|s| s.0)).unwrap_or(Item::Other);
                            frame.modules.push(item);
                        }
                        ComponentOuterAliasKind::Component => {
                            let item = item(seen.map(|s| s.1)).unwrap_or(Item::Other);
                            frame.components.push(item);
                        }
                        _ => {}
                    }
                }
                Step::Lift(function, with) => {
                    let targets = std::iter::once(function).chain(with).map(|f| frame.core(*f)).collect();
                    self.lifted.push(targets);
                    frame.funcs.push(Item::Func(Func::Lifted(self.lifted.len() - 1)));
                }
                Step::Lower(function, with) => {
                    let callee = frame.funcs.get(*function as usize).cloned().unwrap_or(Item::Other);
                    let with = with.iter().map(|f| frame.core(*f)).collect();
                    self.lowered.push((callee, with));
                    frame.core_funcs.push(Target::Lowered(self.lowered.len() - 1));
                }
                Step::BuiltIn => frame.core_funcs.push(Target::BuiltIn),
                Step::Export(name, kind, index) => {
                    let item = frame.item(*kind, *index);
                    frame.define(*kind, item.clone());
                    exports.insert((*name).to_owned(), item);
                }
                Step::Destructor(function) => self.always.push(frame.core(*function)),
            }
        }
        Ok(exports)
    }

    /// Instantiates a module: finds its imports and fills its tables.
    fn instantiate(
        &mut self,
        part: usize,
        arguments: &[(&str, u32)],
        frame: &Frame,
    ) -> Result<HashMap<String, Core>, TooMuch> {
        let parts = self.parts;
        let Body::Module(module) = &parts[part].body else { return Ok(HashMap::new()) };
        if self.instances.len() >= MOST_INSTANCES {
            return Err(TooMuch);
        }
        self.spend(module.imports.len() + module.exports.len() + module.references.len() + module.tables.len())?;
        let given: HashMap<&str, &Rc<HashMap<String, Core>>> = arguments
            .iter()
            .filter_map(|(name, index)| Some((*name, frame.core_instances.get(*index as usize)?)))
            .collect();
        let mut instance = Instance { part, imported: Vec::new(), tables: Vec::new() };
        for (from, name, kind) in &module.imports {
            let item = given.get(from).and_then(|i| i.get(*name)).copied();
            match (kind, item) {
                (ExternalKind::Func, Some(Core::Func(target))) => instance.imported.push(target),
                (ExternalKind::Func, _) => instance.imported.push(Target::BuiltIn),
                (ExternalKind::Table, Some(Core::Table(table))) if table < self.tables.len() => {
                    instance.tables.push(table);
                }
                (ExternalKind::Table, _) => instance.tables.push(self.table()),
                _ => {}
            }
        }
        for _ in &module.tables {
            instance.tables.push(self.table());
        }
        let id = self.instances.len();
        let function = |index: u32| match instance.imported.get(index as usize) {
            Some(target) => *target,
            None => Target::Defined(id, index),
        };
        for elements in &module.elements {
            self.spend(elements.functions.len())?;
            for (nth, index) in elements.functions.iter().enumerate() {
                let Some(index) = index else { continue };
                let Some(ty) = module.functions.get(*index as usize).copied() else { continue };
                match elements.at {
                    Some((table, first)) => {
                        let Some(table) = instance.tables.get(table as usize) else { continue };
                        let table = &mut self.tables[*table];
                        table.all.entry(ty).or_default().push(function(*index));
                        match first.and_then(|first| first.checked_add(u32::try_from(nth).ok()?)) {
                            Some(place) => table.places.entry(place).or_default().push((function(*index), ty)),
                            None => table.open = true,
                        }
                    }
                    None => self.loose.entry(ty).or_default().push(function(*index)),
                }
            }
        }
        for index in &module.references {
            if let Some(ty) = module.functions.get(*index as usize) {
                self.loose.entry(*ty).or_default().push(function(*index));
            }
        }
        for table in &module.written {
            if let Some(table) = instance.tables.get(*table as usize) {
                self.tables[*table].open = true;
            }
        }
        self.always.extend(module.start.map(function));
        let item = |kind: &ExternalKind, index: u32| match kind {
            ExternalKind::Func => Core::Func(function(index)),
            ExternalKind::Table => instance.tables.get(index as usize).map_or(Core::Other, |table| Core::Table(*table)),
            _ => Core::Other,
        };
        let exports =
            module.exports.iter().map(|(name, kind, index)| ((*name).to_owned(), item(kind, *index))).collect();
        self.instances.push(instance);
        Ok(exports)
    }

    fn table(&mut self) -> usize {
        self.tables.push(Table::default());
        self.tables.len() - 1
    }

    /// The imports that can be reached from these functions.
    fn follow(&mut self, start: Vec<Target>) -> Result<BTreeSet<(String, String)>, TooMuch> {
        let mut found = BTreeSet::new();
        let mut open = start;
        let mut seen: HashMap<Target, ()> = HashMap::new();
        // A table and a type, or a type alone: all of them are followed the first time.
        let mut classes: BTreeSet<(usize, CoreTypeId)> = BTreeSet::new();
        while let Some(target) = open.pop() {
            if seen.insert(target, ()).is_some() {
                continue;
            }
            self.spend(1)?;
            match target {
                Target::BuiltIn => {}
                Target::Lowered(lowered) => {
                    let (callee, with) = &self.lowered[lowered];
                    open.extend(with);
                    match callee {
                        Item::Func(Func::Host(import)) => {
                            found.insert(self.imports[*import].clone());
                        }
                        Item::Func(Func::Lifted(lifted)) => open.extend(&self.lifted[*lifted]),
                        _ => {}
                    }
                }
                Target::Defined(id, index) => {
                    let instance = &self.instances[id];
                    let Some((module, calls)) = self.code(instance, index) else { continue };
                    let mut steps = calls.len();
                    for call in calls {
                        match *call {
                            Call::Function(index) => open.push(match instance.imported.get(index as usize) {
                                Some(target) => *target,
                                None => Target::Defined(id, index),
                            }),
                            Call::Table { table, ty, place } => {
                                let Some(ty) = module.types.get(ty as usize) else { continue };
                                let Some(&table) = instance.tables.get(table as usize) else { continue };
                                let content = &self.tables[table];
                                match place {
                                    Some(place) if !content.open => {
                                        let there = content.places.get(&place).into_iter().flatten();
                                        open.extend(there.filter(|(_, is)| is == ty).map(|(target, _)| target));
                                    }
                                    _ if classes.insert((table, *ty)) => {
                                        let mut add = |from: Option<&Vec<Target>>| {
                                            steps += from.map_or(0, Vec::len);
                                            open.extend(from.into_iter().flatten());
                                        };
                                        add(content.all.get(ty));
                                        if content.open {
                                            add(self.loose.get(ty));
                                            // A reference may have been taken out of any table.
                                            self.tables.iter().for_each(|table| add(table.all.get(ty)));
                                        }
                                    }
                                    _ => {}
                                }
                            }
                            Call::Reference(ty) => {
                                let Some(ty) = module.types.get(ty as usize) else { continue };
                                if classes.insert((usize::MAX, *ty)) {
                                    let tables = self.tables.iter().filter_map(|table| table.all.get(ty));
                                    for target in tables.chain(self.loose.get(ty)).flatten() {
                                        steps += 1;
                                        open.push(*target);
                                    }
                                }
                            }
                        }
                    }
                    self.spend(steps)?;
                }
            }
        }
        Ok(found)
    }

    fn code(&self, instance: &Instance, index: u32) -> Option<(&'a Module<'a>, &'a [super::code::Call])> {
        let parts = self.parts;
        let Body::Module(module) = &parts[instance.part].body else { return None };
        let defined = (index as usize).checked_sub(instance.imported.len())?;
        Some((module, module.calls.get(defined)?))
    }
}

impl Frame {
    fn core(&self, index: u32) -> Target {
        self.core_funcs.get(index as usize).copied().unwrap_or(Target::BuiltIn)
    }

    fn space(&mut self, kind: ComponentExternalKind) -> Option<&mut Vec<Item>> {
        match kind {
            ComponentExternalKind::Module => Some(&mut self.modules),
            ComponentExternalKind::Func => Some(&mut self.funcs),
            ComponentExternalKind::Component => Some(&mut self.components),
            ComponentExternalKind::Instance => Some(&mut self.instances),
            ComponentExternalKind::Value | ComponentExternalKind::Type => None,
        }
    }

    fn define(&mut self, kind: ComponentExternalKind, item: Item) {
        if let Some(space) = self.space(kind) {
            space.push(item);
        }
    }

    fn item(&self, kind: ComponentExternalKind, index: u32) -> Item {
        let space = match kind {
            ComponentExternalKind::Module => &self.modules,
            ComponentExternalKind::Func => &self.funcs,
            ComponentExternalKind::Component => &self.components,
            ComponentExternalKind::Instance => &self.instances,
            ComponentExternalKind::Value | ComponentExternalKind::Type => return Item::Other,
        };
        space.get(index as usize).cloned().unwrap_or(Item::Other)
    }

    fn named(&self, items: &[(&str, ComponentExternalKind, u32)]) -> HashMap<String, Item> {
        items.iter().map(|(name, kind, index)| ((*name).to_owned(), self.item(*kind, *index))).collect()
    }
}
