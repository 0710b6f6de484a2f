//! A labelled corpus, made by a generator: secrets of every class in the places where they are met, and hard
//! negatives that look like them.
//!
//! Nothing in it is real; keys are put together here from parts, so that nobody takes them for real ones.

use ken_tracing::redact::Class;

/// A text and what of it must not leave.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// What kind of text it is.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    /// The secrets in it as they stand there, with their class.
    pub(crate) secrets: Vec<(Class, String)>,
}

/// A sequence of numbers that looks random and is always the same.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(crate) fn text(&mut self, alphabet: &str, length: usize) -> String {
        let bytes = alphabet.as_bytes();
        (0..length).map(|_| bytes[self.below(bytes.len())] as char).collect()
    }
}

pub(crate) const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &str = "0123456789abcdef";
const DIGITS: &str = "0123456789";

/// A secret of a class, as it would stand in clear.
pub(crate) fn secret(class: Class, dice: &mut Dice) -> String {
    match class {
        Class::ApiKey => {
            let (prefix, alphabet, length) = dice.pick(&[
                ("sk-", ALNUM, 48),
                ("sk-proj-", URL, 64),
                ("sk-ant-api03-", URL, 80),
                ("sk-or-v1-", HEX, 64),
                ("sk-lf-", HEX, 36),
                ("sk_live_", ALNUM, 24),
                ("rk_live_", ALNUM, 24),
                ("whsec_", ALNUM, 32),
                ("ghp_", ALNUM, 36),
                ("github_pat_", ALNUM, 60),
                ("glpat-", URL, 20),
                ("xoxb-", "0123456789-", 24),
                ("AKIA", UPPER, 16),
                ("AIza", URL, 35),
                ("hf_", ALNUM, 34),
                ("npm_", ALNUM, 36),
                ("gsk_", ALNUM, 52),
                ("xai-", ALNUM, 60),
            ]);
            // The last one is a letter or digit, and there is a digit, as in real ones.
            format!("{prefix}{}7{}", dice.text(alphabet, length - 2), dice.text("ABCDEF234567", 1))
        }
        Class::AuthToken => dice.text(ALNUM, 32) + "7A",
        Class::Jwt => {
            let part = |dice: &mut Dice, length| dice.text(URL, length);
            let (head, body, tail) = (part(dice, 24), part(dice, 60), part(dice, 43));
            format!("eyJ{head}.eyJ{body}.{tail}")
        }
        Class::PrivateKey => {
            let kind = dice.pick(&["RSA ", "EC ", "OPENSSH ", ""]);
            let lines: Vec<String> = (0..4).map(|_| dice.text(ALNUM, 64)).collect();
            format!(
                "-----BEGIN {kind}PRIVATE KEY-----\n{}\n-----END {kind}PRIVATE KEY-----",
                lines.join("\n")
            )
        }
        Class::UrlPassword | Class::Keyed => {
            let length = 8 + dice.below(10);
            format!("{}9{}", dice.text(ALNUM, length), dice.text("abcdef", 1))
        }
        Class::Card => card(dice),
        Class::Email => format!(
            "{}.{}@{}.example.com",
            dice.text("abcdefgh", 5),
            dice.text("klmnop", 6),
            dice.text("abc", 4)
        ),
        Class::Phone => format!("+49 {} {}", 100 + dice.below(899), 1_000_000 + dice.below(8_999_999)),
        Class::Iban => iban(dice),
        Class::IpAddress => {
            format!("{}.{}.{}.{}", 1 + dice.below(223), dice.below(256), dice.below(256), 1 + dice.below(254))
        }
        _ => "custom-value".to_owned(),
    }
}

fn card(dice: &mut Dice) -> String {
    let prefix = dice.pick(&["4", "51", "55", "2223", "6011", "34", "37"]);
    let length = if prefix == "34" || prefix == "37" { 15 } else { 16 };
    let mut digits = format!("{prefix}{}", dice.text(DIGITS, length - 1 - prefix.len()));
    digits.push(check_digit(&digits));
    match (dice.below(3), length) {
        (1, 16) => groups(&digits, " "),
        (2, 16) => groups(&digits, "-"),
        _ => digits,
    }
}

fn groups(digits: &str, between: &str) -> String {
    digits
        .as_bytes()
        .chunks(4)
        .map(|four| String::from_utf8_lossy(four).into_owned())
        .collect::<Vec<_>>()
        .join(between)
}

fn check_digit(digits: &str) -> char {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0');
            if place % 2 == 1 { digit } else { digit * 2 - if digit > 4 { 9 } else { 0 } }
        })
        .sum();
    char::from_digit((10 - sum % 10) % 10, 10).unwrap_or('0')
}

fn iban(dice: &mut Dice) -> String {
    let account = dice.text(DIGITS, 18);
    let number = format!("{account}131400");
    let rest = number.bytes().fold(0_u32, |rest, byte| (rest * 10 + u32::from(byte - b'0')) % 97);
    let plain = format!("DE{:02}{account}", 98 - rest);
    if dice.below(2) == 0 { plain } else { groups(&plain, " ") }
}

