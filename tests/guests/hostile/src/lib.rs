//! Attacks its host, in one way per path. Each attack is a file under `attacks`; those that Rust cannot make are text,
//! under `wat`. What is to come of each is said in `host/tests/hostile/table.rs`.

mod attacks;
mod host;

mod bindings {
    #![allow(missing_docs, reason = "generated")]
    wit_bindgen::generate!({ path: "../../../wit", world: "attache:identity/agent", generate_all });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

struct Hostile;
bindings::export!(Hostile with_types_in bindings);

impl Guest for Hostile {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let name = path.trim_start_matches('/');
        let attack = attacks::ATTACKS.iter().find(|(listed, _)| *listed == name);
        let (_, run) = attack.unwrap_or_else(|| panic!("no such attack: `{name}`"));
        run(attacks::Arrival { query: query.to_owned(), out });
    }
}
