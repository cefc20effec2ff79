//! What a worker that was taken over may write, for fuzzing.

use super::wire::{self, Ask, Invoke, Invoked, Told};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes as the head of every kind of message: refused, or one that says the same again when it is written anew, with a
/// request or a response that HTTP knows.
pub fn message(bytes: &[u8]) {
    if let Some(Ask::Send(_, send)) = again::<Ask>(bytes)
        && let Ok(request) = send.request.with(())
    {
        assert!(request.headers().len() < 32_768);
    }
    if let Some(Ok(head)) = again::<Invoked>(bytes) {
        let _response = head.with(());
    }
    if let Some(Told::Response(head)) = again::<Told>(bytes) {
        let _response = head.with(());
    }
    if let Some(invoke) = again::<Invoke>(bytes) {
        let _request = invoke.request.with(());
    }
}

fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let message: T = wire::decode(bytes).ok()?;
    // Numbers may be written longer than they need be, so it is the second writing that counts.
    let framed = wire::encode(&message).ok()?;
    let second: T = wire::decode(&framed[4..]).expect("what was written can be read");
    assert_eq!(wire::encode(&second).ok().as_deref(), Some(&framed[..]));
    Some(message)
}
