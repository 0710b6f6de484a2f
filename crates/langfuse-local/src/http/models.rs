//! Models and their prices: `GET` and `POST /models`, `GET` and `DELETE /models/{id}`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::models::{Model, pattern};
use crate::store::Document;
use crate::time::{iso, now_ms};

use super::paging::Paging;
use super::respond::{internal, json, message};
use super::{auth, body};

const MAX_BODY: usize = 1_048_576;
const UNITS: [&str; 6] = ["TOKENS", "CHARACTERS", "MILLISECONDS", "SECONDS", "REQUESTS", "IMAGES"];

pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    let paging = match Paging::parse(query.as_deref().unwrap_or_default()) {
        Ok(paging) => paging,
        Err(issues) => return invalid(issues),
    };
    let models = app.catalog.all(&holder.project.id);
    let shown = models.iter().map(|model| model.shown.clone()).collect();
    json(StatusCode::OK, &paging.page(shown))
}

pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    match app.catalog.get(&holder.project.id, &id) {
        Some(model) => json(StatusCode::OK, &model.shown),
        None => not_found("No model with this id found."),
    }
}

pub(super) async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    let bytes = match body::read(&headers, body, MAX_BODY).await {
        Ok(bytes) => bytes,
        Err(answer) => return *answer,
    };
    let Ok(sent) = serde_json::from_slice::<Value>(&bytes) else {
        return message(StatusCode::BAD_REQUEST, "Invalid JSON");
    };
    let now = now_ms();
    let shown = match checked(&sent, now) {
        Ok(shown) => shown,
        Err(issues) => return invalid(issues),
    };
    let id = shown["id"].as_str().unwrap_or_default().to_owned();
    let document = Document { kind: "model", id, created_ms: now, updated_ms: now, body: shown.clone() };
    let _turn = app.hand_made.lock().await;
    let project = holder.project.id.clone();
    match app.with_store(move |store| store.put_document(&project, document)).await {
        Ok(()) => {}
        Err(_failed) => return internal("Failed to store the model"),
    }
    match reload(&app, &holder.project.id).await {
        Ok(()) => json(StatusCode::OK, &shown),
        Err(answer) => *answer,
    }
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let holder = match auth::project_key(&app, &headers).await {
        Ok(holder) => holder,
        Err(answer) => return *answer,
    };
    let model = app.catalog.get(&holder.project.id, &id);
    let is_own = model.is_some_and(|model| model.shown["isLangfuseManaged"] == false);
    if !is_own {
        return not_found(
            "No model with this id found. Note: You cannot delete built-in models, override them with a model with the same name.",
        );
    }
    let _turn = app.hand_made.lock().await;
    let project = holder.project.id.clone();
    match app.with_store(move |store| store.delete_document(&project, "model", &id)).await {
        Ok(()) => {}
        Err(_failed) => return internal("Failed to delete the model"),
    }
    match reload(&app, &holder.project.id).await {
        Ok(()) => message(StatusCode::OK, "Model successfully deleted"),
        Err(answer) => *answer,
    }
}

async fn reload(app: &App, project_id: &str) -> Result<(), Box<Response>> {
    let project = project_id.to_owned();
    let documents = app.with_store(move |store| store.documents(&project, "model")).await;
    let documents = documents.map_err(|_failed| Box::new(internal("Failed to read the models")))?;
    let own = documents.into_iter().filter_map(|document| Model::parse(document.body).ok()).collect();
    app.catalog.set_own(project_id, own);
    Ok(())
}

fn invalid(issues: Vec<Value>) -> Response {
    json(StatusCode::BAD_REQUEST, &json!({ "message": "Invalid request data", "error": issues }))
}

fn not_found(text: &str) -> Response {
    json(StatusCode::NOT_FOUND, &json!({ "message": text, "error": "LangfuseNotFoundError" }))
}

