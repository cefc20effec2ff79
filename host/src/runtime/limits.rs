//! What one instance may grow to.

use super::EngineConfig;
use wasmtime::ResourceLimiter;

/// Counts what an instance has, all its memories and tables together, and stops it where it asks for more.
///
/// A refused growth stops the guest instead of telling it: what a guest does when it runs out of memory is rarely
/// tested, and an abort in its allocator could not be told from a fault.
pub(super) struct Limits {
    memory: usize,
    memory_limit: usize,
    elements: usize,
    element_limit: usize,
    instances: usize,
    tables: usize,
    memories: usize,
}

/// More than an instance may have.
#[derive(Debug, thiserror::Error)]
#[error("more than {limit} {unit}")]
pub(super) struct Exceeded {
    limit: usize,
    unit: &'static str,
}

impl Limits {
    pub(super) fn new(config: &EngineConfig) -> Self {
        Self {
            memory: 0,
            memory_limit: config.max_memory_bytes.next_multiple_of(64 << 10),
            elements: 0,
            element_limit: config.max_table_elements,
            instances: config.max_core_instances as usize,
            tables: config.max_tables as usize,
            memories: config.max_memories as usize,
        }
    }

    /// Bytes of linear memory in use.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        fault_point!("runtime.limits.memory");
        // Its own maximum is the guest's affair: it gets the answer that it expects.
        if maximum.is_some_and(|maximum| desired > maximum) && desired <= self.memory_limit {
            return Ok(false);
        }
        grow(&mut self.memory, self.memory_limit, current, desired, "bytes of memory")
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        fault_point!("runtime.limits.table");
        if maximum.is_some_and(|maximum| desired > maximum) && desired <= self.element_limit {
            return Ok(false);
        }
        grow(&mut self.elements, self.element_limit, current, desired, "table elements")
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

fn grow(total: &mut usize, limit: usize, current: usize, desired: usize, unit: &'static str) -> wasmtime::Result<bool> {
    let wanted = total.saturating_add(desired.saturating_sub(current));
    if wanted > limit {
        return Err(wasmtime::Error::new(Exceeded { limit, unit }));
    }
    *total = wanted;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let config = EngineConfig { max_memory_bytes: 4 << 16, ..EngineConfig::default() };
        let mut limits = Limits::new(&config);
        let mut grow =
            |current: usize, desired: usize| limits.memory_growing(current << 16, desired << 16, None).is_ok();
        assert!(grow(0, 2), "the first memory");
        assert!(grow(0, 1), "a second one");
        assert!(grow(2, 3), "all four pages are used");
        assert!(!grow(1, 2), "a fifth");
    }
}
