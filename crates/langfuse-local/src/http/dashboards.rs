//! `unstable/dashboards`, their placements, and `unstable/dashboard-widgets`; errors in the shape of `unstable`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::store::{Document, Project};
use crate::time::{iso, now_ms};

use super::paging::Paging;
use super::respond::{json, message};
use super::{auth, body, received};

const MAX_BODY: usize = 1_048_576;
const DASHBOARD: &str = "dashboard";
const WIDGET: &str = "widget";
const VIEWS: [&str; 4] = ["observations", "scores-numeric", "scores-categorical", "scores-boolean"];
const CHARTS: [&str; 9] = [
    "LINE_TIME_SERIES",
    "AREA_TIME_SERIES",
    "BAR_TIME_SERIES",
    "HORIZONTAL_BAR",
    "VERTICAL_BAR",
    "PIE",
    "NUMBER",
    "HISTOGRAM",
    "PIVOT_TABLE",
];
const AGGREGATIONS: [&str; 12] =
    ["sum", "avg", "count", "max", "min", "p50", "p75", "p90", "p95", "p99", "histogram", "uniq"];
/// The grid's columns.
const COLUMNS: u64 = 12;
/// Width and height of a tile unless it is said.
const TILE: u64 = 6;

type Refused = Box<Response>;

fn error(status: StatusCode, text: &str, code: &str) -> Refused {
    Box::new(json(status, &json!({ "message": text, "code": code })))
}

fn invalid(issues: &[Value], what: &str) -> Refused {
    let text = format!("Invalid request {what}");
    let code = format!("invalid_{what}");
    Box::new(json(
        StatusCode::BAD_REQUEST,
        &json!({ "message": text, "code": code, "details": { "issues": issues } }),
    ))
}

fn not_found(what: &str, id: &str) -> Refused {
    error(StatusCode::NOT_FOUND, &format!("{what} {id} not found"), "resource_not_found")
}

pub(super) async fn method_not_allowed() -> Response {
    *error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "method_not_allowed")
}

async fn project(app: &App, headers: &HeaderMap) -> Result<Project, Refused> {
    match auth::project_key(app, headers).await {
        Ok(holder) => Ok(holder.project),
        Err(answer) => {
            let code = match answer.status() {
                StatusCode::FORBIDDEN => "access_denied",
                StatusCode::UNAUTHORIZED => "authentication_failed",
                _ => "internal_error",
            };
            Err(error(answer.status(), "Authentication failed", code))
        }
    }
}

async fn sent(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, Refused> {
    let bytes = body::read(headers, body, MAX_BODY).await?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|_cause| error(StatusCode::BAD_REQUEST, "Invalid JSON", "invalid_body"))?;
    match value {
        Value::Object(object) => Ok(object),
        other => Err(invalid(&[expected("object", json!([]), Some(&other))], "body")),
    }
}

fn failed() -> Refused {
    error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error", "internal_error")
}

async fn documents(app: &App, project: &Project, kind: &'static str) -> Result<Vec<Document>, Refused> {
    let id = project.id.clone();
    app.with_store(move |store| store.documents(&id, kind)).await.map_err(|_failed| failed())
}

async fn find(app: &App, project: &Project, kind: &'static str, id: &str) -> Result<Document, Refused> {
    let what = if kind == WIDGET { "Dashboard widget" } else { "Dashboard" };
    let all = documents(app, project, kind).await?;
    all.into_iter().find(|document| document.id == id).ok_or_else(|| not_found(what, id))
}

async fn keep(app: &App, project: &Project, document: Document) -> Result<(), Refused> {
    let id = project.id.clone();
    app.with_store(move |store| store.put_document(&id, document)).await.map_err(|_failed| failed())
}

async fn discard(app: &App, project: &Project, kind: &'static str, id: &str) -> Result<(), Refused> {
    let (project, id) = (project.id.clone(), id.to_owned());
    let done = app.with_store(move |store| store.delete_document(&project, kind, &id)).await;
    done.map_err(|_failed| failed())
}

fn new(kind: &'static str, body: Map<String, Value>) -> Document {
    let now = now_ms();
    let id = cuid();
    Document { kind, id, created_ms: now, updated_ms: now, body: Value::Object(body) }
}

/// An id in the form of Langfuse's own: a `c` and 24 lower-case letters and digits.
fn cuid() -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = uuid::Uuid::new_v4().as_u128();
    let mut id = String::from("c");
    for _digit in 0..24 {
        id.push(char::from(DIGITS[(rest % 36) as usize]));
        rest /= 36;
    }
    id
}

