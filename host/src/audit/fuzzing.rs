//! Records as they are read back, for fuzzing.

use super::Record;

/// A record: what is read is written the same again, on one line.
pub fn record(bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return };
    let written = serde_json::to_string(&record).expect("a record can be written");
    assert!(!written.contains('\n'));
    let again: Record = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(again, record);
}
