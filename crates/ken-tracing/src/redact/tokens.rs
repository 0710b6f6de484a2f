//! Secrets that are known by how they begin: API keys, JSON web tokens, tokens after `Bearer`.
//!
//! They are long runs of letters, digits, `-` and `_`, which prose hardly has. The scan looks at every
//! sixteenth byte and walks around it only where a run can be.

use super::found::Found;
use super::policy::Class;

/// No secret that is known by its beginning is shorter.
pub(super) const SHORTEST: usize = 16;

/// Letters, digits, `-` and `_`.
const IN_RUN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let it = byte as u8;
        table[byte] = it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
        byte += 1;
    }
    table
};

/// How a secret begins, and how many bytes of the run must follow.
const PREFIXES: [(&[u8], usize); 38] = [
    (b"sk-ant-", 20),
    (b"sk-proj-", 20),
    (b"sk-or-", 20),
    (b"sk-lf-", 16),
    (b"sk-", 16),
    (b"sk_live_", 16),
    (b"sk_test_", 16),
    (b"rk_live_", 16),
    (b"rk_test_", 16),
    (b"whsec_", 16),
    (b"ghp_", 30),
    (b"gho_", 30),
    (b"ghu_", 30),
    (b"ghs_", 30),
    (b"ghr_", 30),
    (b"github_pat_", 22),
    (b"glpat-", 16),
    (b"xoxb-", 12),
    (b"xoxp-", 12),
    (b"xoxa-", 12),
    (b"xoxr-", 12),
    (b"xoxs-", 12),
    (b"xapp-", 12),
    (b"AKIA", 16),
    (b"ASIA", 16),
    (b"AIza", 30),
    (b"GOCSPX-", 20),
    (b"hf_", 30),
    (b"npm_", 30),
    (b"pypi-", 30),
    (b"gsk_", 30),
    (b"xai-", 30),
    (b"r8_", 30),
    (b"pplx-", 30),
    (b"dop_v1_", 30),
    (b"shpat_", 30),
    (b"lin_api_", 30),
    (b"ntn_", 30),
];

/// Which bytes a prefix may begin with.
const BEGINS: [bool; 256] = {
    let mut table = [false; 256];
    let mut place = 0;
    while place < PREFIXES.len() {
        table[PREFIXES[place].0[0] as usize] = true;
        place += 1;
    }
    table[b'e' as usize] = true;
    table
};

pub(super) fn in_run(byte: u8) -> bool {
    IN_RUN[byte as usize]
}

/// Finds runs that are long enough, and looks into them.
pub(super) fn scan(text: &[u8], found: &mut Found) {
    let mut at = SHORTEST - 1;
    // Where the last run ended: nothing before it is looked at again.
    let mut floor = 0;
    while at < text.len() {
        if !in_run(text[at]) {
            at += SHORTEST;
            continue;
        }
        // On one side of it the run goes on for eight bytes at least.
        let is_in = |place: usize| text.get(place).is_some_and(|it| in_run(*it));
        let goes_back = is_in(at - 4) && is_in(at - 8) && is_in(at - 2);
        let goes_on = is_in(at + 4) && is_in(at + 8) && is_in(at + 2);
        if !(goes_back || goes_on) {
            at += SHORTEST;
            continue;
        }
        let mut start = at;
        while start > floor && in_run(text[start - 1]) {
            start -= 1;
        }
        // The byte that would make it long enough decides first.
        let last = start + SHORTEST - 1;
        if last < text.len() && in_run(text[last]) {
            let mut end = at + 1;
            while end < text.len() && in_run(text[end]) {
                end += 1;
            }
            if end - start >= SHORTEST {
                look(text, start, end, found);
            }
            floor = end;
            at = end + SHORTEST;
        } else {
            at = last.max(at + 1);
        }
    }
}

/// Looks into one run.
fn look(text: &[u8], start: usize, end: usize, found: &mut Found) {
    // After `Bearer ` any long token is one.
    if let Some(scheme) = scheme_before(text, start) {
        let end = token_end(text, start, end);
        if scheme == Scheme::Bearer || is_basic(&text[start..end]) {
            found.push(start, end, Class::AuthToken);
            return;
        }
    }
    let mut at = start;
    while at < end {
        let begins = at == start || !text[at - 1].is_ascii_alphanumeric();
        if begins && BEGINS[text[at] as usize] {
            if text[at..end].starts_with(b"eyJ")
                && let Some(jwt) = jwt_end(text, at, end)
            {
                found.push(at, jwt, Class::Jwt);
                return;
            }
            let known = PREFIXES.iter().find(|(prefix, _)| text[at..end].starts_with(prefix));
            if let Some((prefix, least)) = known
                && end - at >= prefix.len() + least
                && is_random(prefix, &text[at + prefix.len()..end])
            {
                found.push(at, end, Class::ApiKey);
                return;
            }
        }
        at += 1;
    }
}

/// Whether what follows a prefix can be a key: words with hyphens are none.
fn is_random(prefix: &[u8], rest: &[u8]) -> bool {
    if prefix == b"AKIA" || prefix == b"ASIA" {
        return rest.len() == 16 && rest.iter().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit());
    }
    let n_digits = rest.iter().filter(|it| it.is_ascii_digit()).count();
    let has_upper = rest.iter().any(u8::is_ascii_uppercase);
    let longest_word = rest.split(|it| !it.is_ascii_alphanumeric()).map(<[u8]>::len).max().unwrap_or(0);
    // A hyphenated phrase has neither digits nor capitals nor a long word.
    n_digits >= 1 && (longest_word >= 8 || has_upper || n_digits >= 4)
        || (has_upper && longest_word >= 12)
        || longest_word >= 24
}

#[derive(PartialEq, Eq)]
enum Scheme {
    Bearer,
    Basic,
}

/// The scheme of an `Authorization` header right before a token.
fn scheme_before(text: &[u8], start: usize) -> Option<Scheme> {
    let before = text[..start].strip_suffix(b" ")?;
    let ends = |word: &[u8]| {
        before.len() >= word.len() && before[before.len() - word.len()..].eq_ignore_ascii_case(word)
    };
    if ends(b"bearer") {
        return Some(Scheme::Bearer);
    }
    ends(b"basic").then_some(Scheme::Basic)
}

/// Tokens after a scheme may have `.`, `~`, `+`, `/` and `=` too.
pub(super) fn token_end(text: &[u8], start: usize, mut end: usize) -> usize {
    while end < text.len() && (in_run(text[end]) || matches!(text[end], b'.' | b'~' | b'+' | b'/' | b'=')) {
        end += 1;
    }
    // A full stop ends a sentence.
    while end > start && text[end - 1] == b'.' {
        end -= 1;
    }
    end
}

/// Whether it looks like base64, which "basic understanding" does not.
pub(super) fn is_basic(token: &[u8]) -> bool {
    token.iter().any(|it| it.is_ascii_digit() || it.is_ascii_uppercase() || *it == b'=')
}

/// The end of `header.payload.signature`, all in base64url.
fn jwt_end(text: &[u8], start: usize, first_end: usize) -> Option<usize> {
    let part = |from: usize| {
        let length = text.get(from..)?.iter().take_while(|it| in_run(**it)).count();
        Some(from + length)
    };
    if first_end - start < 10 || text.get(first_end) != Some(&b'.') {
        return None;
    }
    let second = part(first_end + 1)?;
    if second - first_end < 9 || text.get(second) != Some(&b'.') {
        return None;
    }
    // Without a signature it is still one: `alg` may be none.
    part(second + 1)
}
