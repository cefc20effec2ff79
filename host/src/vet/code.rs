//! Who calls whom inside one function.

use std::collections::BTreeSet;
use wasmparser::{FunctionBody, Operator};

/// One way out of a function. Repetitions are left out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    /// Of this function, by its index in the module.
    Function(u32),
    /// Through this table, of something of this type. The place is known where the instruction before says it, as in the
    /// shims that `wit-component` writes.
    Table { table: u32, ty: u32, place: Option<u32> },
    /// Of a reference of this type.
    Reference(u32),
}

/// What is put where by code, over all functions of a module.
#[derive(Default)]
pub(super) struct Movements {
    /// Functions of which a reference is taken.
    pub(super) references: BTreeSet<u32>,
    /// Tables that are written to.
    pub(super) written: BTreeSet<u32>,
}

/// Reads one function. Whether it is valid is not looked at here.
pub(super) fn calls(body: &FunctionBody<'_>, movements: &mut Movements) -> wasmparser::Result<Box<[Call]>> {
    let mut calls = Vec::new();
    let mut constant = None;
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let operator = reader.read()?;
        let before = constant.take();
        match operator {
            Operator::I32Const { value } => constant = Some(value.cast_unsigned()),
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                calls.push(Call::Function(function_index));
            }
            Operator::CallIndirect { type_index, table_index }
            | Operator::ReturnCallIndirect { type_index, table_index } => {
                calls.push(Call::Table { table: table_index, ty: type_index, place: before });
            }
            Operator::CallRef { type_index } | Operator::ReturnCallRef { type_index } => {
                calls.push(Call::Reference(type_index));
            }
            Operator::RefFunc { function_index } => {
                movements.references.insert(function_index);
            }
            Operator::TableSet { table }
            | Operator::TableFill { table }
            | Operator::TableGrow { table }
            | Operator::TableInit { table, .. }
            | Operator::TableCopy { dst_table: table, .. } => {
                movements.written.insert(table);
            }
            _ => {}
        }
    }
    calls.sort_unstable();
    calls.dedup();
    Ok(calls.into_boxed_slice())
}
