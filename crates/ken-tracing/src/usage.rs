//! Tokens and money of a generation.

use std::fmt::Write;

/// Tokens of a generation in disjoint buckets, as Langfuse counts them: no token is in two of them.
///
/// `OpenAI` counts cached tokens among the input and reasoning among the output; [`Usage::openai`] takes
/// them apart. Anthropic's fields are disjoint already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to a cache.
    pub input: u64,
    /// Output tokens without reasoning.
    pub output: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache.
    pub cache_write: u64,
    /// Output tokens of reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// Input and output alone.
    #[must_use]
    pub fn new(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// From inclusive counts: `cached` of the prompt's tokens and `reasoning` of the completion's.
    #[must_use]
    pub fn openai(prompt: u64, completion: u64, cached: u64, reasoning: u64) -> Self {
        let (cache_read, reasoning) = (cached.min(prompt), reasoning.min(completion));
        Self {
            input: prompt - cache_read,
            output: completion - reasoning,
            cache_read,
            cache_write: 0,
            reasoning,
        }
    }

    /// All buckets together.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.input, self.output, self.cache_read, self.cache_write, self.reasoning]
            .iter()
            .fold(0, |sum, bucket| sum.saturating_add(*bucket))
    }

    /// The JSON of `langfuse.observation.usage_details`, with Langfuse's names of the buckets.
    pub(crate) fn write(&self, out: &mut String) {
        let _infallible = write!(out, "{{\"input\":{},\"output\":{}", self.input, self.output);
        for (name, bucket) in [
            ("input_cached_tokens", self.cache_read),
            ("input_cache_creation", self.cache_write),
            ("output_reasoning_tokens", self.reasoning),
        ] {
            if bucket > 0 {
                let _infallible = write!(out, ",\"{name}\":{bucket}");
            }
        }
        let _infallible = write!(out, ",\"total\":{}}}", self.total());
    }
}

/// Dollars that a generation cost. With any of it given Langfuse computes nothing itself.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Dollars for the input.
    pub input: f64,
    /// Dollars for the output.
    pub output: f64,
    /// Dollars in all; at least what the others are together.
    pub total: f64,
}

impl Cost {
    /// A total without parts, in dollars.
    #[must_use]
    pub fn total(dollars: f64) -> Self {
        Self { total: dollars, ..Self::default() }
    }

    /// Input and output in dollars, and their sum.
    #[must_use]
    pub fn new(input: f64, output: f64) -> Self {
        Self { input, output, total: input + output }
    }

    /// Whether it is an amount of money at all.
    pub(crate) fn is_sound(&self) -> bool {
        [self.input, self.output, self.total].iter().all(|dollars| dollars.is_finite() && *dollars >= 0.0)
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push('{');
        for (name, dollars) in [("input", self.input), ("output", self.output)] {
            if dollars > 0.0 {
                let _infallible = write!(out, "\"{name}\":{dollars},");
            }
        }
        let _infallible = write!(out, "\"total\":{}}}", self.total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(write: impl Fn(&mut String)) -> serde_json::Value {
        let mut out = String::new();
        write(&mut out);
        serde_json::from_str(&out).unwrap()
    }

    #[test]
    fn buckets_are_disjoint() {
        let usage = Usage::openai(1_000, 300, 800, 120);
        let expected = serde_json::json!({ "input": 200, "output": 180, "input_cached_tokens": 800,
            "output_reasoning_tokens": 120, "total": 1_300 });
        assert_eq!(shown(|out| usage.write(out)), expected);
        assert_eq!(Usage::openai(5, 5, 9, 9).total(), 10, "nonsense does not wrap around");
    }

    #[test]
    fn cost_has_a_total() {
        assert_eq!(
            shown(|out| Cost::new(0.25, 0.5).write(out)),
            serde_json::json!({ "input": 0.25, "output": 0.5, "total": 0.75 })
        );
        assert_eq!(shown(|out| Cost::total(1.0).write(out)), serde_json::json!({ "total": 1 }));
        assert!(
            !Cost::total(f64::NAN).is_sound() && !Cost::total(-1.0).is_sound() && Cost::total(0.0).is_sound()
        );
    }
}
