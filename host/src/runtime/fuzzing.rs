//! Components of strangers, for fuzzing.

use super::{Engine, EngineConfig};
use std::sync::{Arc, OnceLock};

/// A component: it is refused, or it is one that the validator of the same age takes, with imports that are offered. None
/// of it runs.
pub fn component(bytes: &[u8]) {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    let small = EngineConfig { max_instances: 1, ..EngineConfig::default() };
    let engine = ENGINE.get_or_init(|| Engine::new(&small).expect("an engine"));
    let Ok(loaded) = engine.load(bytes) else { return };
    assert!(wasmparser::Validator::new().validate_all(bytes).is_ok(), "loaded, and not valid");
    assert!(
        loaded.imports().iter().all(|name| super::calls::OFFERED.iter().any(|(offered, _)| name.starts_with(offered)))
    );
    assert_eq!(loaded.wants_reveal(), loaded.imports().iter().any(|name| name.contains("/reveal@")));
}
