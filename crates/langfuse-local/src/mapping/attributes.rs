//! Attributes as plain values, with the look-ups that the mapping is made of.

use serde_json::{Map, Value};

use crate::observation::js_number;
use crate::otlp::{AnyValue, Attribute};

use super::MappingError;

/// A list of attributes, keyed; of equal keys the last one counts, at the place of the first.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes(Vec<(String, Value)>);

impl Attributes {
    /// Fails like Langfuse's converter on an attribute that has no value message.
    pub(super) fn new(list: Vec<Attribute>) -> Result<Self, MappingError> {
        let mut plain: Vec<(String, Value)> = Vec::with_capacity(list.len());
        for Attribute { key, value } in list {
            let Some(value) = value else { return Err(MappingError::NoValue { key }) };
            let value = plain_value(value).ok_or_else(|| MappingError::NoValue { key: key.clone() })?;
            match plain.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = value,
                None => plain.push((key, value)),
            }
        }
        Ok(Self(plain))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The value unless it is empty: null, an empty string, `false` or zero is no source.
    pub(super) fn filled(&self, key: &str) -> Option<&Value> {
        self.get(key).filter(|value| match value {
            Value::Null => false,
            Value::Bool(truth) => *truth,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(_) | Value::Object(_) => true,
        })
    }

    /// The text of the first of these keys that is not empty.
    pub(super) fn first_text(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.filled(key)).map(text_of)
    }

    /// Everything below a dotted prefix, the prefix cut off.
    pub(super) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.iter().filter_map(move |(key, value)| {
            let rest = key.strip_prefix(prefix)?;
            (!rest.is_empty()).then_some((rest, value))
        })
    }

    pub(super) fn into_object(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }
}

/// A value's text: strings as they are, anything else as JSON.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `None` for a list with an entry that has no value message.
fn plain_value(value: AnyValue) -> Option<Value> {
    Some(match value {
        AnyValue::String(text) => Value::String(text),
        AnyValue::Bool(truth) => Value::Bool(truth),
        // JavaScript has no other integers: beyond 2^53 precision is lost.
        AnyValue::Int(number) => js_number(number as f64),
        AnyValue::Double(number) if number.is_finite() => js_number(number),
        AnyValue::Double(number) => Value::String(crate::otlp::non_finite(number).to_owned()),
        AnyValue::Array(items) => {
            Value::Array(items.into_iter().map(|item| plain_value(item?)).collect::<Option<Vec<_>>>()?)
        }
        AnyValue::Wrapped(wrapper) => Value::String(wrapper.to_string()),
    })
}