fn shown(document: &Document) -> Value {
    let mut object = Map::from_iter([
        ("id".to_owned(), Value::from(document.id.clone())),
        ("createdAt".to_owned(), json!(iso(document.created_ms))),
        ("updatedAt".to_owned(), json!(iso(document.updated_ms))),
    ]);
    object.extend(document.body.as_object().cloned().unwrap_or_default());
    Value::Object(object)
}

fn answer(result: Result<Value, Refused>) -> Response {
    match result {
        Ok(value) => json(StatusCode::OK, &value),
        Err(answer) => *answer,
    }
}

async fn list(
    app: &App,
    query: Option<&str>,
    headers: &HeaderMap,
    kind: &'static str,
) -> Result<Value, Refused> {
    let project = project(app, headers).await?;
    let paging = Paging::parse(query.unwrap_or_default()).map_err(|issues| invalid(&issues, "query"))?;
    Ok(paging.page(documents(app, &project, kind).await?.iter().map(shown).collect()))
}

// ---- widgets

pub(super) async fn widgets(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(list(&app, query.as_deref(), &headers, WIDGET).await)
}

pub(super) async fn widget(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        Ok(shown(&find(&app, &project, WIDGET, &id).await?))
    };
    answer(work.await)
}

pub(super) async fn create_widget(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        let mut widget = sent(&headers, body).await?;
        widget.retain(|key, _| WIDGET_KEYS.contains(&key.as_str()));
        for (key, otherwise) in
            [("description", json!("")), ("dimensions", json!([])), ("filters", json!([]))]
        {
            widget.entry(key).or_insert(otherwise);
        }
        checked_widget(&widget)?;
        let widget = with_type_last(widget);
        let document = new(WIDGET, widget);
        let value = shown(&document);
        keep(&app, &project, document).await?;
        Ok(value)
    };
    answer(work.await)
}

pub(super) async fn change_widget(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        let changes = sent(&headers, body).await?;
        let _turn = app.hand_made.lock().await;
        let document = find(&app, &project, WIDGET, &id).await?;
        let document = changed(document, changes, &WIDGET_KEYS);
        checked_widget(document.body.as_object().unwrap_or(&Map::new()))?;
        let value = shown(&document);
        keep(&app, &project, document).await?;
        Ok(value)
    };
    answer(work.await)
}

pub(super) async fn delete_widget(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        let _turn = app.hand_made.lock().await;
        find(&app, &project, WIDGET, &id).await?;
        let dashboards = documents(&app, &project, DASHBOARD).await?;
        let holds = |it: &&Document| placements(it).iter().any(|placement| placement["widgetId"] == id);
        let names: Vec<String> =
            dashboards.iter().filter(holds).map(|it| it.body["name"].to_string()).collect();
        if !names.is_empty() {
            let text = format!(
                "Cannot delete widget because it is still used in the following dashboards: {}. Please remove the widget from these dashboards first.",
                names.join(", ")
            );
            return Err(error(StatusCode::CONFLICT, &text, "conflict"));
        }
        discard(&app, &project, WIDGET, &id).await?;
        Ok(json!({ "message": "Dashboard widget successfully deleted" }))
    };
    answer(work.await)
}

/// Langfuse writes the kind of chart after its settings.
fn with_type_last(mut widget: Map<String, Value>) -> Map<String, Value> {
    if let Some(config) = widget.get_mut("chartConfig").and_then(Value::as_object_mut)
        && let Some(kind) = config.shift_remove("type")
    {
        config.insert("type".to_owned(), kind);
    }
    widget
}

const WIDGET_KEYS: [&str; 8] =
    ["name", "description", "view", "dimensions", "metrics", "filters", "chartType", "chartConfig"];

fn expected(expected: &str, path: Value, found: Option<&Value>) -> Value {
    json!({ "expected": expected, "code": "invalid_type", "path": path,
        "message": format!("Invalid input: expected {expected}, received {}", received(found)) })
}

