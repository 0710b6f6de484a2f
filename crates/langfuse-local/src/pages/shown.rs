//! How values look: texts from clients made harmless to the eye, numbers, times.
//!
//! The template engine escapes what would be markup. Here goes what would deceive a reader instead:
//! control characters and those that turn the direction of a line are shown as what they are.

use std::borrow::Cow;

use maud::{Markup, Render, html};

/// Characters of a name that are shown; the rest is in its tooltip.
const NAME: usize = 160;
/// Characters of a tooltip.
const TOOLTIP: usize = 2_000;

/// A short text of a client, in one line and with a direction of its own.
pub(super) struct Name<'a>(pub(super) &'a str);

impl Render for Name<'_> {
    fn render(&self) -> Markup {
        let text = line(self.0);
        match cut(&text, NAME) {
            Some(head) => html! { bdi title=(tooltip(&text)) { (head) "…" } },
            None => html! { bdi { (text) } },
        }
    }
}

/// A text for an attribute.
pub(super) fn tooltip(text: &str) -> String {
    let text = line(text);
    cut(&text, TOOLTIP).map_or_else(|| text.to_string(), |head| format!("{head}…"))
}

/// The first characters of a text when it has more.
pub(super) fn cut(text: &str, n_chars: usize) -> Option<&str> {
    text.char_indices().nth(n_chars).map(|(at, _)| &text[..at])
}

/// A text in one line.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    replaced(text, |c| match c {
        '\n' | '\r' | '\u{2028}' | '\u{2029}' => Some(Cow::Borrowed("⏎")),
        '\t' => Some(Cow::Borrowed(" ")),
        _ => named(c),
    })
}

/// A text with its lines.
pub(super) fn block(text: &str) -> Cow<'_, str> {
    replaced(text, |c| match c {
        '\n' | '\t' => None,
        _ => named(c),
    })
}

/// What a character that must not act is shown as.
fn named(c: char) -> Option<Cow<'static, str>> {
    let code = u32::from(c);
    match c {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + code).map(|it| Cow::Owned(it.to_string())),
        '\u{7f}' => Some(Cow::Borrowed("␡")),
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => Some(Cow::Owned(format!("⟨U+{code:04X}⟩"))),
        _ => None,
    }
}

