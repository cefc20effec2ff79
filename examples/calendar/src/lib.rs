//! Puts a meeting into its user's calendar, at the wanted time or as soon after it as the calendar is free.
//!
//! It reads and writes the calendar of whoever invoked it. It cannot name another user, and it never sees a token.

mod slot;

use attache_guest::{Error, Json, credentials, http};
use serde::{Deserialize, Serialize};
use slot::Slot;

/// A meeting to arrange. Times are RFC 3339, such as `2026-11-24T09:00:00Z`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    title: String,
    start: String,
    end: String,
    /// Agents have no environment, so what differs between installations comes with the request.
    #[serde(default = "google")]
    api: String,
    #[serde(default = "google_calendar")]
    provider: String,
    /// None asks for what the operator bound to this agent.
    #[serde(default)]
    scopes: Vec<String>,
}

fn google() -> String {
    "https://www.googleapis.com".into()
}

fn google_calendar() -> String {
    "google-calendar".into()
}

#[derive(Serialize)]
struct Answer {
    /// As it stands in the calendar now.
    scheduled: Event,
    /// How many events there were on that day.
    events_seen: usize,
}

/// An event as Google's calendar API writes it.
#[derive(Deserialize, Serialize)]
struct Event {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default)]
    summary: String,
    start: Moment,
    end: Moment,
}

#[derive(Deserialize, Serialize)]
struct Moment {
    #[serde(rename = "dateTime")]
    date_time: String,
}

#[derive(Deserialize)]
struct Events {
    items: Vec<Event>,
}

fn handle(Json(ask): Json<Ask>) -> Result<Json<Answer>, Error> {
    let wanted = Slot::parse(&ask.start, &ask.end).map_err(Error::BadRequest)?;
    let scopes: Vec<&str> = ask.scopes.iter().map(String::as_str).collect();
    let calendar = credentials::oauth2(&ask.provider, &scopes)?;
    let url = format!("{}/calendar/v3/calendars/primary/events", ask.api.trim_end_matches('/'));

    let day = wanted.day();
    let events: Events = http::get(&url)
        .query("timeMin", &day.start())
        .query("timeMax", &day.end())
        .query("singleEvents", "true")
        .credential(&calendar)
        .send()?
        .success()?
        .json()?;
    let busy: Vec<Slot> = events
        .items
        .iter()
        .map(|event| Slot::parse(&event.start.date_time, &event.end.date_time))
        .collect::<Result<_, _>>()
        .map_err(Error::Unreadable)?;

    let free = wanted.moved_past(busy);
    let meeting = Event {
        id: None,
        summary: ask.title,
        start: Moment { date_time: free.start() },
        end: Moment { date_time: free.end() },
    };
    let scheduled = http::post(&url).json(&meeting).credential(&calendar).send()?.success()?.json()?;
    Ok(Json(Answer { scheduled, events_seen: events.items.len() }))
}

attache_guest::agent!(handle);

// What `attache vet` shows to whoever lists or deploys it.
attache_guest::manifest!(
    r#"{
        "providers": [
            { "name": "google-calendar", "scopes": ["https://www.googleapis.com/auth/calendar.events"], "flow": "user-federation" }
        ],
        "hosts": ["www.googleapis.com"]
    }"#
);
