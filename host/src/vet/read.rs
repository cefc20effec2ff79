//! One pass over the bytes: checks that they are valid and takes down what they are made of. Nothing is executed and
//! nothing is compiled.

use super::code::{Movements, calls};
use super::part::{Body, Custom, Elements, Module, Part, Step};
use super::signature::Interfaces;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentInstance, ComponentType, ConstExpr, ElementItems,
    ElementKind, Encoding, ExternalKind, FuncValidatorAllocations, Instance, KnownCustom, Operator, Parser, Payload,
    TypeRef, ValidPayload, Validator, WasmFeatures,
};

/// What reading may cost. Time and memory grow with the size of the file, and these bound the rest.
const MOST_BYTES: usize = 256 << 20;
const MOST_PARTS: usize = 2_000;
const DEEPEST: usize = 16;
const MOST_CUSTOMS: usize = 10_000;
const MOST_PRODUCERS: usize = 200;
const MOST_ELEMENTS: usize = 10_000_000;

/// What the host's engine accepts (`runtime/engine.rs`); a test compares the two.
const PROFILE: WasmFeatures = WasmFeatures::WASM3
    .union(WasmFeatures::COMPONENT_MODEL)
    .difference(WasmFeatures::GC_TYPES)
    .difference(WasmFeatures::EXCEPTIONS)
    .difference(WasmFeatures::THREADS)
    .difference(WasmFeatures::MEMORY64)
    .difference(WasmFeatures::CM_ASYNC);

/// Why there is no verdict. Exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Something else.
    #[error("the file is no WebAssembly; build a component with `cargo build --target wasm32-wasip2`")]
    NotWasm,
    /// A core module.
    #[error(
        "the file is a core module, not a component; build it with `--target wasm32-wasip2`, or wrap it with \
         `wasm-tools component new FILE --adapt wasi_snapshot_preview1.reactor.wasm`"
    )]
    CoreModule,
    /// It starts like WebAssembly, and is of another version.
    #[error("the file has a version of WebAssembly that is not read here; build it with current tools")]
    Version,
    /// No engine would take it.
    #[error("the file is damaged or was never valid, at byte {offset}: {message}; build it again")]
    Invalid {
        /// The validator's words.
        message: String,
        /// Where.
        offset: usize,
    },
    /// Reading it would cost too much.
    #[error("the file has {what}, and at most {most} are read; nothing that is meant to be run needs more")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How many would be read.
        most: usize,
    },
}

impl From<wasmparser::Error> for Unreadable {
    fn from(error: wasmparser::Error) -> Self {
        // The parser's message may show bytes over several lines; the first says it.
        let message = error.message().lines().next().unwrap_or_default();
        Self::Invalid { message: message.chars().take(300).collect(), offset: error.offset() }
    }
}

/// What a file is made of.
pub(super) struct Anatomy<'a> {
    pub(super) parts: Vec<Part<'a>>,
    /// What it wants, and what it gives.
    pub(super) interfaces: Interfaces,
    /// The first thing that this host's engine does not accept, with its place. Other engines do.
    pub(super) outside: Option<(String, usize)>,
}

impl<'a> Anatomy<'a> {
    /// Of these bytes. Time and memory are bounded by their number.
    ///
    /// # Errors
    /// [`Unreadable`] when no engine would take them.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        match bytes {
            [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => {}
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => return Err(Unreadable::CoreModule),
            [0, b'a', b's', b'm', version @ ..] if version.len() >= 4 => return Err(Unreadable::Version),
            _ => return Err(Unreadable::NotWasm),
        }
        if bytes.len() > MOST_BYTES {
            return Err(Unreadable::TooMuch { what: "too many bytes", most: MOST_BYTES });
        }
        let first = match Reading::new(PROFILE).all(bytes) {
            Err(Unreadable::Invalid { message, offset }) => (message, offset),
            done => return done,
        };
        match Reading::new(WasmFeatures::all()).all(bytes) {
            Ok(anatomy) => Ok(Self { outside: Some(first), ..anatomy }),
            Err(Unreadable::Invalid { .. }) => Err(Unreadable::Invalid { message: first.0, offset: first.1 }),
            Err(other) => Err(other),
        }
    }
}

struct Reading<'a> {
    features: WasmFeatures,
    validator: Validator,
    parts: Vec<Part<'a>>,
    /// Those that the current one is inside of, and it.
    open: Vec<usize>,
    movements: Movements,
    customs: usize,
    elements: usize,
}