fn replaced(text: &str, replace: impl Fn(char) -> Option<Cow<'static, str>>) -> Cow<'_, str> {
    let Some(first) = text.find(|c| replace(c).is_some()) else { return Cow::Borrowed(text) };
    let mut shown = String::with_capacity(text.len() + 8);
    shown.push_str(&text[..first]);
    for c in text[first..].chars() {
        match replace(c) {
            Some(other) => shown.push_str(&other),
            None => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// A moment, in UTC.
pub(super) struct Moment(pub(super) i64);

impl Render for Moment {
    fn render(&self) -> Markup {
        match crate::time::iso(self.0) {
            Some(iso) => html! {
                time datetime=(iso) title={ (iso) } { (iso[..10]) " " (iso[11..19]) }
            },
            None => html! { span title=(self.0) { "outside the calendar" } },
        }
    }
}

/// A duration with about three digits.
pub(super) fn duration(ms: f64) -> String {
    if ms.is_nan() {
        return "–".to_owned();
    }
    let whole = ms.max(0.0).round();
    let (seconds, minutes, hours) = (whole / 1e3, (whole / 6e4).floor(), (whole / 3.6e6).floor());
    match whole {
        _ if whole < 1e3 => format!("{whole} ms"),
        _ if whole < 1e4 => format!("{seconds:.2} s"),
        _ if whole < 6e4 => format!("{seconds:.1} s"),
        _ if whole < 3.6e6 => format!("{minutes} min {:.0} s", ((whole - minutes * 6e4) / 1e3).floor()),
        _ => format!("{hours} h {:.0} min", ((whole - hours * 3.6e6) / 6e4).floor()),
    }
}

/// US dollars: cents for large amounts, two digits at least for tiny ones, a dash for none.
pub(super) fn cost(dollars: f64) -> String {
    let size = dollars.abs();
    match size {
        _ if size == 0.0 || !size.is_finite() => "–".to_owned(),
        _ if size >= 100.0 => format!("${}", grouped(dollars.round())),
        _ if size >= 1.0 => format!("${dollars:.2}"),
        _ if size >= 0.001 => format!("${dollars:.4}"),
        _ => {
            let decimals = (1.0 - size.log10().floor()).clamp(2.0, 12.0) as usize;
            format!("${dollars:.decimals$}")
        }
    }
}

/// A number of things, a dash for none.
pub(super) fn count(number: f64) -> String {
    if number == 0.0 || !number.is_finite() { "–".to_owned() } else { grouped(number.round()) }
}

/// A whole number with its thousands apart.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = sign.to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in a readable unit.
pub(super) fn bytes(n_bytes: usize) -> String {
    let number = n_bytes as f64;
    match n_bytes {
        0..1_024 => format!("{n_bytes} bytes"),
        1_024..1_048_576 => format!("{:.1} KiB", number / 1024.0),
        _ => format!("{:.1} MiB", number / 1_048_576.0),
    }
}

/// `1 trace`, `2 traces`.
pub(super) fn plural(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(number as f64))
}

#[cfg(test)]
mod tests {
    use maud::Render;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_that_deceive_are_shown_as_what_they_are() {
        assert_eq!(line("a\u{202e}b\u{2066}c\u{200f}"), "a⟨U+202E⟩b⟨U+2066⟩c⟨U+200F⟩");
        assert_eq!(line("a\r\nb\tc\0\u{1b}[31m\u{7f}\u{85}"), "a⏎⏎b c␀␛[31m␡⟨U+0085⟩");
        assert_eq!(block("a\n\tb\u{202d}\u{feff}"), "a\n\tb⟨U+202D⟩⟨U+FEFF⟩");
        assert!(matches!(line("ein größeres Maß 東京 👩‍💻"), Cow::Borrowed(_)));
    }

    #[test]
    fn numbers_are_short_and_keep_their_size() {
        let durations = [(0.0, "0 ms"), (999.4, "999 ms"), (999.6, "1.00 s"), (1_999.5, "2.00 s")];
        let longer = [(12_345.0, "12.3 s"), (61_000.0, "1 min 1 s"), (7_260_000.0, "2 h 1 min")];
        for (ms, expected) in durations.into_iter().chain(longer) {
            assert_eq!(duration(ms), expected);
        }
        let costs = [(0.0, "–"), (0.000_012_3, "$0.000012"), (0.0123, "$0.0123"), (1.5, "$1.50")];
        for (dollars, expected) in costs.into_iter().chain([(1234.5, "$1,235"), (f64::NAN, "–")]) {
            assert_eq!(cost(dollars), expected);
        }
        assert_eq!((count(1_234_567.0), count(0.0)), ("1,234,567".to_owned(), "–".to_owned()));
        assert_eq!((grouped(-1234.0), grouped(999.0)), ("-1,234".to_owned(), "999".to_owned()));
        assert_eq!((bytes(12), bytes(2_048)), ("12 bytes".to_owned(), "2.0 KiB".to_owned()));
        assert_eq!(Moment(i64::MAX).render().into_string().matches("outside the calendar").count(), 1);
    }

    proptest! {
        #[test]
        fn a_name_is_one_element_with_text_whatever_it_holds(text in ".{0,200}", tail in "[<>&\"'\u{202e}\0]{0,8}") {
            let text = text + &tail;
            let shown = Name(&text).render().into_string();
            let inner = shown.strip_prefix("<bdi").and_then(|rest| rest.strip_suffix("</bdi>")).unwrap();
            let inner = inner.strip_prefix(" title=\"").map_or(inner, |rest| rest.split_once('"').unwrap().1);
            let inner = inner.strip_prefix('>').unwrap();
            prop_assert!(!inner.contains(['<', '>', '"']), "{shown}");
            prop_assert!(!inner.contains(['\u{202e}', '\0', '\n', '\u{1b}']), "{shown}");
            let read = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
            let whole = line(&text);
            prop_assert_eq!(read, cut(&whole, NAME).map_or(whole.to_string(), |head| format!("{head}…")));
        }
    }
}
