//! Buckets of time, as ClickHouse's `toStartOf…` makes them, in UTC.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granularity {
    Minute,
    Hour,
    Day,
    /// From Monday.
    Week,
    Month,
}

impl Granularity {
    /// None for `auto`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            _ => return None,
        })
    }

    /// What `auto` means for a range.
    pub(super) fn for_range(from_ms: i64, to_ms: i64) -> Self {
        match to_ms.saturating_sub(from_ms) / HOUR {
            ..2 => Self::Minute,
            2..72 => Self::Hour,
            72..1_440 => Self::Day,
            1_440..8_760 => Self::Week,
            _ => Self::Month,
        }
    }

    /// The beginning of the bucket that holds this time, in milliseconds since 1970.
    pub(crate) fn start(self, ms: i64) -> i64 {
        match self {
            Self::Minute => ms.div_euclid(MINUTE) * MINUTE,
            Self::Hour => ms.div_euclid(HOUR) * HOUR,
            Self::Day => ms.div_euclid(DAY) * DAY,
            // 1970 began on a Thursday.
            Self::Week => {
                let day = ms.div_euclid(DAY);
                (day - (day + 3).rem_euclid(7)) * DAY
            }
            Self::Month => civil(ms).map_or(ms, |date| midnight(date.first_of_month(), ms)),
        }
    }

    /// The beginning of the bucket after the one that begins here.
    pub(super) fn next(self, start_ms: i64) -> i64 {
        match self {
            Self::Minute => start_ms + MINUTE,
            Self::Hour => start_ms + HOUR,
            Self::Day => start_ms + DAY,
            Self::Week => start_ms + 7 * DAY,
            // 32 days on is always within the next month.
            Self::Month => self.start(start_ms + 32 * DAY),
        }
    }

    /// As the answer gives it: a date, or a time for what is shorter than a day.
    pub(super) fn text(self, start_ms: i64) -> Option<String> {
        let time = Timestamp::from_millisecond(start_ms).ok()?;
        Some(match self {
            Self::Minute | Self::Hour => format!("{time:.0}"),
            Self::Day | Self::Week | Self::Month => time.to_zoned(TimeZone::UTC).date().to_string(),
        })
    }
}

fn civil(ms: i64) -> Option<Date> {
    Some(Timestamp::from_millisecond(ms).ok()?.to_zoned(TimeZone::UTC).date())
}

fn midnight(date: Date, otherwise: i64) -> i64 {
    date.to_zoned(TimeZone::UTC).map_or(otherwise, |it| it.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn buckets_begin_where_clickhouse_begins_them() {
        let time = ms("2026-11-22T23:59:59.999Z"); // a Sunday
        for (granularity, start, next) in [
            (Granularity::Minute, "2026-11-22T23:59:00Z", "2026-11-23T00:00:00Z"),
            (Granularity::Hour, "2026-11-22T23:00:00Z", "2026-11-23T00:00:00Z"),
            (Granularity::Day, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
            (Granularity::Week, "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            (Granularity::Month, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ] {
            assert_eq!(granularity.start(time), ms(start), "{granularity:?}");
            assert_eq!(granularity.next(ms(start)), ms(next), "{granularity:?}");
        }
        assert_eq!(Granularity::Week.start(ms("1969-12-31T00:00:00Z")), ms("1969-12-29T00:00:00Z"));
    }
}
