//! Payment cards: thirteen digits and more, alone or in groups, with the right check digit.

use super::found::Found;
use super::policy::Class;

/// The fewest digits that are looked at.
const SHORTEST: usize = 14;
const LONGEST: usize = 19;

/// A digit, or a blank or hyphen between two digits.
fn in_number(text: &[u8], at: usize) -> bool {
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    match text[at] {
        b'0'..=b'9' => true,
        b' ' | b'-' => at > 0 && is_digit(at - 1) && is_digit(at + 1),
        _ => false,
    }
}

/// Finds numbers of cards. Every fourteenth byte is looked at: no card fits between two of them.
pub(super) fn cards(text: &[u8], found: &mut Found) {
    let mut at = SHORTEST - 1;
    let mut floor = 0;
    while at < text.len() {
        if !in_number(text, at) {
            at += SHORTEST;
            continue;
        }
        let mut start = at;
        while start > floor && in_number(text, start - 1) {
            start -= 1;
        }
        let last = start + SHORTEST - 1;
        if last >= text.len() || (last > at && !in_number(text, last)) {
            at = last.max(at + 1);
            continue;
        }
        let mut end = at + 1;
        while end < text.len() && in_number(text, end) {
            end += 1;
        }
        if end - start >= SHORTEST {
            look(text, start, end, found);
        }
        floor = end;
        at = end + SHORTEST;
    }
}

/// Looks at a run of digits, blanks and hyphens.
fn look(text: &[u8], start: usize, end: usize, found: &mut Found) {
    // Neither part of a decimal number nor of a word.
    let is_bound =
        |byte: Option<&u8>| byte.is_none_or(|it| !it.is_ascii_alphanumeric() && *it != b'.' && *it != b'_');
    let mut at = start;
    while at < end {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        // One separator between digits goes on, two end.
        let (mut stop, mut n_digits) = (at, 0);
        let mut groups: Vec<usize> = vec![0];
        while stop < end {
            if text[stop].is_ascii_digit() {
                n_digits += 1;
                if let Some(group) = groups.last_mut() {
                    *group += 1;
                }
                stop += 1;
            } else if stop + 1 < end && text[stop + 1].is_ascii_digit() {
                groups.push(0);
                stop += 1;
            } else {
                break;
            }
        }
        let before = at.checked_sub(1).and_then(|it| text.get(it));
        let after =
            text.get(stop).filter(|it| **it != b'.' || text.get(stop + 1).is_some_and(u8::is_ascii_digit));
        if n_digits >= SHORTEST && is_bound(before) && is_bound(after) {
            groups_of(text, at, &groups, found);
        }
        at = stop.max(at + 1);
    }
}

/// Cards among groups of digits with one separator between them, such as `12 4111 1111 1111 1111`.
fn groups_of(text: &[u8], start: usize, groups: &[usize], found: &mut Found) {
    let (mut first, mut begin) = (0, start);
    while first < groups.len() {
        let longest = (1..=5.min(groups.len() - first)).rev().find_map(|n_groups| {
            let these = &groups[first..first + n_groups];
            let n_digits: usize = these.iter().sum();
            if !(SHORTEST..=LONGEST).contains(&n_digits) || !are_groups(these) {
                return None;
            }
            let end = begin + n_digits + n_groups - 1;
            let digits: Vec<u8> =
                text[begin..end].iter().filter(|it| it.is_ascii_digit()).map(|it| it - b'0').collect();
            is_card(&digits).then_some((n_groups, end))
        });
        let n_passed = match longest {
            Some((n_groups, end)) => {
                found.push(begin, end, Class::Card);
                n_groups
            }
            None => 1,
        };
        begin += groups[first..first + n_passed].iter().sum::<usize>() + n_passed;
        first += n_passed;
    }
}

/// Groups as cards have them: all in one, fours with a rest, or 4-6-4 and 4-6-5.
fn are_groups(groups: &[usize]) -> bool {
    match groups {
        [_] | [4, 6, 4 | 5] => true,
        [firsts @ .., last] => firsts.iter().all(|it| *it == 4) && (1..=4).contains(last),
        [] => false,
    }
}

/// Whether an issuer has such numbers, and the check digit is right.
fn is_card(digits: &[u8]) -> bool {
    let prefix = |n: usize| digits.iter().take(n).fold(0_u32, |sum, it| sum * 10 + u32::from(*it));
    let is_issued = match digits.len() {
        14 => matches!(prefix(2), 30 | 36 | 38),
        15 => matches!(prefix(2), 34 | 37),
        16 => {
            digits[0] == 4
                || matches!(prefix(2), 51..=55 | 65)
                || matches!(prefix(4), 2221..=2720 | 3528..=3589 | 6011)
                || matches!(prefix(3), 644..=649)
        }
        18 | 19 => digits[0] == 4 || prefix(2) == 62,
        _ => false,
    };
    is_issued && luhn(digits) && digits.iter().any(|it| *it != digits[0])
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            if place % 2 == 0 { digit } else { digit * 2 - if digit > 4 { 9 } else { 0 } }
        })
        .sum();
    sum.is_multiple_of(10)
}
