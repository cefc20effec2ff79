//! A span of time, and where it fits.

use jiff::Timestamp;

const DAY: i64 = 24 * 60 * 60;

/// From one second to another, which is not part of it. Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    start: i64,
    end: i64,
}

impl Slot {
    /// Reads two RFC 3339 times. The error is a sentence.
    pub(crate) fn parse(start: &str, end: &str) -> Result<Slot, String> {
        let slot = Slot { start: second(start)?, end: second(end)? };
        if slot.start < slot.end { Ok(slot) } else { Err(format!("`{end}` is not after `{start}`")) }
    }

    /// The day (UTC) on which it starts.
    pub(crate) fn day(self) -> Slot {
        let start = self.start.div_euclid(DAY) * DAY;
        Slot { start, end: start + DAY }
    }

    /// As long as before, and later if it must be: free of all of `busy`.
    pub(crate) fn moved_past(self, mut busy: Vec<Slot>) -> Slot {
        busy.sort_unstable();
        busy.into_iter().fold(self, |free, taken| {
            if free.start < taken.end && taken.start < free.end {
                Slot { start: taken.end, end: taken.end + (free.end - free.start) }
            } else {
                free
            }
        })
    }

    pub(crate) fn start(self) -> String {
        text(self.start)
    }

    pub(crate) fn end(self) -> String {
        text(self.end)
    }
}

fn second(text: &str) -> Result<i64, String> {
    let time: Timestamp =
        text.parse().map_err(|_| format!("`{text}` is not a time; write it as in `2026-11-24T09:00:00Z`"))?;
    Ok(time.as_second())
}

fn text(second: i64) -> String {
    // A day past the last representable one is the only time that is not.
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(start: &str, end: &str) -> Slot {
        Slot::parse(&format!("2026-11-24T{start}:00Z"), &format!("2026-11-24T{end}:00Z")).unwrap()
    }

    fn check(wanted: Slot, busy: &[Slot], expect: Slot) {
        assert_eq!(wanted.moved_past(busy.to_vec()), expect);
    }

    #[test]
    fn a_meeting_is_moved_past_what_is_there() {
        let nine = slot("09:00", "10:00");
        check(nine, &[], nine);
        check(nine, &[slot("08:00", "09:00"), slot("10:00", "11:00")], nine);
        check(nine, &[slot("09:30", "09:45")], slot("09:45", "10:45"));
        check(nine, &[slot("10:30", "11:00"), slot("08:30", "09:45")], slot("11:00", "12:00"));
    }

    #[test]
    fn an_offset_is_understood() {
        let here = Slot::parse("2026-11-24T10:00:00+01:00", "2026-11-24T11:00:00+01:00").unwrap();
        assert_eq!(here, slot("09:00", "10:00"));
        assert_eq!(here.day().start(), "2026-11-24T00:00:00Z");
        assert_eq!(here.day().end(), "2026-11-25T00:00:00Z");
    }

    #[test]
    fn a_meeting_that_ends_before_it_starts_is_refused() {
        assert!(Slot::parse("2026-11-24T10:00:00Z", "2026-11-24T09:00:00Z").unwrap_err().contains("is not after"));
        assert!(Slot::parse("tomorrow", "2026-11-24T09:00:00Z").unwrap_err().contains("is not a time"));
    }
}
