//! Guests of chance that know their way: sequences of calls that make sense, with an operand exchanged here and there for
//! another. A guest of pure chance faults at its first handle and never comes to where credentials are.

use crate::smith::Chance;
use std::fmt::Write as _;

/// What is imported: a short name, the interface, the function, its parameters and whether it gives something back.
const CALLS: &[(&str, &str, &str, usize, bool)] = &[
    ("oauth2", "attache:identity/credentials@0.1.0", "oauth2", 16, false),
    ("api-key", "attache:identity/credentials@0.1.0", "api-key", 3, false),
    ("provider", "attache:identity/credentials@0.1.0", "[method]credential.provider", 2, false),
    ("scopes", "attache:identity/credentials@0.1.0", "[method]credential.scopes", 2, false),
    ("expires-at", "attache:identity/credentials@0.1.0", "[method]credential.expires-at", 2, false),
    ("send", "attache:identity/credentials@0.1.0", "[method]credential.send", 5, false),
    ("drop-credential", "attache:identity/credentials@0.1.0", "[resource-drop]credential", 1, false),
    ("workload", "attache:identity/identity@0.1.0", "workload", 1, false),
    ("user", "attache:identity/identity@0.1.0", "user", 1, false),
    ("claim", "attache:identity/identity@0.1.0", "claim", 3, false),
    ("fields", "wasi:http/types@0.2.12", "[constructor]fields", 0, true),
    ("request", "wasi:http/types@0.2.12", "[constructor]outgoing-request", 1, true),
    ("path", "wasi:http/types@0.2.12", "[method]incoming-request.path-with-query", 2, false),
    ("set-authority", "wasi:http/types@0.2.12", "[method]outgoing-request.set-authority", 4, true),
    ("set-path", "wasi:http/types@0.2.12", "[method]outgoing-request.set-path-with-query", 4, true),
    ("subscribe", "wasi:http/types@0.2.12", "[method]future-incoming-response.subscribe", 1, true),
    ("get", "wasi:http/types@0.2.12", "[method]future-incoming-response.get", 2, false),
    ("drop-future", "wasi:http/types@0.2.12", "[resource-drop]future-incoming-response", 1, false),
    ("drop-request", "wasi:http/types@0.2.12", "[resource-drop]outgoing-request", 1, false),
    ("handle", "wasi:http/outgoing-handler@0.2.12", "handle", 4, false),
    ("block", "wasi:io/poll@0.2.12", "[method]pollable.block", 1, false),
    ("drop-pollable", "wasi:io/poll@0.2.12", "[resource-drop]pollable", 1, false),
];

/// Where things stand in the guest's memory: an answer, and four shelves of eight handles each.
const ANSWER: usize = 0x8000;
const CREDENTIALS: usize = 0x1000;
const REQUESTS: usize = 0x1040;
const FUTURES: usize = 0x1080;
const POLLABLES: usize = 0x10c0;
const SHELVES: [usize; 4] = [CREDENTIALS, REQUESTS, FUTURES, POLLABLES];

/// How many sequences there are in one module. The path says which: `/a`, `/b` and so on.
pub(crate) const SEQUENCES: usize = 16;

