//! One file per attack. What stands here and has no file, or has a file and does not stand here, does not build.

use crate::bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use crate::bindings::wasi::io::streams::OutputStream;

mod abandon_a_credential_in_flight;
mod abandon_an_upload;
mod abandon_requests;
mod acquire_forever;
mod answer_and_stay;
mod answer_twice;
mod be_polite;
mod body_without_end;
mod call_forever;
mod exit;
mod fault_after_the_head;
mod fault_at_once;
mod fault_at_the_end;
mod fault_in_the_body;
mod flood_of_bodies;
mod flood_of_credentials;
mod flood_of_fields;
mod flood_of_full_fields;
mod flood_of_headers;
mod flood_of_pollables;
mod flood_of_requests;
mod flood_of_requests_with_a_credential;
mod flood_of_unread_answers;
mod giant_error;
mod giant_first_lines;
mod giant_strings;
mod grow_memory;
mod guess_a_handle;
mod log_line_ends;
mod log_without_end;
mod loop_forever;
mod many_small_strings;
mod poll_busily;
mod poll_forever;
mod poll_one_thing_a_hundred_thousand_times;
mod random_without_end;
mod read_a_drip;
mod read_without_end;
mod recurse;
mod say_nothing;
mod sleep_forever;
mod take_one_thing_for_another;
mod too_much_random;
mod unfinished_uploads;
mod use_after_drop;
mod wait_for_an_upstream;
mod write_more_than_there_is_room;

/// By name.
pub(crate) const ATTACKS: &[(&str, fn(Arrival))] = &[
    ("abandon_a_credential_in_flight", abandon_a_credential_in_flight::run),
    ("abandon_an_upload", abandon_an_upload::run),
    ("abandon_requests", abandon_requests::run),
    ("acquire_forever", acquire_forever::run),
    ("answer_and_stay", answer_and_stay::run),
    ("answer_twice", answer_twice::run),
    ("be_polite", be_polite::run),
    ("body_without_end", body_without_end::run),
    ("call_forever", call_forever::run),
    ("exit", exit::run),
    ("fault_after_the_head", fault_after_the_head::run),
    ("fault_at_once", fault_at_once::run),
    ("fault_at_the_end", fault_at_the_end::run),
    ("fault_in_the_body", fault_in_the_body::run),
    ("flood_of_bodies", flood_of_bodies::run),
    ("flood_of_credentials", flood_of_credentials::run),
    ("flood_of_fields", flood_of_fields::run),
    ("flood_of_full_fields", flood_of_full_fields::run),
    ("flood_of_headers", flood_of_headers::run),
    ("flood_of_pollables", flood_of_pollables::run),
    ("flood_of_requests", flood_of_requests::run),
    ("flood_of_requests_with_a_credential", flood_of_requests_with_a_credential::run),
    ("flood_of_unread_answers", flood_of_unread_answers::run),
    ("giant_error", giant_error::run),
    ("giant_first_lines", giant_first_lines::run),
    ("giant_strings", giant_strings::run),
    ("grow_memory", grow_memory::run),
    ("guess_a_handle", guess_a_handle::run),
    ("log_line_ends", log_line_ends::run),
    ("log_without_end", log_without_end::run),
    ("loop_forever", loop_forever::run),
    ("many_small_strings", many_small_strings::run),
    ("poll_busily", poll_busily::run),
    ("poll_forever", poll_forever::run),
    ("poll_one_thing_a_hundred_thousand_times", poll_one_thing_a_hundred_thousand_times::run),
    ("random_without_end", random_without_end::run),
    ("read_a_drip", read_a_drip::run),
    ("read_without_end", read_without_end::run),
    ("recurse", recurse::run),
    ("say_nothing", say_nothing::run),
    ("sleep_forever", sleep_forever::run),
    ("take_one_thing_for_another", take_one_thing_for_another::run),
    ("too_much_random", too_much_random::run),
    ("unfinished_uploads", unfinished_uploads::run),
    ("use_after_drop", use_after_drop::run),
    ("wait_for_an_upstream", wait_for_an_upstream::run),
    ("write_more_than_there_is_room", write_more_than_there_is_room::run),
];

/// What an attack is given: what follows the `?`, and the way to answer.
pub(crate) struct Arrival {
    pub(crate) query: String,
    pub(crate) out: ResponseOutparam,
}

impl Arrival {
    /// A whole answer.
    pub(crate) fn answer(self, text: &str) {
        let (body, stream) = self.begin();
        if stream.blocking_write_and_flush(text.as_bytes()).is_ok() {
            drop(stream);
            OutgoingBody::finish(body, None).expect("the body is complete");
        }
    }

    /// The head of one.
    pub(crate) fn begin(self) -> (OutgoingBody, OutputStream) {
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("the body is taken once");
        ResponseOutparam::set(self.out, Ok(response));
        let stream = body.write().expect("the stream is taken once");
        (body, stream)
    }
}
