//! Models and their prices: which one a name means, which tier holds, and what usage costs.
//!
//! The built-in list is `data/models.json`, price facts as Langfuse's public `models` route lists them;
//! another file of the same shape can take its place. A project's own models come before the built-in ones.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::observation::{Observation, js_number};

const BUILT_IN: &str = include_str!("../data/models.json");
/// Names whose model is remembered.
const MAX_KNOWN: usize = 10_000;
/// A pattern that would need more memory than this is refused.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// Decimal places that prices and costs are computed with.
const UNITS: f64 = 1e15;

/// Why a list of models cannot be used.
#[derive(Debug, Error)]
pub enum ModelsError {
    /// The file cannot be read.
    #[error("cannot read the model prices in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a list of models.
    #[error("{origin} is no list of models as GET /api/public/models gives it ({{\"data\": [...]}})")]
    Shape {
        /// Where it is from.
        origin: String,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// A model of the list cannot be used.
    #[error("{origin}: model {model}: {problem}")]
    Model {
        /// Where it is from.
        origin: String,
        /// Its name.
        model: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// One model with its prices.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) id: String,
    name: String,
    /// Compiled when a new name is looked for: two hundred compiled patterns take 20 MiB.
    pattern: String,
    start_date: String,
    tiers: Vec<Tier>,
    /// As the API shows it.
    pub(crate) shown: Value,
}

#[derive(Debug, Clone)]
struct Tier {
    id: String,
    name: String,
    is_default: bool,
    priority: u64,
    conditions: Vec<Condition>,
    prices: Map<String, Value>,
}

#[derive(Debug, Clone)]
enum Condition {
    Usage { pattern: Regex, operator: String, value: f64 },
    Given { source: String, key: String, values: Vec<Value> },
}

#[derive(Debug, Deserialize)]
struct File {
    data: Vec<Value>,
}

impl Model {
    /// Checks a model in the shape of the API.
    pub(crate) fn parse(shown: Value) -> Result<Self, String> {
        let text = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
        let need = |name: &str| text(&shown, name).ok_or_else(|| format!("{name} is not text"));
        let tiers = shown["pricingTiers"].as_array().cloned().unwrap_or_default();
        let mut tiers = tiers.iter().map(tier).collect::<Result<Vec<_>, _>>()?;
        tiers.sort_by_key(|tier| (tier.is_default, tier.priority));
        let match_pattern = need("matchPattern")?;
        pattern(&match_pattern, true)?;
        let start_date = text(&shown, "startDate").unwrap_or_default();
        Ok(Self {
            id: need("id")?,
            name: need("modelName")?,
            pattern: match_pattern,
            start_date,
            tiers,
            shown,
        })
    }

    /// The first tier whose conditions hold, in their order; the default one otherwise.
    fn tier(&self, row: &Observation) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.is_default || tier.conditions.iter().all(|it| it.holds(row)))
    }
}

/// Compiles a pattern of Postgres' kind, which may begin with `(?i)`.
pub(crate) fn pattern(text: &str, case_sensitive: bool) -> Result<Regex, String> {
    let built =
        RegexBuilder::new(text).case_insensitive(!case_sensitive).size_limit(MAX_PATTERN_BYTES).build();
    built.map_err(|error| format!("the pattern cannot be used: {error}").replace('\n', " "))
}

fn tier(value: &Value) -> Result<Tier, String> {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let conditions = value["conditions"].as_array().cloned().unwrap_or_default();
    let prices = value["prices"].as_object().cloned().unwrap_or_default();
    if let Some((key, _)) = prices.iter().find(|(_, price)| !price.as_f64().is_some_and(|it| it >= 0.0)) {
        return Err(format!("the price of {key} is no number from 0 up"));
    }
    Ok(Tier {
        id: text("id"),
        name: text("name"),
        is_default: value["isDefault"].as_bool().unwrap_or_default(),
        priority: value["priority"].as_u64().unwrap_or_default(),
        conditions: conditions.iter().map(condition).collect::<Result<_, _>>()?,
        prices,
    })
}

fn condition(value: &Value) -> Result<Condition, String> {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    if let Some(source) = value["source"].as_str() {
        let values = value["values"].as_array().cloned().unwrap_or_default();
        return Ok(Condition::Given { source: source.to_owned(), key: text("key"), values });
    }
    let operator = text("operator");
    if !["gt", "gte", "lt", "lte", "eq", "neq"].contains(&operator.as_str()) {
        return Err(format!("`{operator}` is no operator of a condition"));
    }
    Ok(Condition::Usage {
        pattern: pattern(&text("usageDetailPattern"), value["caseSensitive"].as_bool().unwrap_or_default())?,
        operator,
        value: value["value"].as_f64().ok_or("the value of a condition is no number")?,
    })
}

