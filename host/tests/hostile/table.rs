//! The attacks, and what is to come of each. One that is a file and does not stand here fails a test.

use Ending::*;

/// What comes of an attack.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is stopped for this fault.
    Fault(&'static str),
    /// It is stopped when its time is up.
    TimeIsUp,
    /// It is stopped where it asks for more than this.
    TooMuch(&'static str),
    /// It is not even loaded; the reason has this in it.
    NotLoaded(&'static str),
    /// It leaves its caller without an answer.
    NoAnswer,
    /// It answers with an error that begins like this, and no more than two hundred letters of it are told.
    ItsError(&'static str),
    /// It could do no harm, and answers that.
    Answer(&'static str),
    /// The same, with this at the end.
    AnswerOf(&'static str),
    /// It begins to answer, and what is left breaks off for this reason.
    BreaksOff(&'static str),
}

const RULE: Ending = Fault("it broke a rule of the interface");
const HANDLES: Ending = Fault("it holds too many handles, or one that it gave away");
const UNREACHABLE: Ending = Fault("wasm `unreachable` instruction executed");
const STACK: Ending = Fault("call stack exhausted");

/// Those that are written in Rust, by path.
pub(crate) const IN_RUST: &[(&str, Ending)] = &[
    ("abandon_a_credential_in_flight", Answer("read")),
    ("abandon_an_upload", Answer("all let go")),
    ("abandon_requests", Answer("all let go")),
    ("acquire_forever", TimeIsUp),
    ("answer_and_stay", Answer("whole")),
    ("answer_twice", RULE),
    ("be_polite", Answer("hello")),
    ("body_without_end", BreaksOff("did not finish within 0.3 s")),
    ("call_forever", TimeIsUp),
    ("exit", Fault("it exited with code 0")),
    ("fault_after_the_head", UNREACHABLE),
    ("fault_at_once", UNREACHABLE),
    ("fault_at_the_end", UNREACHABLE),
    ("fault_in_the_body", UNREACHABLE),
    ("flood_of_bodies", HANDLES),
    ("flood_of_credentials", HANDLES),
    ("flood_of_fields", HANDLES),
    ("flood_of_full_fields", HANDLES),
    ("flood_of_headers", RULE),
    ("flood_of_pollables", HANDLES),
    ("flood_of_requests", AnswerOf("ErrorCode::ConnectionLimitReached")),
    (
        "flood_of_requests_with_a_credential",
        Answer("after 64: Error::Unavailable(\"64 requests are under way; read their responses or drop some first\")"),
    ),
    ("flood_of_unread_answers", Answer("after 64: Some(Ok(Err(ErrorCode::ConnectionLimitReached)))")),
    ("giant_error", ItsError("ErrorCode::InternalError(Some(\"\\u{1b}[31mxxx")),
    ("giant_first_lines", Answer("refused: true true true true")),
    ("giant_strings?api-key", RULE),
    ("giant_strings?audience", RULE),
    ("giant_strings?claim", RULE),
    ("giant_strings?parameter-name", RULE),
    ("giant_strings?parameter-value", RULE),
    ("giant_strings?provider", RULE),
    ("giant_strings?resource", RULE),
    ("giant_strings?scope", RULE),
    ("giant_strings?state", RULE),
    ("grow_memory", TooMuch("more than 67108864 bytes of memory")),
    ("guess_a_handle?0", RULE),
    ("guess_a_handle?1", RULE),
    ("guess_a_handle?4294967295", RULE),
    ("guess_a_handle?7", RULE),
    ("log_line_ends", TimeIsUp),
    ("log_without_end", TimeIsUp),
    ("loop_forever", TimeIsUp),
    ("many_small_strings", RULE),
    ("poll_busily", TimeIsUp),
    ("poll_forever", TimeIsUp),
    ("poll_one_thing_a_hundred_thousand_times", RULE),
    ("random_without_end", TimeIsUp),
    ("read_a_drip", TimeIsUp),
    ("read_without_end", TooMuch("more than 67108864 bytes of memory")),
    ("recurse", STACK),
    ("say_nothing", NoAnswer),
    ("sleep_forever", TimeIsUp),
    ("take_one_thing_for_another", RULE),
    ("too_much_random", RULE),
    ("unfinished_uploads", UNREACHABLE),
    ("use_after_drop", RULE),
    ("wait_for_an_upstream", TimeIsUp),
    ("write_more_than_there_is_room", RULE),
];

/// Those that are written as text, by file.
pub(crate) const IN_TEXT: &[(&str, Ending)] = &[
    ("copy_memory", TimeIsUp),
    ("fill_memory", TimeIsUp),
    ("flood_of_own_resources", RULE),
    ("grow_a_table", TooMuch("more than 20000 table elements")),
    ("lie_about_a_length", RULE),
    ("lie_about_a_pointer", RULE),
    ("lie_about_an_encoding", RULE),
    ("lie_about_where_the_answer_goes", RULE),
    ("many_core_instances", NotLoaded("core module instances")),
    ("many_memories", NotLoaded("memories")),
    ("many_tables", NotLoaded("tables")),
    ("memories_together", TooMuch("more than 67108864 bytes of memory")),
    ("never_takes_the_outparam", NoAnswer),
    ("overlapping_giants", RULE),
    ("post_return_loops", TimeIsUp),
    ("post_return_traps", UNREACHABLE),
    ("realloc_calls_the_host", Fault("cannot leave component instance")),
    ("realloc_grows", TooMuch("more than 67108864 bytes of memory")),
    ("realloc_lies", RULE),
    ("realloc_loops", TimeIsUp),
    ("realloc_recurses", STACK),
    ("realloc_traps", UNREACHABLE),
    ("recurse", STACK),
    ("start_grows", TooMuch("more than 67108864 bytes of memory")),
    ("start_loops", TimeIsUp),
    ("start_traps", UNREACHABLE),
    ("wide_frames", STACK),
];
