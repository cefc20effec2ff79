//! The calendar behind the development third party: a list of events per user, in the shape of Google's API.

use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Per user, in the order in which they were made.
pub(super) struct Calendars(HashMap<&'static str, Vec<Value>>);

/// Per user; a runaway agent does not eat the machine.
const MAX_EVENTS: usize = 1000;

impl Calendars {
    /// Each user has something of their own today, so that one is told from the other.
    pub(super) fn new(today: Timestamp) -> Self {
        let date = today.to_string().chars().take(10).collect::<String>();
        let event = |user: &str, at: u8, what: &str| {
            json!({
                "id": format!("{user}-{at}"), "summary": what, "organizer": { "email": format!("{user}@dev.test") },
                "start": { "dateTime": format!("{date}T{at:02}:00:00Z") },
                "end": { "dateTime": format!("{date}T{:02}:00:00Z", at + 1) },
            })
        };
        Self(HashMap::from([
            ("alice", vec![event("alice", 9, "Alice's stand-up"), event("alice", 13, "Alice at the dentist")]),
            ("bob", vec![event("bob", 10, "Bob's review")]),
        ]))
    }

    /// Those that touch the time between, where it is given.
    pub(super) fn list(&self, user: &str, from: Option<&str>, until: Option<&str>) -> Value {
        let [from, until] = [from, until].map(|bound| bound.and_then(|text| text.parse::<Timestamp>().ok()));
        let moment = |event: &Value, which: &str| event[which]["dateTime"].as_str()?.parse::<Timestamp>().ok();
        let touches = |event: &&Value| {
            from.is_none_or(|from| moment(event, "end").is_none_or(|end| end > from))
                && until.is_none_or(|until| moment(event, "start").is_none_or(|start| start < until))
        };
        let items: Vec<&Value> = self.0.get(user).map_or(&[][..], Vec::as_slice).iter().filter(touches).collect();
        json!({ "kind": "calendar#events", "summary": format!("{user}@dev.test"), "items": items })
    }

    /// Adds one and answers it with its id.
    pub(super) fn add(&mut self, user: &'static str, mut event: Value) -> Result<Value, &'static str> {
        let Some(members) = event.as_object_mut() else { return Err("an event is a JSON object") };
        for which in ["start", "end"] {
            let given = members.get(which).and_then(|at| at["dateTime"].as_str()).map(str::parse::<Timestamp>);
            if !matches!(given, Some(Ok(_))) {
                return Err("an event has `start` and `end`, each with a `dateTime` such as 2026-11-24T09:00:00Z");
            }
        }
        let events = self.0.entry(user).or_default();
        if events.len() >= MAX_EVENTS {
            return Err("this calendar is full");
        }
        members.insert("id".into(), format!("{user}-new-{}", events.len()).into());
        events.push(event.clone());
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_events_of_their_own() {
        let mut calendars = Calendars::new("2026-11-24T08:00:00Z".parse().unwrap());
        let event = json!({ "summary": "x", "start": { "dateTime": "2026-11-25T09:00:00Z" }, "end": { "dateTime": "2026-11-25T10:00:00Z" } });
        assert_eq!(calendars.add("bob", event).unwrap()["id"], "bob-new-1");
        let count = |user, from| calendars.list(user, from, None)["items"].as_array().unwrap().len();
        assert_eq!((count("alice", None), count("bob", None)), (2, 2));
        assert_eq!((count("alice", Some("2026-11-24T12:00:00Z")), count("bob", Some("2026-11-25T00:00:00Z"))), (1, 1));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let mut calendars = Calendars::new("2026-11-24T08:00:00Z".parse().unwrap());
        for bad in [
            json!([]),
            json!({}),
            json!({ "start": { "dateTime": "soon" }, "end": { "dateTime": "2026-11-25T10:00:00Z" } }),
        ] {
            assert!(calendars.add("bob", bad).is_err());
        }
    }
}