/// What every module has: memory, room for answers, and the four shelves.
const FRAME: &str = r#"
    (memory (export "memory") 2)
    (data (i32.const 0x100) "google")
    (data (i32.const 0x120) "any.example")
    (data (i32.const 0x140) "/")
    (global $free (mut i32) (i32.const 0x9000))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
      (global.get $free)
      (global.set $free (i32.add (global.get $free) (local.get 3))))
    (func $place (param $shelf i32) (param $n i32) (result i32)
      (i32.add (local.get $shelf) (i32.shl (i32.and (local.get $n) (i32.const 7)) (i32.const 2))))
    (func $pick (param $shelf i32) (param $from i32) (result i32) (local $n i32) (local $found i32)
      (loop $on
        (local.set $found (i32.load (call $place (local.get $shelf) (i32.add (local.get $from) (local.get $n)))))
        (if (local.get $found) (then (return (local.get $found))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $on (i32.lt_u (local.get $n) (i32.const 8))))
      (i32.const 0))
    (func $forget (param $shelf i32) (param $handle i32) (local $n i32)
      (loop $on
        (if (i32.eq (local.get $handle) (i32.load (call $place (local.get $shelf) (local.get $n))))
          (then (i32.store (call $place (local.get $shelf) (local.get $n)) (i32.const 0))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $on (i32.lt_u (local.get $n) (i32.const 8)))))
    (func (export "wasi:http/incoming-handler@0.2.12#handle") (param $request i32) (param i32)
      (call $path (local.get $request) (i32.const 0x8000))
      (call_indirect (i32.sub
        (i32.load8_u offset=1 (i32.load (i32.const 0x8004)))
        (i32.const 97))))
"#;

/// A core module, as text.
pub(crate) fn module(chance: &mut Chance) -> String {
    let mut text = String::from("(module\n");
    for (short, interface, name, parameters, result) in CALLS {
        let parameters = "i32 ".repeat(*parameters);
        let result = if *result { "(result i32)" } else { "" };
        let _infallible =
            writeln!(text, "(import {interface:?} {name:?} (func ${short} (param {parameters}) {result}))");
    }
    text.push_str(FRAME);
    let names: Vec<String> = (0..SEQUENCES).map(|n| format!("$sequence-{n}")).collect();
    let _infallible = writeln!(text, "(table funcref (elem {}))", names.join(" "));
    for name in names {
        let _infallible = writeln!(text, "(func {name} (local $one i32)");
        // One in four keeps to the rules throughout.
        let astray = if chance.below(4) == 0 { 0 } else { 25 };
        let mut weaver = Weaver { chance, text, astray };
        weaver.acquire();
        for _ in 0..3 + weaver.chance.below(24) {
            weaver.step();
        }
        text = weaver.text;
        text.push_str(")\n");
    }
    text.push_str(")\n");
    text
}

struct Weaver<'a> {
    chance: &'a mut Chance,
    text: String,
    /// One operand of so many is exchanged; zero for none.
    astray: usize,
}

impl Weaver<'_> {
    fn step(&mut self) {
        match self.chance.below(12) {
            0 => self.acquire(),
            1 => self.call("api-key", &["0x100".into(), "6".into(), answer()], Some(CREDENTIALS)),
            2 => {
                let which = ["provider", "scopes", "expires-at"][self.chance.below(3)];
                self.with_one(CREDENTIALS, |weaver| weaver.call(which, &[one(), answer()], None));
            }
            3 => self.give_back(CREDENTIALS, "drop-credential"),
            4..=6 => self.send(),
            7 => self.with_one(FUTURES, |weaver| {
                weaver.call("subscribe", &[one()], Some(POLLABLES));
                weaver.text.push_str("(local.set $one (call $pick (i32.const 0x10c0) (i32.const 0)))");
                weaver.call("block", &[one()], None);
                weaver.text.push_str("(call $forget (i32.const 0x10c0) (local.get $one))");
                weaver.call("drop-pollable", &[one()], None);
            }),
            8 => self.with_one(FUTURES, |weaver| weaver.call("get", &[one(), answer()], None)),
            9 => self.give_back(FUTURES, "drop-future"),
            10 => {
                let who = ["workload", "user"][self.chance.below(2)];
                self.call(who, &[answer()], None);
            }
            _ => self.call("claim", &["0x100".into(), "6".into(), answer()], None),
        }
    }

    fn acquire(&mut self) {
        let mut operands = vec!["0x100".to_owned(), "6".to_owned()];
        operands.resize(15, "0".to_owned());
        operands.push(answer());
        self.call("oauth2", &operands, Some(CREDENTIALS));
    }

    /// A whole request, with a credential or without.
    fn send(&mut self) {
        let slot = REQUESTS + 4 * self.chance.below(8);
        let _infallible = writeln!(self.text, "(i32.store (i32.const {slot}) (call $request (call $fields)))");
        let request = format!("(i32.load (i32.const {slot}))");
        let authority = [request.clone(), "1".into(), "0x120".into(), "11".into()];
        self.call("set-authority", &authority, None);
        self.call("set-path", &[request.clone(), "1".into(), "0x140".into(), "1".into()], None);
        if self.chance.below(3) == 0 {
            self.call("handle", &[request, "0".into(), "0".into(), answer()], Some(FUTURES));
        } else {
            self.with_one(CREDENTIALS, |weaver| {
                weaver.call("send", &[one(), request, "0".into(), "0".into(), answer()], Some(FUTURES));
            });
        }
    }

    /// A call, with an operand exchanged now and then. Where something comes of it, it is put on a shelf.
    fn call(&mut self, name: &str, operands: &[String], shelf: Option<usize>) {
        let (_, _, _, _, result) = CALLS.iter().find(|call| call.0 == name).expect("it is imported");
        let mut call = format!("(call ${name}");
        for operand in operands {
            let operand = self.exchanged(operand);
            let _infallible = match operand.starts_with('(') {
                true => write!(call, " {operand}"),
                false => write!(call, " (i32.const {operand})"),
            };
        }
        call.push(')');
        let place = shelf.map(|shelf| shelf + 4 * self.chance.below(8));
        let _infallible = match (place, result) {
            (Some(place), true) => writeln!(self.text, "(i32.store (i32.const {place}) {call})"),
            (None, true) => writeln!(self.text, "(drop {call})"),
            // A result: the first byte says whether it is an error.
            (Some(place), false) => writeln!(
                self.text,
                "{call} (if (i32.eqz (i32.load8_u (i32.const {ANSWER}))) (then (i32.store (i32.const {place}) \
                 (i32.load offset=8 (i32.const {ANSWER})))))"
            ),
            (None, false) => writeln!(self.text, "{call}"),
        };
    }

    fn exchanged(&mut self, operand: &str) -> String {
        if self.astray == 0 || self.chance.below(self.astray) != 0 {
            return operand.to_owned();
        }
        match self.chance.below(4) {
            0 => self.chance.below(16).to_string(),
            1 => (self.chance.next() as i32).to_string(),
            _ => {
                let shelf = SHELVES[self.chance.below(SHELVES.len())];
                format!("(call $pick (i32.const {shelf}) (i32.const {}))", self.chance.below(8))
            }
        }
    }

    /// Something with a handle from this shelf, where there is one.
    fn with_one(&mut self, shelf: usize, weave: impl FnOnce(&mut Self)) {
        let from = self.chance.below(8);
        let _infallible = writeln!(self.text, "(local.set $one (call $pick (i32.const {shelf}) (i32.const {from})))");
        self.text.push_str("(if (local.get $one) (then\n");
        weave(self);
        self.text.push_str("))\n");
    }

    fn give_back(&mut self, shelf: usize, name: &str) {
        self.with_one(shelf, |weaver| {
            let _infallible = writeln!(weaver.text, "(call $forget (i32.const {shelf}) (local.get $one))");
            weaver.call(name, &[one()], None);
        });
    }
}

fn one() -> String {
    "(local.get $one)".to_owned()
}

fn answer() -> String {
    format!("0x{ANSWER:x}")
}
