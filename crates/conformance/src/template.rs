//! The form of a value that differs from server to server: fixed text around named places.

use crate::names::Names;

/// Whether `text` has the form of `template`, such as `00-{hex32}-{hex16}-{hex2}`.
///
/// A place takes as much as it can; no template needs more than that.
pub(crate) fn matches(template: &str, text: &str, names: &Names) -> bool {
    let Some((literal, rest)) = template.split_once('{') else { return template == text };
    let Some((token, rest)) = rest.split_once('}') else { return false };
    let Some(text) = text.strip_prefix(literal) else { return false };
    let Some(taken) = take(token, text, names) else { return false };
    matches(rest, &text[taken..], names)
}

/// How many bytes of `text` the place takes.
fn take(token: &str, text: &str, names: &Names) -> Option<usize> {
    if let Some(name) = names.get(token) {
        return text.starts_with(name).then_some(name.len());
    }
    let run = |accept: fn(&u8) -> bool| text.bytes().take_while(accept).count();
    let word = run(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    let exactly = |length: usize, found: usize| (found >= length).then_some(length);
    match token {
        "any" => Some(text.len()),
        // Of an object in a bucket: whole folders before the one that Langfuse itself names.
        "prefix" => text.find("otel/").filter(|at| *at == 0 || text.as_bytes()[at - 1] == b'/'),
        "digits" => Some(run(u8::is_ascii_digit)).filter(|length| *length > 0),
        "millis" => exactly(13, run(u8::is_ascii_digit)),
        "word" => Some(word).filter(|length| *length > 0),
        "time" => text.get(..24).filter(|text| is_time(text)).map(str::len),
        "uuid" => text.get(..36).filter(|text| is_uuid(text)).map(str::len),
        "cuid" => text.get(..25).filter(|text| is_cuid(text)).map(str::len),
        "hex2" => exactly(2, run(is_hex)),
        "hex16" => exactly(16, run(is_hex)),
        "hex32" => exactly(32, run(is_hex)),
        _ => None,
    }
}

fn is_hex(byte: &u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(byte)
}

/// As JavaScript's `toISOString` writes it, to the millisecond.
fn is_time(text: &str) -> bool {
    let form = text.bytes().zip(*b"0000-00-00T00:00:00.000Z");
    text.len() == 24
        && form
            .into_iter()
            .all(|(byte, form)| if form == b'0' { byte.is_ascii_digit() } else { byte == form })
        && text.parse::<jiff::Timestamp>().is_ok()
}

fn is_uuid(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if dashes.contains(&at) { byte == b'-' } else { is_hex(&byte) })
}

fn is_cuid(text: &str) -> bool {
    text.len() == 25
        && text.starts_with('c')
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Identity;

    #[test]
    fn forms_are_told_from_near_misses() {
        let names = Names::of(Identity::recorded());
        let cases = [
            ("{time}", "2026-11-24T00:28:11.945Z", "2026-11-24T00:28:11Z"),
            ("{time}", "2026-11-24T00:28:11.945Z", "2026-13-24T00:28:11.945Z"),
            ("{time}", "2026-11-24T00:28:11.945Z", "2026-11-24T00:28:11.945Z "),
            ("{uuid}", "d3fdce76-1ba0-473e-a9ab-d5e2e634754d", "d3fdce76-1ba0-473e-a9ab-d5e2e634754D"),
            ("{cuid}", "cmwtyhzw100035g7db0iekkrw", "mcwtyhzw100035g7db0iekkrw"),
            ("00-{hex2}", "00-01", "00-0x"),
            ("{digits}", "7", ""),
            ("{millis}", "1795480091945", "1795480091"),
            ("id={word}", "id=a-b_1", "id="),
            ("{prefix}otel/{digits}", "a/b/otel/11", "hotel/11"),
            ("{prefix}otel/{digits}", "otel/11", "a/b/11"),
            ("events/{project}/{digits}.json", "events/my-project/11.json", "events/other/11.json"),
            ("<!DOCTYPE html>{any}", "<!DOCTYPE html>", "<html>"),
            ("plain", "plain", "plainer"),
            ("{unknown}", "{digits", "x"),
        ];
        for (template, good, bad) in cases {
            assert_eq!(matches(template, good, &names), template != "{unknown}", "{template} {good}");
            assert!(!matches(template, bad, &names), "{template} {bad}");
        }
    }
}