const PROSE: [&str; 6] = [
    "Please look at the invoice and tell me what is wrong.",
    "The northern line carries four hundred thousand people a day.",
    "Der Zug nach Köln fährt um 10:15 Uhr ab, über Düsseldorf.",
    "東京は晴れ、最高気温は18度です。",
    "Restart the gateway, then check that the certificate was renewed.",
    "He said: take the second key, it opens the door of the basement.",
];

/// The places where a secret of a class is met. `{}` is the secret.
pub(crate) fn places(class: Class) -> &'static [&'static str] {
    match class {
        Class::ApiKey => &[
            "my key is {}, keep it safe",
            "OPENAI_API_KEY={}",
            "{\"args\":[\"--key\",\"{}\"]}",
            "{\"content\":\"the key: \\\"{}\\\"\"}",
            "https://api.example.com/v1/{}/models",
            "ключ {} готов",
            "curl -H 'x-thing: {}' https://example.com",
            "`{}`",
            "key\n{}\nend",
            "({})",
        ],
        Class::AuthToken => &[
            "Authorization: Bearer {}",
            "curl -H \"Authorization: Bearer {}\" https://example.com",
            "{\"headers\":{\"x\":\"Bearer {}\"}}",
            "authorization: Basic {}",
            "use bearer {} for this call",
        ],
        Class::Jwt => &[
            "token {} expired",
            "{\"id\":\"{}\"}",
            "cookie session={}; path=/",
            "?jwt={}&x=1",
            "{\\\"t\\\":\\\"{}\\\"}",
        ],
        Class::PrivateKey => &["here:\n{}\nthanks", "{}", "file = '''{}'''"],
        Class::UrlPassword => &[
            "postgres://ken:{}@db:5432/ken",
            "{\"url\":\"redis://default:{}@cache.internal:6379/0\"}",
            "git clone https://user:{}@git.example.com/a/b.git",
            "amqp://guest:{}@mq/",
        ],
        Class::Keyed => &[
            "{\"password\":\"{}\"}",
            "{\"user\":\"ada\",\"api_key\": \"{}\",\"n\":1}",
            "{\"outer\":{\"inner\":[{\"client_secret\":\"{}\"}]}}",
            "{\"arguments\":\"{\\\"password\\\":\\\"{}\\\"}\"}",
            "{\"a\":\"{\\\"b\\\":\\\"{\\\\\\\"access_token\\\\\\\":\\\\\\\"{}\\\\\\\"}\\\"}\"}",
            "{\"Authorization\":\"{}\"}",
            "{\"apiKey\":\"{}\"}",
            "{\"X-Api-Key\":\"{}\"}",
            "password={}&user=ada",
            "DB_PASSWORD={}",
            "password: {}",
            "{'secret': '{}'}",
            "api_key = \"{}\"",
            "{\"refreshToken\":\"{}\"}",
        ],
        Class::Card => {
            &["card {} please", "{\"number\":\"{}\"}", "{\"n\":{\"card\":[\"{}\"]}}", "pay with {}.", "№ {}"]
        }
        Class::Email => &["write to {} today", "{\"to\":\"{}\"}", "<{}>", "mailto:{}?subject=x"],
        Class::Phone => &["call {} now", "{\"phone\":\"{}\"}", "tel:{}"],
        Class::Iban => &["to {} please", "{\"iban\":\"{}\"}"],
        Class::IpAddress => &["from {} today", "{\"client\":\"{}\"}", "http://{}/x", "{}:8080"],
        _ => &["{}"],
    }
}

