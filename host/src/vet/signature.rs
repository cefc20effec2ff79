//! What functions take and give, as text: the same text for the same type, so that what a component wants can be compared
//! with what the host has, and shown.

use super::part::Step;
use std::collections::HashMap;
use std::sync::Arc;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncTypeId,
    ComponentInstanceTypeId, ComponentType, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;

/// Text of one type and of all types of a file. Types share parts, so that a small file can have a type whose text would
/// not end.
const LONGEST: usize = 16 << 10;
const LONGEST_TOGETHER: usize = 4 << 20;
const TOO_LONG: &str = "(a type that is too long to show)";

/// What a component wants and what it gives.
#[derive(Default)]
pub(super) struct Interfaces {
    pub(super) imports: Vec<Interface>,
    pub(super) exports: Vec<Interface>,
}

/// One import or export.
pub(super) struct Interface {
    /// With its version.
    pub(super) name: String,
    /// `instance` for interfaces; others stand alone.
    pub(super) kind: &'static str,
    pub(super) functions: Vec<Function>,
}

pub(super) struct Function {
    pub(super) name: String,
    pub(super) signature: Arc<str>,
}

impl Interfaces {
    /// Of a component that was validated.
    pub(super) fn read(steps: &[Step<'_>], types: TypesRef<'_>) -> Self {
        let mut writer = Writer::new(types);
        let mut found = Self::default();
        for step in steps {
            match step {
                Step::Import(name, _) => {
                    if let Some(item) = types.component_item_for_import(name) {
                        found.imports.push(writer.interface(name, &item.ty));
                    }
                }
                Step::Export(name, ..) => {
                    if let Some(item) = types.component_item_for_export(name) {
                        found.exports.push(writer.interface(name, &item.ty));
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Of a world, encoded as the type of its components.
    pub(super) fn of_world(world: &ComponentType, types: TypesRef<'_>) -> Self {
        let mut writer = Writer::new(types);
        let imports = world.imports.iter().map(|(name, item)| writer.interface(name, &item.ty)).collect();
        let exports = world.exports.iter().map(|(name, item)| writer.interface(name, &item.ty)).collect();
        Self { imports, exports }
    }
}

/// The name without its version.
pub(super) fn bare(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

struct Writer<'a> {
    types: TypesRef<'a>,
    resources: HashMap<ResourceId, String>,
    known: HashMap<ComponentDefinedTypeId, Arc<str>>,
    written: usize,
}

impl<'a> Writer<'a> {
    fn new(types: TypesRef<'a>) -> Self {
        Self { types, resources: HashMap::new(), known: HashMap::new(), written: 0 }
    }

    fn interface(&mut self, name: &str, ty: &ComponentEntityType) -> Interface {
        let mut functions = Vec::new();
        let kind = match ty {
            ComponentEntityType::Instance(id) => {
                functions = self.instance(name, *id);
                "instance"
            }
            ComponentEntityType::Func(id) => {
                functions.push(Function { name: String::new(), signature: self.function(*id) });
                "function"
            }
            ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. } => {
                self.resources.entry(id.resource()).or_insert_with(|| bare(name).to_owned());
                "type"
            }
            ComponentEntityType::Type { .. } => "type",
            ComponentEntityType::Module(_) => "module",
            ComponentEntityType::Component(_) => "component",
            ComponentEntityType::Value(_) => "value",
        };
        Interface { name: name.to_owned(), kind, functions }
    }

    fn instance(&mut self, interface: &str, id: ComponentInstanceTypeId) -> Vec<Function> {
        let Some(instance) = self.types.get(id) else { return Vec::new() };
        // Whoever shows a resource first is where it comes from: `use` in WIT names what stands before.
        for (name, item) in &instance.exports {
            if let ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. } = item.ty {
                self.resources.entry(id.resource()).or_insert_with(|| format!("{}.{name}", bare(interface)));
            }
        }
        let mut functions = Vec::new();
        for (name, item) in &instance.exports {
            if let ComponentEntityType::Func(id) = item.ty {
                functions.push(Function { name: name.clone(), signature: self.function(id) });
            }
        }
        functions
    }

    fn function(&mut self, id: ComponentFuncTypeId) -> Arc<str> {
        let Some(function) = self.types.get(id) else { return TOO_LONG.into() };
        let mut text = String::from(if function.async_ { "async func(" } else { "func(" });
        for (index, (name, ty)) in function.params.iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            text.push_str(name.as_str());
            text.push_str(": ");
            text.push_str(&self.value(*ty, 0));
        }
        text.push(')');
        if let Some(result) = function.result {
            text.push_str(" -> ");
            text.push_str(&self.value(result, 0));
        }
        self.bounded(text)
    }

    fn bounded(&mut self, text: String) -> Arc<str> {
        self.written += text.len();
        if text.len() > LONGEST || self.written > LONGEST_TOGETHER { TOO_LONG.into() } else { text.into() }
    }

    fn value(&mut self, ty: ComponentValType, depth: usize) -> Arc<str> {
        match ty {
            ComponentValType::Primitive(primitive) => primitive.to_string().into(),
            ComponentValType::Type(id) => {
                if let Some(known) = self.known.get(&id) {
                    return known.clone();
                }
                // The validator bounds depth to 100.
                if depth > 100 || self.written > LONGEST_TOGETHER {
                    return TOO_LONG.into();
                }
                let text = self.defined(id, depth + 1);
                let text = self.bounded(text);
                self.known.insert(id, text.clone());
                text
            }
        }
    }

    fn defined(&mut self, id: ComponentDefinedTypeId, depth: usize) -> String {
        let types = self.types;
        let Some(defined) = types.get(id) else { return TOO_LONG.to_owned() };
        let mut of = |ty: &ComponentValType| self.value(*ty, depth);
        let joined = |parts: Vec<String>| parts.join(", ");
        match defined {
            ComponentDefinedType::Primitive(primitive) => primitive.to_string(),
            ComponentDefinedType::Record(record) => {
                let fields = record.fields.iter().map(|(name, ty)| format!("{name}: {}", of(ty))).collect();
                format!("record {{ {} }}", joined(fields))
            }
            ComponentDefinedType::Variant(variant) => {
                let cases = variant.cases.iter().map(|(name, case)| match &case.ty {
                    Some(ty) => format!("{name}({})", of(ty)),
                    None => name.to_string(),
                });
                format!("variant {{ {} }}", joined(cases.collect()))
            }
            ComponentDefinedType::List { element, .. } => format!("list<{}>", of(element)),
            ComponentDefinedType::Map { key, value, .. } => format!("map<{}, {}>", of(key), of(value)),
            ComponentDefinedType::FixedLengthList { element, length, .. } => format!("list<{}, {length}>", of(element)),
            ComponentDefinedType::Tuple(tuple) => {
                format!("tuple<{}>", joined(tuple.types.iter().map(|ty| of(ty).to_string()).collect()))
            }
            ComponentDefinedType::Flags(names) => {
                format!("flags {{ {} }}", joined(names.iter().map(ToString::to_string).collect()))
            }
            ComponentDefinedType::Enum(names) => {
                format!("enum {{ {} }}", joined(names.iter().map(ToString::to_string).collect()))
            }
            ComponentDefinedType::Option { ty, .. } => format!("option<{}>", of(ty)),
            ComponentDefinedType::Result { ok, err, .. } => {
                let mut part = |ty: &Option<ComponentValType>| ty.as_ref().map_or("_".into(), &mut of);
                format!("result<{}, {}>", part(ok), part(err))
            }
            ComponentDefinedType::Own(id) => self.resource(id.resource()),
            ComponentDefinedType::Borrow(id) => format!("borrow<{}>", self.resource(id.resource())),
            ComponentDefinedType::Future { ty, .. } => format!("future<{}>", ty.as_ref().map_or("_".into(), of)),
            ComponentDefinedType::Stream { ty, .. } => format!("stream<{}>", ty.as_ref().map_or("_".into(), of)),
        }
    }

    fn resource(&self, id: ResourceId) -> String {
        self.resources.get(&id).cloned().unwrap_or_else(|| "resource".to_owned())
    }
}