impl<'a> Reading<'a> {
    fn new(features: WasmFeatures) -> Self {
        let validator = Validator::new_with_features(features);
        let (parts, open, movements) = (Vec::new(), Vec::new(), Movements::default());
        Self { features, validator, parts, open, movements, customs: 0, elements: 0 }
    }

    fn all(mut self, bytes: &'a [u8]) -> Result<Anatomy<'a>, Unreadable> {
        let mut parser = Parser::new(0);
        parser.set_features(self.features);
        let mut bodies = Vec::new();
        let mut interfaces = None;
        for payload in parser.parse_all(bytes) {
            let payload = payload?;
            match self.validator.payload(&payload)? {
                ValidPayload::Func(function, body) => bodies.push((function, body)),
                ValidPayload::End(types) => match &mut self.parts[self.open[self.open.len() - 1]].body {
                    Body::Module(module) => {
                        let types = types.as_ref();
                        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                        module.types =
                            (0..types.core_type_count_in_module()).map(|i| types.core_type_at_in_module(i)).collect();
                        let functions = module.imports.iter().filter(|(.., kind)| *kind == ExternalKind::Func).count()
                            + module.calls.len();
                        module.functions = (0..count(functions)).map(|i| types.core_function_at(i)).collect();
                    }
                    Body::Component(steps) if self.open.len() == 1 => {
                        interfaces = Some(Interfaces::read(steps, types.as_ref()));
                    }
                    Body::Component(_) => {}
                },
                _ => {}
            }
            self.take(payload)?;
        }
        // As the validator itself does it: bodies after everything else, with one set of buffers.
        let mut buffers = FuncValidatorAllocations::default();
        for (function, body) in bodies {
            let mut validator = function.into_validator(buffers);
            validator.validate(&body)?;
            buffers = validator.into_allocations();
        }
        let invalid = || Unreadable::Invalid { message: "it ends too early".into(), offset: bytes.len() };
        Ok(Anatomy { parts: self.parts, interfaces: interfaces.ok_or_else(invalid)?, outside: None })
    }

    fn open_part(&mut self, offset: usize, encoding: Encoding) -> Result<(), Unreadable> {
        if self.parts.len() >= MOST_PARTS {
            return Err(Unreadable::TooMuch { what: "too many modules and components in it", most: MOST_PARTS });
        }
        if self.open.len() >= DEEPEST {
            return Err(Unreadable::TooMuch { what: "components nested too deeply", most: DEEPEST });
        }
        let (kind, body) = match encoding {
            Encoding::Component => ("component", Body::Component(Vec::new())),
            Encoding::Module => ("module", Body::Module(Box::default())),
        };
        let index = self.parts.len();
        let path = match self.open.last() {
            None => kind.to_owned(),
            Some(&parent) => {
                let number = match &mut self.parts[parent].body {
                    Body::Component(steps) => {
                        let number =
                            steps.iter().filter(|step| matches!(step, Step::Module(_) | Step::Component(_))).count();
                        steps.push(if kind == "module" { Step::Module(index) } else { Step::Component(index) });
                        number
                    }
                    Body::Module(_) => 0,
                };
                format!("{}/{kind} {number}", self.parts[parent].path)
            }
        };
        let part = Part { path, offset, size: 0, name: None, producers: vec![], customs: vec![], body };
        self.parts.push(part);
        self.open.push(index);
        Ok(())
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<(), Unreadable> {
        if let Payload::Version { range, encoding, .. } = payload {
            return self.open_part(range.start, encoding);
        }
        let Some(&current) = self.open.last() else { return Ok(()) };
        let part = &mut self.parts[current];
        match payload {
            Payload::End(offset) => {
                part.size = offset.saturating_sub(part.offset);
                if let Body::Module(module) = &mut part.body {
                    let Movements { references, written } = std::mem::take(&mut self.movements);
                    module.references.extend(references);
                    module.written.extend(written);
                }
                self.open.pop();
            }
            Payload::CustomSection(section) => {
                self.customs += 1;
                if self.customs > MOST_CUSTOMS {
                    return Err(Unreadable::TooMuch { what: "too many custom sections", most: MOST_CUSTOMS });
                }
                part.customs.push(Custom { name: section.name(), offset: section.data_offset(), data: section.data() });
                describe(part, &section.as_known());
            }
            payload => match &mut part.body {
                Body::Module(module) => {
                    take_core(module, payload, &mut self.movements, &mut self.elements)?;
                }
                Body::Component(steps) => take_steps(steps, payload)?,
            },
        }
        Ok(())
    }
}

/// Names and makers. A section of this kind that cannot be read is left alone: engines ignore it too.
fn describe<'a>(part: &mut Part<'a>, known: &KnownCustom<'a>) {
    match known {
        KnownCustom::Name(names) => {
            for name in names.clone().take(8).flatten() {
                if let wasmparser::Name::Module { name, .. } = name {
                    part.name = Some(name);
                }
            }
        }
        KnownCustom::ComponentName(names) => {
            for name in names.clone().take(1).flatten() {
                if let wasmparser::ComponentName::Component { name, .. } = name {
                    part.name = Some(name);
                }
            }
        }
        KnownCustom::Producers(fields) => {
            for field in fields.clone().into_iter().flatten() {
                for value in field.values.into_iter().flatten() {
                    if part.producers.len() < MOST_PRODUCERS {
                        part.producers.push((field.name, value.name, value.version));
                    }
                }
            }
        }
        _ => {}
    }
}

fn take_core<'a>(
    module: &mut Module<'a>,
    payload: Payload<'a>,
    movements: &mut Movements,
    budget: &mut usize,
) -> Result<(), Unreadable> {
    match payload {
        Payload::ImportSection(section) => {
            for import in section.into_imports() {
                let import = import?;
                let kind = match import.ty {
                    TypeRef::Func(_) | TypeRef::FuncExact(_) => ExternalKind::Func,
                    TypeRef::Table(_) => ExternalKind::Table,
                    TypeRef::Memory(_) => ExternalKind::Memory,
                    TypeRef::Global(_) => ExternalKind::Global,
                    TypeRef::Tag(_) => ExternalKind::Tag,
                };
                module.imports.push((import.module, import.name, kind));
            }
        }
        Payload::ExportSection(section) => {
            for export in section {
                let export = export?;
                let kind = match export.kind {
                    ExternalKind::FuncExact => ExternalKind::Func,
                    kind => kind,
                };
                module.exports.push((export.name, kind, export.index));
            }
        }
        Payload::TableSection(section) => {
            for table in section {
                let table = table?;
                module.tables.push((table.ty.initial, table.ty.maximum));
                if let wasmparser::TableInit::Expr(expression) = table.init {
                    // Every place starts with it, so the table counts as written to.
                    let imported = module.imports.iter().filter(|(.., kind)| *kind == ExternalKind::Table).count();
                    let index = u32::try_from(imported + module.tables.len() - 1).unwrap_or(u32::MAX);
                    module.written.insert(index);
                    module.references.extend(referenced(&expression)?);
                }
            }
        }
        Payload::MemorySection(section) => {
            for memory in section {
                let memory = memory?;
                let page = 1u64 << memory.page_size_log2.unwrap_or(16).min(16);
                module
                    .memories
                    .push((memory.initial.saturating_mul(page), memory.maximum.map(|m| m.saturating_mul(page))));
            }
        }
        Payload::GlobalSection(section) => {
            for global in section {
                module.references.extend(referenced(&global?.init_expr)?);
            }
        }
        Payload::StartSection { func, .. } => module.start = Some(func),
        Payload::ElementSection(section) => {
            for element in section {
                let element = element?;
                let at = match element.kind {
                    ElementKind::Active { table_index, offset_expr } => {
                        Some((table_index.unwrap_or(0), constant(&offset_expr)?))
                    }
                    ElementKind::Passive | ElementKind::Declared => None,
                };
                let mut functions = Vec::new();
                match element.items {
                    ElementItems::Functions(items) => {
                        for function in items {
                            functions.push(Some(function?));
                        }
                    }
                    ElementItems::Expressions(_, items) => {
                        for expression in items {
                            let expression = expression?;
                            let found = referenced(&expression)?;
                            // What comes from a global was referenced where the global was set.
                            if found.is_empty()
                                && !is_null(&expression)?
                                && let Some((table, _)) = at
                            {
                                module.written.insert(table);
                            }
                            functions.push(found.first().copied());
                        }
                    }
                }
                *budget += functions.len();
                if *budget > MOST_ELEMENTS {
                    return Err(Unreadable::TooMuch { what: "too many table elements", most: MOST_ELEMENTS });
                }
                module.elements.push(Elements { at, functions });
            }
        }
        Payload::CodeSectionEntry(body) => {
            module.starts.push(body.range().start);
            module.calls.push(calls(&body, movements)?);
        }
        Payload::DataSection(section) => {
            for data in section {
                let data = data?;
                // The bytes end the segment.
                module.data.push((data.range.end.saturating_sub(data.data.len()), data.data));
            }
        }
        _ => {}
    }
    Ok(())
}

