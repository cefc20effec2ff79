//! Every way to a resource token, with a guest in a whole host and real providers. One test for each promise.

mod asking;
mod authentication;
mod behalf;
mod bound;
mod device;
mod keys;
mod machine;
mod renewal;
mod revoking;
