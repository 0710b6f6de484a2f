//! Checks a JSON value against a schema of OpenAPI 3.0, as far as Langfuse's file uses it.
//!
//! Members that a schema does not name are allowed, as OpenAPI has it. A test makes sure that the file uses
//! no keyword that is unknown here.

use serde_json::Value;

use crate::compare::shortened;
use crate::openapi::Violation;
use crate::rules::pointer;

/// Keywords that say something about a value.
#[cfg(test)]
pub(super) const CHECKED: [&str; 13] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "const",
    "enum",
    "format",
    "items",
    "nullable",
    "oneOf",
    "properties",
    "required",
    "type",
    "discriminator",
];

/// Keywords for people.
#[cfg(test)]
pub(super) const FOR_PEOPLE: [&str; 4] = ["description", "title", "example", "default"];

pub(super) struct Checker<'d> {
    document: &'d Value,
    place: Vec<String>,
    pub(super) violations: Vec<Violation>,
}

impl<'d> Checker<'d> {
    pub(super) fn new(document: &'d Value) -> Self {
        Self { document, place: Vec::new(), violations: Vec::new() }
    }

    fn violate(&mut self, keyword: &'static str, expected: impl ToString, found: impl ToString) {
        let (expected, found) = (shortened(&expected.to_string()), shortened(&found.to_string()));
        self.violations.push(Violation { pointer: pointer(&self.place), keyword, expected, found });
    }

    pub(super) fn check(&mut self, schema: &Value, value: &Value) {
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if let Some(name) = schema["$ref"].as_str() {
            let document = self.document;
            match name.strip_prefix('#').and_then(|name| document.pointer(name)) {
                Some(target) => self.check(target, value),
                None => self.violate("$ref", name, "no such schema in the file"),
            }
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check(part, value);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let fits = choices.iter().filter(|choice| self.fits(choice, value)).count();
            if fits != 1 {
                self.violate("oneOf", "one of the schemas to fit", format!("{fits} fit {value}"));
            }
        }
        if let Some(expected) = schema["type"].as_str()
            && !is_of_type(expected, value)
        {
            // Nothing else can be said of it.
            return self.violate("type", expected, value);
        }
        if let Some(choices) = schema["enum"].as_array()
            && !choices.contains(value)
        {
            self.violate("enum", &schema["enum"], value);
        }
        if let Some(expected) = schema.get("const")
            && expected != value
        {
            self.violate("const", expected, value);
        }
        if schema["format"] == "date-time"
            && value.as_str().is_none_or(|text| text.parse::<jiff::Timestamp>().is_err())
        {
            self.violate("format", "date-time", value);
        }
        self.check_members(schema, value);
        if let (Some(items), Some(item_schema)) = (value.as_array(), schema.get("items")) {
            for (at, item) in items.iter().enumerate() {
                self.within(&at.to_string(), item_schema, item);
            }
        }
    }

    fn check_members(&mut self, schema: &Value, value: &Value) {
        let Some(object) = value.as_object() else { return };
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                self.place.push(name.to_owned());
                self.violate("required", "a member", "nothing");
                self.place.pop();
            }
        }
        for (name, member) in object {
            match (schema["properties"].get(name), schema.get("additionalProperties")) {
                (Some(member_schema), _) => self.within(name, member_schema, member),
                (None, Some(Value::Bool(false))) => {
                    self.place.push(name.clone());
                    self.violate("additionalProperties", "no such member", member);
                    self.place.pop();
                }
                (None, Some(rest @ Value::Object(_))) => self.within(name, rest, member),
                _ => {}
            }
        }
    }

    fn within(&mut self, part: &str, schema: &Value, value: &Value) {
        self.place.push(part.to_owned());
        self.check(schema, value);
        self.place.pop();
    }

    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let mut checker = Self::new(self.document);
        checker.check(schema, value);
        checker.violations.is_empty()
    }
}

fn is_of_type(expected: &str, value: &Value) -> bool {
    match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keywords(schema: &Value, value: &Value) -> Vec<(String, &'static str)> {
        let document = json!({ "named": { "type": "string", "enum": ["a", "b"] } });
        let mut checker = Checker::new(&document);
        checker.check(schema, value);
        checker.violations.into_iter().map(|violation| (violation.pointer, violation.keyword)).collect()
    }

    #[test]
    fn each_keyword_finds_its_fault() {
        let named = json!({ "$ref": "#/named" });
        let object = json!({
            "type": "object",
            "properties": { "id": named, "at": { "type": "string", "format": "date-time" } },
            "required": ["id"],
            "additionalProperties": { "type": "integer" },
        });
        let choice = json!({ "oneOf": [{ "type": "integer" }, { "type": "number" }, named] });
        let cases = [
            (&named, json!("a"), None),
            (&named, json!("c"), Some(("", "enum"))),
            (&named, json!(null), Some(("", "type"))),
            (&json!({ "$ref": "#/nobody" }), json!(1), Some(("", "$ref"))),
            (&json!({ "allOf": [named], "nullable": true }), json!(null), None),
            (&json!({ "allOf": [named], "nullable": true }), json!("c"), Some(("", "enum"))),
            (&object, json!({ "id": "a", "at": "2026-11-20T10:00:00.000Z", "n": 1.0 }), None),
            (&object, json!({ "n": 1 }), Some(("/id", "required"))),
            (&object, json!({ "id": "a", "n": 1.5 }), Some(("/n", "type"))),
            (&object, json!({ "id": "a", "at": "yesterday" }), Some(("/at", "format"))),
            (&object, json!([]), Some(("", "type"))),
            (&json!({ "items": named }), json!(["a", "b", "c"]), Some(("/2", "enum"))),
            (&json!({ "const": "x" }), json!("y"), Some(("", "const"))),
            (
                &json!({ "additionalProperties": false }),
                json!({ "x": 1 }),
                Some(("/x", "additionalProperties")),
            ),
            (&choice, json!(1.5), None),
            (&choice, json!("b"), None),
            (&choice, json!(1), Some(("", "oneOf"))),
            (&choice, json!("c"), Some(("", "oneOf"))),
            (&json!({}), json!({ "anything": [1] }), None),
        ];
        for (schema, value, expected) in cases {
            let expected: Vec<(String, &str)> =
                expected.into_iter().map(|(place, keyword): (&str, _)| (place.to_owned(), keyword)).collect();
            assert_eq!(keywords(schema, &value), expected, "{schema} {value}");
        }
    }
}
