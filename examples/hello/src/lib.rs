//! The smallest agent: greets the user whom it serves.

use attache_guest::identity;

fn handle(_: ()) -> String {
    let agent = identity::workload().name;
    match identity::user() {
        Some(user) => format!("Hello, {}. I am `{agent}`.\n", user.subject),
        None => format!("Hello. I am `{agent}`, and I serve nobody in particular.\n"),
    }
}

attache_guest::agent!(handle);