fn checked_widget(widget: &Map<String, Value>) -> Result<(), Refused> {
    let mut issues = Vec::new();
    let mut option = |path: Value, options: &[&str], found: Option<&Value>| {
        if !found.and_then(Value::as_str).is_some_and(|text| options.contains(&text)) {
            let quoted = options.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join("|");
            issues.push(json!({ "code": "invalid_value", "values": options, "path": path,
                "message": format!("Invalid option: expected one of {quoted}") }));
        }
    };
    option(json!(["view"]), &VIEWS, widget.get("view"));
    option(json!(["chartType"]), &CHARTS, widget.get("chartType"));
    let items = |name: &str| widget.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for (at, metric) in items("metrics").iter().enumerate() {
        option(json!(["metrics", at, "agg"]), &AGGREGATIONS, metric.get("agg"));
    }
    for (kind, names) in [
        ("string", &["name", "description"][..]),
        ("array", &["dimensions", "metrics", "filters"]),
        ("object", &["chartConfig"]),
    ] {
        for name in names {
            let found = widget.get(*name);
            if received(found) != kind {
                issues.push(expected(kind, json!([name]), found));
            }
        }
    }
    for (list, field) in [("dimensions", "field"), ("metrics", "measure")] {
        for (at, item) in items(list).iter().enumerate() {
            if !item[field].is_string() {
                issues.push(expected("string", json!([list, at, field]), item.get(field)));
            }
        }
    }
    if widget.get("metrics").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        issues.push(json!({ "origin": "array", "code": "too_small", "minimum": 1, "inclusive": true,
            "path": ["metrics"], "message": "Too small: expected array to have >=1 items" }));
    }
    let config_type = widget.get("chartConfig").map(|config| &config["type"]);
    if issues.is_empty() && config_type != widget.get("chartType") {
        issues.push(json!({ "code": "custom", "path": ["chartConfig", "type"],
            "message": "chartConfig.type must be chartType" }));
    }
    if issues.is_empty() { Ok(()) } else { Err(invalid(&issues, "body")) }
}

/// The document with the known keys of `changes` in place of its own.
fn changed(document: Document, changes: Map<String, Value>, known: &[&str]) -> Document {
    let mut body = document.body.as_object().cloned().unwrap_or_default();
    body.extend(changes.into_iter().filter(|(key, _)| known.contains(&key.as_str())));
    Document { updated_ms: now_ms(), body: Value::Object(body), ..document }
}

// ---- dashboards

pub(super) async fn dashboards(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(list(&app, query.as_deref(), &headers, DASHBOARD).await)
}

pub(super) async fn dashboard(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        Ok(shown(&find(&app, &project, DASHBOARD, &id).await?))
    };
    answer(work.await)
}

const DASHBOARD_KEYS: [&str; 4] = ["name", "description", "definition", "filters"];

pub(super) async fn create_dashboard(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        let mut dashboard = sent(&headers, body).await?;
        dashboard.retain(|key, _| DASHBOARD_KEYS.contains(&key.as_str()));
        for (key, otherwise) in
            [("description", json!("")), ("definition", json!({ "widgets": [] })), ("filters", json!([]))]
        {
            dashboard.entry(key).or_insert(otherwise);
        }
        checked_dashboard(&dashboard)?;
        let document = new(DASHBOARD, dashboard);
        let value = shown(&document);
        keep(&app, &project, document).await?;
        Ok(value)
    };
    answer(work.await)
}

pub(super) async fn change_dashboard(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        let changes = sent(&headers, body).await?;
        let _turn = app.hand_made.lock().await;
        let document = changed(find(&app, &project, DASHBOARD, &id).await?, changes, &DASHBOARD_KEYS);
        checked_dashboard(document.body.as_object().unwrap_or(&Map::new()))?;
        let value = shown(&document);
        keep(&app, &project, document).await?;
        Ok(value)
    };
    answer(work.await)
}

pub(super) async fn delete_dashboard(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        let _turn = app.hand_made.lock().await;
        find(&app, &project, DASHBOARD, &id).await?;
        discard(&app, &project, DASHBOARD, &id).await?;
        Ok(json!({ "message": "Dashboard successfully deleted" }))
    };
    answer(work.await)
}

fn checked_dashboard(dashboard: &Map<String, Value>) -> Result<(), Refused> {
    let mut issues = Vec::new();
    for (name, kind) in
        [("name", "string"), ("description", "string"), ("definition", "object"), ("filters", "array")]
    {
        let found = dashboard.get(name);
        if received(found) != kind {
            issues.push(expected(kind, json!([name]), found));
        }
    }
    if dashboard.get("name").and_then(Value::as_str) == Some("") {
        issues.push(json!({ "origin": "string", "code": "too_small", "minimum": 1, "inclusive": true,
            "path": ["name"], "message": "Too small: expected string to have >=1 characters" }));
    }
    if issues.is_empty() { Ok(()) } else { Err(invalid(&issues, "body")) }
}

// ---- placements

fn placements(dashboard: &Document) -> Vec<Value> {
    dashboard.body["definition"]["widgets"].as_array().cloned().unwrap_or_default()
}

fn with_placements(mut dashboard: Document, placements: Vec<Value>) -> Document {
    dashboard.body["definition"]["widgets"] = Value::Array(placements);
    dashboard.updated_ms = now_ms();
    dashboard
}

