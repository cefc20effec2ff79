//! Generated from `wit/`. Everything else in this crate is a comfortable way to say what is said here; use it directly
//! for what the crate does not wrap.
#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]

#[cfg(not(feature = "reveal"))]
wit_bindgen::generate!({
    path: "../wit",
    world: "agent",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "attache_guest::bindings",
});

#[cfg(feature = "reveal")]
wit_bindgen::generate!({
    path: "../wit",
    world: "revealing-agent",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "attache_guest::bindings",
});
