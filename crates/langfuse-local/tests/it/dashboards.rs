//! Dashboards, widgets and placements over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestServer, answer, client};

async fn call(server: &TestServer, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = server.request(method, &format!("/api/public/unstable/{path}"));
    answer(if body.is_null() { request } else { request.json(&body) }).await
}

async fn make(server: &TestServer, path: &str, body: Value) -> String {
    let (status, made) = call(server, Method::POST, path, body).await;
    assert_eq!(status, 200, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

fn widget() -> Value {
    json!({ "name": "w", "view": "observations", "metrics": [{ "measure": "count", "agg": "count" }],
        "chartType": "NUMBER", "chartConfig": { "type": "NUMBER" } })
}

#[tokio::test]
async fn tiles_are_placed_moved_and_removed() {
    let server = TestServer::start(&[]).await;
    let widget = make(&server, "dashboard-widgets", widget()).await;
    let dashboard = make(&server, "dashboards", json!({ "name": "d" })).await;
    let at = format!("dashboards/{dashboard}/placements");
    let first = make(&server, &at, json!({ "type": "widget", "widgetId": widget })).await;
    let (_, second) = call(&server, Method::POST, &at, json!({ "type": "widget", "widgetId": widget })).await;
    assert_eq!(
        (&second["y"], &second["width"], &second["height"]),
        (&json!(6), &json!(6), &json!(6)),
        "below"
    );
    let again =
        call(&server, Method::POST, &at, json!({ "type": "widget", "widgetId": widget, "id": first })).await;
    assert_eq!((again.0, &again.1["code"]), (409, &json!("conflict")));
    let moved = call(&server, Method::PATCH, &format!("{at}/{first}"), json!({ "x": 6 })).await;
    assert_eq!((moved.0, &moved.1["x"], &moved.1["widgetId"]), (200, &json!(6), &json!(widget)));
    let outside = call(&server, Method::PATCH, &format!("{at}/{first}"), json!({ "x": 7 })).await;
    assert_eq!((outside.0, &outside.1["code"]), (400, &json!("invalid_body")));
    let held = call(&server, Method::DELETE, &format!("dashboard-widgets/{widget}"), Value::Null).await;
    assert_eq!(held.0, 409);
    for placement in [first.as_str(), second["id"].as_str().unwrap()] {
        assert_eq!(call(&server, Method::DELETE, &format!("{at}/{placement}"), Value::Null).await.0, 200);
    }
    assert_eq!(call(&server, Method::DELETE, &format!("{at}/{first}"), Value::Null).await.0, 404);
    assert_eq!(
        call(&server, Method::DELETE, &format!("dashboard-widgets/{widget}"), Value::Null).await.0,
        200
    );
    let (_, left) = call(&server, Method::GET, &format!("dashboards/{dashboard}"), Value::Null).await;
    assert_eq!(left["definition"], json!({ "widgets": [] }));
    server.stop().await;
}

#[tokio::test]
async fn widgets_change_within_their_rules() {
    let server = TestServer::start(&[]).await;
    let id = make(&server, "dashboard-widgets", widget()).await;
    let path = format!("dashboard-widgets/{id}");
    let (status, changed) = call(&server, Method::PATCH, &path, json!({ "name": "n", "id": "other" })).await;
    assert_eq!((status, &changed["name"], &changed["id"]), (200, &json!("n"), &json!(id)));
    for (change, words) in [
        (json!({ "view": "traces" }), "scores-numeric"),
        (json!({ "chartType": "PIE" }), "chartConfig.type must be chartType"),
        (json!({ "metrics": [{ "measure": "count", "agg": "p33" }] }), "Invalid option"),
        (json!({ "dimensions": [{}] }), "expected string, received undefined"),
        (json!({ "name": 1 }), "expected string, received number"),
        (json!([]), "expected object, received array"),
    ] {
        let (status, body) = call(&server, Method::PATCH, &path, change.clone()).await;
        assert_eq!((status, &body["code"]), (400, &json!("invalid_body")), "{change}");
        assert!(body.to_string().contains(words), "{change}: {body}");
    }
    assert_eq!(call(&server, Method::GET, &path, Value::Null).await.1["name"], "n");
    server.stop().await;
}

#[tokio::test]
async fn errors_have_the_shape_of_unstable() {
    let server = TestServer::start(&[]).await;
    let nobody = client().get(server.url("/api/public/unstable/dashboards"));
    let (status, body) = answer(nobody).await;
    assert_eq!((status, &body["code"]), (401, &json!("authentication_failed")));
    let (status, body) = call(&server, Method::PUT, "dashboards", Value::Null).await;
    assert_eq!((status, &body["code"]), (405, &json!("method_not_allowed")));
    let (status, body) = call(&server, Method::GET, "dashboards?limit=0", Value::Null).await;
    assert_eq!((status, &body["code"]), (400, &json!("invalid_query")));
    let (status, body) = call(&server, Method::GET, "dashboard-widgets/x", Value::Null).await;
    assert_eq!((status, &body["code"]), (404, &json!("resource_not_found")));
    server.stop().await;
}
