//! Usage and cost.

use serde_json::{Map, Value};

use crate::observation::js_number;

use super::attributes::Attributes;

/// Usage by bucket, `total` filled in.
pub(super) fn usage(span: &Attributes) -> Map<String, Value> {
    let mut usage = match span.filled("langfuse.observation.usage_details") {
        Some(Value::String(text)) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(given)) => from_details(&given),
            Ok(_) => Map::new(),
            Err(_) => from_gen_ai(span),
        },
        Some(_) => Map::new(),
        None => from_gen_ai(span),
    };
    if !usage.is_empty() && !usage.contains_key("total") {
        let total: f64 = usage.values().filter_map(Value::as_f64).sum();
        usage.insert("total".to_owned(), js_number(total));
    }
    usage
}

/// Cost by bucket. `total` is filled in only when nothing but input and output was given.
pub(super) fn cost(span: &Attributes) -> Map<String, Value> {
    let given = match span.filled("langfuse.observation.cost_details").and_then(Value::as_str) {
        Some(text) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(given)) => Some(given),
            _ => None,
        },
        None => None,
    };
    if let Some(given) = given {
        let mut cost: Map<String, Value> = given
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), js_number(decimal(number(value)?)))))
            .collect();
        let plain = cost.keys().all(|key| key == "input" || key == "output");
        if plain && !cost.is_empty() {
            let total: f64 = given.values().filter_map(number).sum();
            cost.insert("total".to_owned(), js_number(decimal(total)));
        }
        return cost;
    }
    let total = ["gen_ai.usage.cost", "llm.cost.total"].iter().find_map(|key| number(span.filled(key)?));
    total.map(|total| ("total".to_owned(), js_number(decimal(total)))).into_iter().collect()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

/// A count: whole and not negative, as a number or its text.
fn count(value: &Value) -> Option<f64> {
    number(value).filter(|number| *number >= 0.0 && number.fract() == 0.0)
}

/// Costs are stored with twelve decimals, further ones are cut off rather than rounded.
pub(super) fn decimal(number: f64) -> f64 {
    let mut text = format!("{number}");
    if let Some(point) = text.find('.') {
        text.truncate(text.len().min(point + 13));
    }
    text.parse().unwrap_or(number)
}

fn from_details(given: &Map<String, Value>) -> Map<String, Value> {
    openai(given, "prompt_tokens", "completion_tokens")
        .or_else(|| openai(given, "input_tokens", "output_tokens"))
        .unwrap_or_else(|| {
            given.iter().filter_map(|(key, value)| Some((key.clone(), js_number(count(value)?)))).collect()
        })
}

/// The two shapes of OpenAI, when nothing else is in the object: details are taken out of the sums.
fn openai(given: &Map<String, Value>, input: &str, output: &str) -> Option<Map<String, Value>> {
    let input_details = format!("{input}_details");
    let output_details = format!("{output}_details");
    let known = [input, output, "total_tokens", &input_details, &output_details];
    if !given.keys().all(|key| known.contains(&key.as_str())) {
        return None;
    }
    let mut buckets = Buckets {
        input: count(given.get(input)?)?,
        output: count(given.get(output)?)?,
        ..Buckets::default()
    };
    for (name, details) in [("input", given.get(&input_details)), ("output", given.get(&output_details))] {
        for (key, value) in details.and_then(Value::as_object).into_iter().flatten() {
            if let Some(value) = count(value) {
                buckets.take_out(name, format!("{name}_{key}"), value);
            }
        }
    }
    buckets.total = given.get("total_tokens").and_then(count);
    Some(buckets.into_map(true, true))
}

#[derive(Default)]
struct Buckets {
    input: f64,
    output: f64,
    total: Option<f64>,
    details: Vec<(String, f64)>,
}

impl Buckets {
    fn take_out(&mut self, side: &str, bucket: String, value: f64) {
        let sum = if side == "input" { &mut self.input } else { &mut self.output };
        *sum = (*sum - value).max(0.0);
        self.details.push((bucket, value));
    }

    fn into_map(self, with_input: bool, with_output: bool) -> Map<String, Value> {
        let mut map = Map::new();
        if with_input {
            map.insert("input".to_owned(), js_number(self.input));
        }
        if with_output {
            map.insert("output".to_owned(), js_number(self.output));
        }
        if let Some(total) = self.total {
            map.insert("total".to_owned(), js_number(total));
        }
        map.extend(self.details.into_iter().map(|(bucket, value)| (bucket, js_number(value))));
        map
    }
}

const INPUT: [&str; 3] = ["prompt_tokens", "input_tokens", "prompt"];
const OUTPUT: [&str; 3] = ["completion_tokens", "output_tokens", "completion"];
const TOTAL: [&str; 2] = ["total_tokens", "total"];
const CACHE_READ: [&str; 6] = [
    "cache_read.input_tokens",
    "cache_read_input_tokens",
    "cache_read_tokens",
    "details.cache_read_input_tokens",
    "details.cache_read_tokens",
    "input_cached_tokens",
];
const CACHE_WRITE: [&str; 5] = [
    "cache_creation.input_tokens",
    "cache_creation_input_tokens",
    "cache_write_tokens",
    "details.cache_creation_input_tokens",
    "details.cache_write_tokens",
];
const REASONING: [&str; 3] = ["reasoning_tokens", "details.reasoning_tokens", "output_reasoning_tokens"];
const AUDIO: [&str; 3] = ["audio_tokens", "details.audio_tokens", "output_audio_tokens"];

/// The semantic conventions: here cached, reasoning and audio tokens are part of the sums.
fn from_gen_ai(span: &Attributes) -> Map<String, Value> {
    let find = |names: &[&str]| {
        names.iter().find_map(|name| {
            ["gen_ai.usage.", "llm.token_count."]
                .iter()
                .find_map(|prefix| count(span.get(&format!("{prefix}{name}"))?))
        })
    };
    if span.below("gen_ai.usage.").chain(span.below("llm.token_count.")).next().is_none() {
        return Map::new();
    }
    let (input, output) = (find(&INPUT), find(&OUTPUT));
    let mut buckets = Buckets {
        input: input.unwrap_or_default(),
        output: output.unwrap_or_default(),
        total: find(&TOTAL),
        details: Vec::new(),
    };
    for (side, bucket, names) in [
        ("input", "input_cached_tokens", &CACHE_READ[..]),
        ("input", "input_cache_creation", &CACHE_WRITE[..]),
        ("output", "output_reasoning_tokens", &REASONING[..]),
        ("output", "output_audio_tokens", &AUDIO[..]),
    ] {
        if let Some(value) = find(names) {
            buckets.take_out(side, bucket.to_owned(), value);
        }
    }
    buckets.into_map(input.is_some(), output.is_some())
}