impl Condition {
    fn holds(&self, row: &Observation) -> bool {
        match self {
            Self::Usage { pattern, operator, value } => {
                let counted = row.usage.iter().filter(|(key, _)| pattern.is_match(key));
                let sum: f64 = counted.filter_map(|(_, count)| count.as_f64()).sum();
                match operator.as_str() {
                    "gt" => sum > *value,
                    "gte" => sum >= *value,
                    "lt" => sum < *value,
                    "lte" => sum <= *value,
                    "eq" => sum == *value,
                    _ => sum != *value,
                }
            }
            Self::Given { source, key, values } => {
                let from = if source == "metadata" { &row.metadata } else { &row.model_parameters };
                let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                from.get(key).is_some_and(|given| values.iter().any(|it| plain(it) == plain(given)))
            }
        }
    }
}

type Known = HashMap<(String, String), Option<Arc<Model>>>;

/// All models that are known.
#[derive(Debug)]
pub(crate) struct Catalog {
    managed: Vec<Arc<Model>>,
    /// By project.
    own: RwLock<HashMap<String, Vec<Arc<Model>>>>,
    known: RwLock<Known>,
}

impl Catalog {
    /// The built-in models, or those of another file.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, ModelsError> {
        let (text, origin) = match file {
            Some(path) => {
                let read = std::fs::read_to_string(path);
                let text = read.map_err(|source| ModelsError::Read { path: path.to_owned(), source })?;
                (text, path.display().to_string())
            }
            None => (BUILT_IN.to_owned(), "the built-in list".to_owned()),
        };
        let file: File = serde_json::from_str(&text)
            .map_err(|source| ModelsError::Shape { origin: origin.clone(), source })?;
        let mut managed = Vec::with_capacity(file.data.len());
        for value in file.data {
            let model = value["modelName"].as_str().unwrap_or("without a name").to_owned();
            let parsed = Model::parse(value);
            managed.push(Arc::new(parsed.map_err(|problem| ModelsError::Model {
                origin: origin.clone(),
                model,
                problem,
            })?));
        }
        managed.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Self { managed, own: RwLock::default(), known: RwLock::default() })
    }

    /// Takes a project's own models, instead of those it had.
    pub(crate) fn set_own(&self, project_id: &str, models: Vec<Model>) {
        let models = models.into_iter().map(Arc::new).collect();
        self.own.write().unwrap_or_else(PoisonError::into_inner).insert(project_id.to_owned(), models);
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// All models that a project sees, by name.
    pub(crate) fn all(&self, project_id: &str) -> Vec<Arc<Model>> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Arc<Model>> = own.get(project_id).cloned().unwrap_or_default();
        all.extend(self.managed.iter().cloned());
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    /// The model of an id.
    pub(crate) fn get(&self, project_id: &str, id: &str) -> Option<Arc<Model>> {
        self.all(project_id).into_iter().find(|model| model.id == id)
    }

    /// The model that a name means: a project's own before a built-in one, then the latest.
    fn find(&self, project_id: &str, name: &str) -> Option<Arc<Model>> {
        let key = (project_id.to_owned(), name.to_owned());
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let latest = |models: &[Arc<Model>]| {
            let matching =
                models.iter().filter(|model| pattern(&model.pattern, true).is_ok_and(|it| it.is_match(name)));
            matching.max_by(|left, right| left.start_date.cmp(&right.start_date)).cloned()
        };
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).get(project_id).cloned();
        let found = own.and_then(|own| latest(&own)).or_else(|| latest(&self.managed));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KNOWN {
            known.insert(key, found.clone());
        }
        found
    }

    /// Names the model of a row and, unless a cost was given, what its usage costs.
    pub(crate) fn price(&self, project_id: &str, row: &mut Observation) {
        if row.model.is_empty() {
            return;
        }
        let Some(model) = self.find(project_id, &row.model) else { return };
        row.model_id.clone_from(&model.id);
        if !row.cost.is_empty() || row.usage.is_empty() {
            return;
        }
        let Some(tier) = model.tier(row) else { return };
        let mut total = 0_i128;
        let mut cost = Map::new();
        for (key, count) in &row.usage {
            let (Some(price), Some(count)) = (tier.prices.get(key).and_then(Value::as_f64), count.as_f64())
            else {
                continue;
            };
            let units = (price * UNITS).round() as i128 * count.round() as i128;
            total = total.saturating_add(units);
            cost.insert(key.clone(), usd(units));
        }
        if cost.is_empty() {
            return;
        }
        if !cost.contains_key("total") {
            cost.insert("total".to_owned(), usd(total));
        }
        row.cost = cost;
        row.tier = Some((tier.id.clone(), tier.name.clone()));
    }
}

