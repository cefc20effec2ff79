//! Durations and sizes as people write them: `"30s"`, `"64MiB"`.

use serde::{Deserialize, Deserializer, de::Error as _};
use std::time::Duration;

/// A length of time: a whole number and `ms`, `s`, `m` or `h`. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

/// A number of bytes: a whole number, or one followed by `KiB`, `MiB` or `GiB`. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// How many of something. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u32);

impl Size {
    /// As this machine counts bytes in memory.
    pub(super) fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Count {
    /// As this machine counts things in memory.
    pub(super) fn number(self) -> usize {
        self.0 as usize
    }
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.checked_mul(millis)?)))
    }
}

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let bytes = match unit {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        Some(Self(number.checked_mul(bytes)?))
    }
}

/// The number, above zero, and what follows it.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok().filter(|n| *n > 0)?, unit.trim_start()))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(from)?;
        value.as_str().and_then(Self::parse).ok_or_else(|| {
            D::Error::custom(format!(
                "`{value}` is no length of time; write one such as \"500ms\", \"30s\", \"5m\" or \"1h\""
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(from)?;
        let size = match &value {
            toml::Value::String(text) => Self::parse(text),
            toml::Value::Integer(bytes) => u64::try_from(*bytes).ok().filter(|n| *n > 0).map(Self),
            _ => None,
        };
        size.ok_or_else(|| {
            D::Error::custom(format!(
                "`{value}` is no size; write bytes such as 65536, or \"64KiB\", \"16MiB\" or \"1GiB\""
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(from)?;
        let count = value.as_integer().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
        count
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("`{value}` is no count; write a whole number from 1 on")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_people_write_them_and_nothing_else() {
        let span = |text| Span::parse(text).map(|s| s.0.as_millis());
        assert_eq!(span("500ms"), Some(500));
        assert_eq!(span("30 s"), Some(30_000));
        assert_eq!(span("2h"), Some(7_200_000));
        for bad in ["", "s", "0s", "-1s", "1.5s", "30", "1d", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(span(bad), None, "{bad}");
        }
        let size = |text| Size::parse(text).map(|s| s.0);
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("512"), Some(512));
        for bad in ["", "0", "64MB", "1.5MiB", "-5KiB", "18446744073709551615GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