/// Texts that look like secrets and are none.
fn negative(dice: &mut Dice) -> (&'static str, String) {
    match dice.below(19) {
        0 => ("sha-256", format!("sha256:{}", dice.text(HEX, 64))),
        1 => ("commit", format!("commit {}", dice.text(HEX, 40))),
        2 => {
            let uuid = [8, 4, 4, 4, 12].map(|length| dice.text(HEX, length)).join("-");
            ("uuid", format!("{{\"id\":\"{uuid}\"}}"))
        }
        3 => ("order number", format!("{{\"order\":\"{}\"}}", dice.text(DIGITS, 12))),
        4 => ("time", format!("{{\"at\":{}}}", 1_795_168_800_000_u64 + dice.next() % 1_000_000)),
        5 => ("base64 image", format!("data:image/png;base64,iVBORw0KGgo{}", dice.text(ALNUM, 400))),
        6 => (
            "code",
            "let token = parser.next_token()?; if token == Token::End { return Ok(password_hash(input)); }"
                .to_owned(),
        ),
        7 => (
            "counts",
            format!(
                "{{\"max_tokens\":{},\"total_tokens\":{},\"tokens\":[1,2,3]}}",
                dice.below(9_999),
                dice.below(9_999)
            ),
        ),
        8 => (
            "prose on secrets",
            "The secret of the cake is butter; the token of his regard was a key. Password: ask the office."
                .to_owned(),
        ),
        9 => (
            "numbers",
            (0..20).map(|_| format!("{:.6}", dice.next() as f64 / 1e16)).collect::<Vec<_>>().join(","),
        ),
        10 => ("decimal", format!("{}.{}", dice.text(DIGITS, 3), dice.text(DIGITS, 17))),
        11 => {
            ("url", format!("https://example.com:8443/path/{}?page=2&sort=asc", dice.text("abcdefghij", 20)))
        }
        12 => (
            "hyphens",
            "sk-learn-contrib-is-a-python-package-for-machine-learning and task-based-approach-to-things"
                .to_owned(),
        ),
        13 => {
            ("snake case", format!("this_is_a_very_long_function_name_in_python_{}", dice.text("abcdef", 8)))
        }
        14 => (
            "placeholder",
            "export OPENAI_API_KEY=$OPENAI_API_KEY; password={{ vault.password }}; token=<your token>"
                .to_owned(),
        ),
        15 => ("wrong check digit", {
            let mut digits = format!("4{}", dice.text(DIGITS, 14));
            let right = check_digit(&digits);
            digits.push(if right == '9' { '0' } else { '9' });
            digits
        }),
        16 => (
            "basic english",
            "a basic understanding of the bearer of this letter; the Basic plan costs 12 euros".to_owned(),
        ),
        17 => {
            ("paging", format!("{{\"next_page_token\":\"{}\",\"nextToken\":null}}", dice.text("abcdef", 10)))
        }
        _ => (
            "certificate",
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", dice.text(ALNUM, 64)),
        ),
    }
}

/// So many samples of each class, and as many hard negatives in all.
pub(crate) fn corpus(n_each: usize) -> Vec<Sample> {
    let mut dice = Dice(17);
    let mut samples = Vec::new();
    for class in Class::ALL.into_iter().filter(|class| *class != Class::Custom) {
        for number in 0..n_each {
            let places = places(class);
            let secret = secret(class, &mut dice);
            let place = places[number % places.len()];
            // In JSON a line break is written with an escape.
            let standing =
                if place.contains('{') && place.contains('"') { secret.replace('\n', "\\n") } else { secret };
            let text = place.replacen("{}", &standing, 1);
            let (before, after) = (dice.pick(&PROSE), dice.pick(&PROSE));
            let is_json = place.starts_with('{') && place.len() > 2;
            let text = if is_json || dice.below(3) == 0 { text } else { format!("{before} {text} {after}") };
            samples.push(Sample { kind: class.name(), text, secrets: vec![(class, standing)] });
        }
    }
    for _ in 0..n_each * 11 {
        let (kind, text) = negative(&mut dice);
        samples.push(Sample { kind, text, secrets: Vec::new() });
    }
    samples
}

/// How a redactor did on a corpus.
#[derive(Debug, Default)]
pub(crate) struct Score {
    /// By class: secrets that left nothing behind, and all.
    pub(crate) recall: std::collections::BTreeMap<&'static str, (usize, usize)>,
    /// By kind of text: masks that stand for a secret, and all.
    pub(crate) precision: std::collections::BTreeMap<&'static str, (usize, usize)>,
    pub(crate) missed: Vec<String>,
    pub(crate) wrong: Vec<String>,
}

impl Score {
    pub(crate) fn of(samples: &[Sample], redact: impl Fn(&str) -> String) -> Self {
        let mut score = Self::default();
        for sample in samples {
            let out = redact(&sample.text);
            for (class, secret) in &sample.secrets {
                // A part of it that could still be used counts as missed.
                let core = &secret[secret.len() / 2..];
                let has_core = core.len() >= 6 && out.contains(core);
                let is_gone = !(has_core || out.contains(secret.as_str()));
                let entry = score.recall.entry(class.name()).or_default();
                entry.0 += usize::from(is_gone);
                entry.1 += 1;
                if !is_gone {
                    score.missed.push(format!("{}: {}", sample.kind, sample.text));
                }
            }
            let n_masks = out.matches("[redacted:").count();
            let n_right = n_masks.min(sample.secrets.len());
            let entry = score.precision.entry(sample.kind).or_default();
            entry.0 += n_right;
            entry.1 += n_masks;
            if n_masks > n_right {
                score.wrong.push(format!("{}: {} -> {out}", sample.kind, sample.text));
            }
        }
        score
    }

    /// The share of credentials that are gone.
    pub(crate) fn credentials(&self) -> f64 {
        let names: Vec<&str> =
            Class::ALL.into_iter().filter(|it| it.is_credential()).map(Class::name).collect();
        share(self.recall.iter().filter(|(name, _)| names.contains(name)).map(|(_, counts)| *counts))
    }

    /// The share of masks that stand for a secret.
    pub(crate) fn overall_precision(&self) -> f64 {
        share(self.precision.values().copied())
    }
}

pub(crate) fn share(counts: impl Iterator<Item = (usize, usize)>) -> f64 {
    let (right, all) = counts.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    if all == 0 { 1.0 } else { right as f64 / all as f64 }
}