/// The nearest double of an exact amount.
fn usd(units: i128) -> Value {
    let whole = units / 1_000_000_000_000_000;
    let text = format!("{whole}.{:015}", units % 1_000_000_000_000_000);
    js_number(text.parse().unwrap_or_default())
}

/// A price as the API of observations shows it: with an exponent below a millionth, as decimals print there.
pub(crate) fn decimal_text(price: &Value) -> Option<String> {
    let price = price.as_f64()?;
    Some(if price != 0.0 && price < 1e-6 { format!("{price:e}") } else { format!("{price}") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(model: &str, usage: Value) -> Observation {
        let Value::Object(usage) = usage else { panic!("usage is an object") };
        Observation { model: model.to_owned(), usage, ..Observation::default() }
    }

    #[test]
    fn the_built_in_list_prices_known_models() {
        let catalog = Catalog::load(None).unwrap();
        let mut known = row("gpt-4o", json!({ "input": 3150, "output": 683, "total": 3833 }));
        catalog.price("p", &mut known);
        assert_eq!(
            Value::Object(known.cost),
            json!({ "input": 0.007875, "output": 0.00683, "total": 0.014705 })
        );
        assert_eq!(known.tier.unwrap().1, "Standard");
        let mut unknown = row("no-such-model", json!({ "input": 1 }));
        catalog.price("p", &mut unknown);
        assert!(unknown.cost.is_empty() && unknown.model_id.is_empty());
        let mut given = row("gpt-4o", json!({ "input": 1 }));
        given.cost.insert("total".to_owned(), json!(5));
        catalog.price("p", &mut given);
        assert_eq!(Value::Object(given.cost), json!({ "total": 5 }));
    }

    #[test]
    fn tiers_hold_by_their_conditions_and_own_models_come_first() {
        let catalog = Catalog::load(None).unwrap();
        let tier = |name: &str, is_default: bool, priority: u64, conditions: Value, price: f64| {
            json!({ "id": name, "name": name, "isDefault": is_default, "priority": priority,
                "conditions": conditions, "prices": { "input": price } })
        };
        let model = json!({ "id": "own", "modelName": "gpt-4o", "matchPattern": "(?i)^gpt-4o$", "startDate": null,
            "pricingTiers": [
                tier("standard", true, 0, json!([]), 1.0),
                tier("long", false, 2, json!([{ "usageDetailPattern": "^input", "operator": "gt", "value": 10 }]), 2.0),
                tier("fast", false, 1, json!([{ "source": "model_parameters", "key": "speed", "operator": "in",
                    "values": ["fast"] }]), 3.0),
            ] });
        catalog.set_own("p", vec![Model::parse(model).unwrap()]);
        for (count, speed, expected) in
            [(1, None, 1), (11, None, 22), (11, Some("fast"), 33), (2, Some("slow"), 2)]
        {
            let mut row = row("GPT-4o", json!({ "input": count }));
            row.model_parameters.extend(speed.map(|it| ("speed".to_owned(), json!(it))));
            catalog.price("p", &mut row);
            assert_eq!(
                (row.cost["total"].as_i64(), row.model_id.as_str()),
                (Some(expected), "own"),
                "{count} {speed:?}"
            );
        }
        let mut other = row("gpt-4o", json!({ "input": 1 }));
        catalog.price("another project", &mut other);
        assert_ne!(other.model_id, "own");
    }

    #[test]
    fn hostile_patterns_are_refused() {
        for text in ["(", "(a{1000}){1000}", "[z-a]", "(?<=x)y"] {
            assert!(pattern(text, true).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_cost_is_price_times_count(price in 0_u32..1_000_000, count in 0_u32..10_000_000) {
            let units = i128::from(price) * 1_000_000 * i128::from(count);
            let expected = f64::from(price) * f64::from(count) / 1e9;
            let found = usd(units).as_f64().unwrap();
            proptest::prop_assert!((found - expected).abs() <= expected * 1e-12);
        }
    }
}