/// What was sent as the API shows it, or what is wrong with it.
fn checked(sent: &Value, now: i64) -> Result<Value, Vec<Value>> {
    let mut issues = Vec::new();
    let mut issue = |path: &str, text: &str| {
        issues.push(json!({ "code": "custom", "path": [path], "message": text }));
    };
    for name in ["modelName", "matchPattern"] {
        if sent[name].as_str().is_none_or(str::is_empty) {
            issue(name, "Invalid input: expected string");
        }
    }
    if let Some(Err(problem)) = sent["matchPattern"].as_str().map(|text| pattern(text, true)) {
        issue("matchPattern", &problem);
    }
    if !sent["unit"].as_str().is_some_and(|unit| UNITS.contains(&unit)) {
        issue(
            "unit",
            &format!("Invalid option: expected one of {}", UNITS.map(|it| format!("\"{it}\"")).join("|")),
        );
    }
    if !sent["startDate"].is_null()
        && sent["startDate"].as_str().is_none_or(|it| it.parse::<jiff::Timestamp>().is_err())
    {
        issue("startDate", "Invalid ISO datetime");
    }
    if !sent["tokenizerId"].is_null() && !matches!(sent["tokenizerId"].as_str(), Some("openai" | "claude")) {
        issue("tokenizerId", "Invalid option: expected one of \"openai\"|\"claude\"");
    }
    let id = uuid::Uuid::new_v4().to_string();
    let flat: Vec<(&str, &Value)> =
        [("input", "inputPrice"), ("output", "outputPrice"), ("total", "totalPrice")]
            .into_iter()
            .filter(|(_, name)| !sent[*name].is_null())
            .map(|(key, name)| (key, &sent[name]))
            .collect();
    let tiers = match sent["pricingTiers"].as_array() {
        Some(_) if !flat.is_empty() => {
            issue("pricingTiers", "Provide either flat prices or pricingTiers, not both");
            Vec::new()
        }
        Some(tiers) => {
            for problem in tier_problems(tiers) {
                issue("pricingTiers", &problem);
            }
            let with_id = |tier: &Map<String, Value>| {
                let mut tier = tier.clone();
                tier.insert("id".to_owned(), Value::from(uuid::Uuid::new_v4().to_string()));
                Value::from(tier)
            };
            tiers.iter().filter_map(Value::as_object).map(with_id).collect()
        }
        None => {
            if flat.iter().any(|(_, price)| !price.as_f64().is_some_and(|it| it >= 0.0)) {
                issue("inputPrice", "prices must be numbers from 0 up");
            }
            let keys: Vec<&str> = flat.iter().map(|(key, _)| *key).collect();
            if keys.contains(&"total") && keys.len() > 1 {
                issue("totalPrice", "totalPrice excludes inputPrice and outputPrice");
            }
            if keys.is_empty() {
                issue("inputPrice", "a model needs inputPrice, outputPrice, totalPrice or pricingTiers");
            }
            let prices: Map<String, Value> =
                flat.iter().map(|(key, price)| ((*key).to_owned(), (*price).clone())).collect();
            vec![
                json!({ "id": format!("{id}_tier_default"), "name": "Standard", "isDefault": true, "priority": 0,
                "conditions": [], "prices": prices }),
            ]
        }
    };
    let standard = tiers.iter().find(|tier| tier["isDefault"] == true).map(|tier| tier["prices"].clone());
    let standard = standard.unwrap_or_default();
    let prices: Map<String, Value> = standard
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, price)| (key.clone(), json!({ "price": price })))
        .collect();
    let shown = json!({ "id": id, "createdAt": iso(now), "modelName": sent["modelName"],
        "matchPattern": sent["matchPattern"], "startDate": sent["startDate"], "tokenizerId": sent["tokenizerId"],
        "tokenizerConfig": sent["tokenizerConfig"], "unit": sent["unit"], "inputPrice": standard["input"],
        "outputPrice": standard["output"], "totalPrice": standard["total"], "prices": prices,
        "isLangfuseManaged": false, "pricingTiers": tiers });
    if let (true, Err(problem)) = (issues.is_empty(), Model::parse(shown.clone())) {
        issues.push(json!({ "code": "custom", "path": ["pricingTiers"], "message": problem }));
    }
    if issues.is_empty() { Ok(shown) } else { Err(issues) }
}

fn tier_problems(tiers: &[Value]) -> Vec<String> {
    if let Some(other) = tiers.iter().find(|tier| !tier.is_object()) {
        return vec![format!("a tier must be an object, not {other}")];
    }
    let mut problems = Vec::new();
    let defaults: Vec<&Value> = tiers.iter().filter(|tier| tier["isDefault"] == true).collect();
    let [standard] = defaults.as_slice() else {
        return vec!["there must be exactly one default tier".to_owned()];
    };
    let n_conditions = |tier: &Value| tier["conditions"].as_array().map_or(0, Vec::len);
    let keys = |tier: &Value| -> BTreeSet<String> {
        tier["prices"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
    };
    if standard["priority"] != 0 || n_conditions(standard) != 0 {
        problems.push("the default tier must have priority 0 and no conditions".to_owned());
    }
    if keys(standard).is_empty() {
        problems.push("a tier needs at least one price".to_owned());
    }
    let others = tiers.iter().filter(|tier| tier["isDefault"] != true);
    for tier in others {
        if n_conditions(tier) == 0 {
            problems.push(format!("tier {} needs a condition", tier["name"]));
        }
        if keys(tier) != keys(standard) {
            problems.push(format!("tier {} must have the price keys of the default tier", tier["name"]));
        }
        if tier["priority"].as_u64().is_none_or(|it| it > 999) {
            problems.push(format!("the priority of tier {} must be 0 to 999", tier["name"]));
        }
    }
    for name in ["name", "priority"] {
        let distinct: BTreeSet<String> = tiers.iter().map(|tier| tier[name].to_string()).collect();
        if distinct.len() != tiers.len() {
            problems.push(format!("each tier needs a {name} of its own"));
        }
    }
    problems
}
