//! Credential providers.

use super::answers::Answer;
use super::input::Values;
use crate::access::{Caller, Operation};
use crate::operations::{Arns, OperationError, Operations};
use std::sync::Arc;

pub(super) async fn answer(
    _operations: &Operations,
    _caller: &Arc<Caller>,
    operation: Operation,
    _input: &Values<'_>,
    _arns: &Arns,
) -> Answer {
    Err(OperationError::NotOffered(format!("`{operation}` is not offered by this host")))
}