/// The functions of which an expression takes references.
fn referenced(expression: &ConstExpr<'_>) -> Result<Vec<u32>, Unreadable> {
    let mut found = Vec::new();
    for operator in expression.get_operators_reader() {
        if let Operator::RefFunc { function_index } = operator? {
            found.push(function_index);
        }
    }
    Ok(found)
}

fn is_null(expression: &ConstExpr<'_>) -> Result<bool, Unreadable> {
    Ok(matches!(expression.get_operators_reader().read()?, Operator::RefNull { .. }))
}

/// The number that an expression is, when it is nothing but that.
fn constant(expression: &ConstExpr<'_>) -> Result<Option<u32>, Unreadable> {
    let mut reader = expression.get_operators_reader();
    let first = reader.read()?;
    let second = reader.read()?;
    Ok(match (first, second) {
        (Operator::I32Const { value }, Operator::End) => Some(value.cast_unsigned()),
        _ => None,
    })
}

fn take_steps<'a>(steps: &mut Vec<Step<'a>>, payload: Payload<'a>) -> Result<(), Unreadable> {
    match payload {
        Payload::ComponentImportSection(section) => {
            for import in section {
                let import = import?;
                steps.push(Step::Import(import.name.name, import.ty.kind()));
            }
        }
        Payload::InstanceSection(section) => {
            for instance in section {
                steps.push(match instance? {
                    Instance::Instantiate { module_index, args } => Step::CoreInstantiate(
                        module_index,
                        args.iter().map(|argument| (argument.name, argument.index)).collect(),
                    ),
                    Instance::FromExports(exports) => Step::CoreExports(
                        exports.iter().map(|export| (export.name, export.kind, export.index)).collect(),
                    ),
                });
            }
        }
        Payload::ComponentInstanceSection(section) => {
            for instance in section {
                steps.push(match instance? {
                    ComponentInstance::Instantiate { component_index, args } => Step::Instantiate(
                        component_index,
                        args.iter().map(|argument| (argument.name, argument.kind, argument.index)).collect(),
                    ),
                    ComponentInstance::FromExports(exports) => Step::Exports(
                        exports.iter().map(|export| (export.name.name, export.kind, export.index)).collect(),
                    ),
                });
            }
        }
        Payload::ComponentAliasSection(section) => {
            for alias in section {
                steps.push(match alias? {
                    ComponentAlias::InstanceExport { kind, instance_index, name } => {
                        Step::AliasExport(kind, instance_index, name)
                    }
                    ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                        Step::AliasCore(kind, instance_index, name)
                    }
                    ComponentAlias::Outer { kind, count, index } => Step::AliasOuter(kind, count, index),
                });
            }
        }
        Payload::ComponentTypeSection(section) => {
            for ty in section {
                if let ComponentType::Resource { dtor: Some(function), .. } = ty? {
                    steps.push(Step::Destructor(function));
                }
            }
        }
        Payload::ComponentCanonicalSection(section) => {
            for function in section {
                steps.push(match function? {
                    CanonicalFunction::Lift { core_func_index, options, .. } => {
                        Step::Lift(core_func_index, called_with(&options))
                    }
                    CanonicalFunction::Lower { func_index, options } => Step::Lower(func_index, called_with(&options)),
                    _ => Step::BuiltIn,
                });
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section {
                let export = export?;
                steps.push(Step::Export(export.name.name, export.kind, export.index));
            }
        }
        _ => {}
    }
    Ok(())
}

fn called_with(options: &[CanonicalOption]) -> Vec<u32> {
    let called = |option: &CanonicalOption| match option {
        CanonicalOption::Realloc(index) | CanonicalOption::PostReturn(index) | CanonicalOption::Callback(index) => {
            Some(*index)
        }
        _ => None,
    };
    options.iter().filter_map(called).collect()
}
