//! Does one thing to its host per path, so that a test can watch what comes of it.
//!
//! Each path is one behaviour, good or bad. Nothing here is how an agent should be written.

mod abuse;
mod ask;
mod memory;
mod reply;

mod bindings {
    #![allow(missing_docs, reason = "generated")]
    wit_bindgen::generate!({ path: "../../../wit", world: "attache:identity/agent", generate_all });
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};
use reply::Query;

struct Probe;
bindings::export!(Probe with_types_in bindings);

impl Guest for Probe {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = Query(query);
        match path {
            "/" => reply::text(out, 200, "hello"),
            "/echo-headers" => reply::text(out, 200, &ask::headers(&request)),
            "/echo-body" => reply::stream_request(request, out),
            "/environment" => reply::text(out, 200, &ask::environment()),
            "/whoami" => reply::text(out, 200, &ask::whoami(&query)),
            "/acquire" => reply::text(out, 200, &ask::acquire(&query)),
            "/flood" => reply::text(out, 200, &ask::flood(&query)),
            "/send" => reply::text(out, 200, &ask::send(&query)),
            "/send-until-refused" => reply::text(out, 200, &ask::send_until_refused(&query)),
            "/get" => reply::text(out, 200, &ask::plain(&query)),
            "/upload" => reply::text(out, 200, &ask::upload(&query)),
            "/set-header" => reply::text(out, 200, &ask::set_header(&query)),
            "/sleep" => {
                ask::sleep(query.number("ms"));
                reply::text(out, 200, "awake");
            }
            "/stream" => reply::stream(out, query.number("chunks"), query.number("ms")),
            "/stream-then-loop" => {
                reply::unfinished(out);
                abuse::spin()
            }
            "/stream-then-trap" => {
                reply::unfinished(out);
                ask::sleep(20);
                panic!("as asked");
            }
            "/scan" => reply::text(out, 200, &memory::scan(&query).to_string()),
            // The response may be kept in memory while it is looked for: `read` does.
            "/send-scan" => {
                let answer = ask::send(&query);
                let count = memory::scan(&query);
                reply::text(out, 200, &format!("{count}\n{answer}"));
            }
            "/fill-scan" => {
                memory::fill(&query);
                reply::text(out, 200, &memory::scan(&query).to_string());
            }
            "/fill" => reply::text(out, 200, &memory::fill(&query).to_string()),
            "/loop" => abuse::spin(),
            "/grow" => abuse::grow(),
            "/recurse" => reply::text(out, 200, &abuse::recurse(0).to_string()),
            "/trap" => panic!("as asked"),
            "/exit" => std::process::exit(3),
            "/no-response" => {}
            "/two-responses" => abuse::two_responses(out),
            "/error" => reply::error(out),
            "/short-body" => reply::short(out),
            "/log" => reply::text(out, 200, &abuse::log(&query)),
            "/handles" => reply::text(out, 200, &abuse::handles(query.number("count"))),
            "/random" => reply::text(out, 200, &abuse::random(query.number("bytes"))),
            _ => reply::text(out, 404, "no such probe"),
        }
    }
}