/// As a dashboard's definition holds it.
fn with_id_second(placement: &Value) -> Value {
    let members = placement.as_object().cloned().unwrap_or_default();
    let (first, rest): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(key, _)| key == "type" || key == "id");
    let (kind, id): (Vec<_>, Vec<_>) = first.into_iter().partition(|(key, _)| key == "type");
    Value::Object(kind.into_iter().chain(id).chain(rest).collect())
}

/// Places within the grid.
fn checked_position(placement: &Value) -> Result<(), Refused> {
    let mut issues = Vec::new();
    let number = |name: &str| placement[name].as_u64();
    for name in ["x", "y", "width", "height"] {
        let least = u64::from(matches!(name, "width" | "height"));
        if number(name).is_none_or(|it| it < least) {
            issues.push(expected("number", json!([name]), placement.get(name)));
        }
    }
    if let (Some(x), Some(width)) = (number("x"), number("width"))
        && x.saturating_add(width) > COLUMNS
    {
        issues.push(json!({ "code": "custom", "path": ["width"],
            "message": format!("x and width must lie within {COLUMNS} columns") }));
    }
    if issues.is_empty() { Ok(()) } else { Err(invalid(&issues, "body")) }
}

pub(super) async fn place(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        let mut placement = sent(&headers, body).await?;
        let _turn = app.hand_made.lock().await;
        let dashboard = find(&app, &project, DASHBOARD, &id).await?;
        let mut all = placements(&dashboard);
        match placement.get("type").and_then(Value::as_str) {
            Some("widget") => {
                let widget = placement.get("widgetId").and_then(Value::as_str).unwrap_or_default();
                find(&app, &project, WIDGET, widget).await?;
            }
            Some("preset") => {}
            _ => return Err(invalid(&[expected("string", json!(["type"]), placement.get("type"))], "body")),
        }
        let below =
            all.iter().map(|it| it["y"].as_u64().unwrap_or(0) + it["height"].as_u64().unwrap_or(0)).max();
        for (key, otherwise) in [("x", 0), ("y", below.unwrap_or(0)), ("width", TILE), ("height", TILE)] {
            placement.entry(key).or_insert(json!(otherwise));
        }
        placement.entry("id").or_insert_with(|| json!(uuid::Uuid::new_v4().to_string()));
        let placement = Value::Object(placement);
        checked_position(&placement)?;
        if all.iter().any(|it| it["id"] == placement["id"]) {
            let text = format!("Placement {} already exists on this dashboard", placement["id"]);
            return Err(error(StatusCode::CONFLICT, &text, "conflict"));
        }
        all.push(with_id_second(&placement));
        keep(&app, &project, with_placements(dashboard, all)).await?;
        Ok(placement)
    };
    answer(work.await)
}

pub(super) async fn move_placement(
    State(app): State<Arc<App>>,
    Path((id, placement_id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        let mut changes = sent(&headers, body).await?;
        changes.retain(|key, _| ["x", "y", "width", "height"].contains(&key.as_str()));
        if changes.is_empty() {
            let issue = json!({ "code": "custom", "path": [], "message": "at least one field is required" });
            return Err(invalid(&[issue], "body"));
        }
        let _turn = app.hand_made.lock().await;
        let dashboard = find(&app, &project, DASHBOARD, &id).await?;
        let mut all = placements(&dashboard);
        let mut found = all.iter_mut().filter_map(Value::as_object_mut).filter(|it| it["id"] == placement_id);
        let Some(placement) = found.next() else { return Err(not_found("Placement", &placement_id)) };
        placement.extend(changes);
        let placement = Value::Object(placement.clone());
        checked_position(&placement)?;
        keep(&app, &project, with_placements(dashboard, all)).await?;
        Ok(placement)
    };
    answer(work.await)
}

pub(super) async fn remove_placement(
    State(app): State<Arc<App>>,
    Path((id, placement_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let work = async {
        let project = project(&app, &headers).await?;
        let _turn = app.hand_made.lock().await;
        let dashboard = find(&app, &project, DASHBOARD, &id).await?;
        let mut all = placements(&dashboard);
        let before = all.len();
        all.retain(|it| it["id"] != placement_id);
        if all.len() == before {
            return Err(not_found("Placement", &placement_id));
        }
        keep(&app, &project, with_placements(dashboard, all)).await?;
        Ok(json!({ "message": "Dashboard placement successfully deleted" }))
    };
    match work.await {
        Ok(value) => message(StatusCode::OK, value["message"].as_str().unwrap_or_default()),
        Err(answer) => *answer,
    }
}
