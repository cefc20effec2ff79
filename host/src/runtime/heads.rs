//! The first line of a guest's request, bounded.
//!
//! A request that a guest has begun is kept on the host's side, and `wasi:http` takes a method and an authority of any
//! length. A thousand requests with a megabyte each would be a gigabyte of the host's. So the three functions that set
//! them are linked over: the same functions, after a look at the length.

use super::instance::Instance;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentNamedList, Lift, Linker, LinkerInstance, Resource};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest as _, Method};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;

/// The version that is linked; components with an older one are given it, too.
const TYPES: &str = "wasi:http/types@0.2.12";

type Request = Resource<HostOutgoingRequest>;
type Set = wasmtime::Result<Result<(), ()>>;

/// Puts the bounded ones in the place of those that are linked already.
pub(super) fn bound(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    setter(&mut types, "[method]outgoing-request.set-method", |instance, request, method: Method| {
        let length = if let Method::Other(text) = &method { text.len() } else { 0 };
        instance.within(length, |instance| instance.http().set_method(request, method))
    })?;
    setter(&mut types, "[method]outgoing-request.set-authority", |instance, request, text: Option<String>| {
        let length = text.as_ref().map_or(0, String::len);
        instance.within(length, |instance| instance.http().set_authority(request, text))
    })?;
    setter(&mut types, "[method]outgoing-request.set-path-with-query", |instance, request, text: Option<String>| {
        let length = text.as_ref().map_or(0, String::len);
        instance.within(length, |instance| instance.http().set_path_with_query(request, text))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

fn setter<V: 'static>(
    types: &mut LinkerInstance<'_, Instance>,
    name: &str,
    set: fn(&mut Instance, Request, V) -> Set,
) -> wasmtime::Result<()>
where
    (Request, V): ComponentNamedList + Lift,
{
    types.func_wrap(name, move |mut store: StoreContextMut<'_, Instance>, (request, value): (Request, V)| {
        fault_point!("runtime.heads.set");
        Ok((set(store.data_mut(), request, value)?,))
    })
}

impl Instance {
    /// What is too long is what `wasi:http` says of what is malformed: it is not set.
    fn within(&mut self, length: usize, set: impl FnOnce(&mut Self) -> Set) -> Set {
        if length > self.head_bytes { Ok(Err(())) } else { set(self) }
    }
}
