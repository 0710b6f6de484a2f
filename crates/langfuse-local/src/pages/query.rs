//! Addresses: reading their parameters and writing new ones.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use url::form_urlencoded;

/// The parameters of an address. Blanks around a value and empty values do not count.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .map(|(key, value)| (key.into_owned(), value.trim().to_owned()))
            .filter(|(_, value)| !value.is_empty());
        Self(pairs.collect())
    }

    /// The first value of that name, empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The values of these names, as far as they are there.
    pub(super) fn only<'a>(&'a self, names: &[&'a str]) -> Vec<(&'a str, &'a str)> {
        names.iter().map(|name| (*name, self.get(name))).filter(|(_, value)| !value.is_empty()).collect()
    }

    /// A time, or what is wrong with it. One without a zone is in UTC.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, String> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(None);
        }
        let time = text
            .parse::<Timestamp>()
            .ok()
            .or_else(|| Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()));
        match time {
            Some(time) => Ok(Some(time.as_millisecond())),
            None => Err(format!("“{name}” is no time: write it as 2026-11-20T10:00, in UTC.")),
        }
    }

    /// A time as a form field takes it again; empty when it is none.
    pub(super) fn time_field(&self, name: &str) -> String {
        self.time(name).ok().flatten().map_or_else(String::new, field_time)
    }
}

/// A time as a form field holds it.
pub(super) fn field_time(ms: i64) -> String {
    crate::time::iso(ms).map_or_else(String::new, |iso| iso[..19].to_owned())
}

/// A path with parameters.
pub(super) fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return path.to_owned();
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{path}?{query}")
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let segment: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    // Dots alone would be taken for a way up.
    match segment.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => segment.replace('+', "%20"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_any_text() {
        assert_eq!(address("/traces", &[]), "/traces");
        assert_eq!(address("/traces", &[("q", "a&b=\"<ö ")]), "/traces?q=a%26b%3D%22%3C%C3%B6+");
        assert_eq!(segment("a/b c+d?\"<é"), "a%2Fb%20c%2Bd%3F%22%3C%C3%A9");
        assert_eq!((segment(".."), segment("a..b")), ("%2E%2E".to_owned(), "a..b".to_owned()));
    }

    #[test]
    fn parameters() {
        let query = Query::parse(Some(
            "q=+a+&name=&q=b&bad=%FF&from=2026-11-20T10:00&to=2026-11-20T12:00:00%2B01:00",
        ));
        assert_eq!((query.get("q"), query.get("name"), query.get("bad")), ("a", "", "\u{fffd}"));
        assert_eq!(query.only(&["name", "q"]), [("q", "a")]);
        assert_eq!(query.time("from"), Ok(Some(1_795_168_800_000)));
        assert_eq!(query.time("to"), Ok(Some(1_795_172_400_000)));
        assert_eq!(query.time("none"), Ok(None));
        assert_eq!(
            (query.time_field("to").as_str(), query.time_field("q").as_str()),
            ("2026-11-20T11:00:00", "")
        );
        assert!(Query::parse(Some("from=yesterday")).time("from").unwrap_err().contains("2026-11-20T10:00"));
        assert_eq!(field_time(1_795_168_800_999), "2026-11-20T10:00:00");
    }
}
