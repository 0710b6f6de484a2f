//! Models and prices over HTTP, and what they make of ingested usage.

use reqwest::Method;
use serde_json::{Value, json};

use langfuse_local::Server;
use langfuse_local::settings::Role;

use crate::support::{TestServer, answer, export, settings};

async fn post(server: &TestServer, body: Value) -> (u16, Value) {
    answer(server.request(Method::POST, "/api/public/models").json(&body)).await
}

async fn priced(server: &TestServer, trace_id: &str, model: &str) -> Value {
    let attributes = json!({ "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": model,
        "langfuse.observation.usage_details": "{\"input\":1000,\"output\":10}" });
    assert_eq!(server.send(&export(trace_id, &attributes)).await.0, 200);
    server.trace(trace_id).await.remove(0)
}

#[tokio::test]
async fn the_built_in_list_has_pages_and_cannot_be_deleted() {
    let server = TestServer::start(&[]).await;
    let (_, first) = server.get("/api/public/models?limit=100").await;
    let (_, second) = server.get("/api/public/models?limit=100&page=2").await;
    let of = |page: &Value| page["data"].as_array().unwrap().len();
    assert_eq!((of(&first), of(&second)), (100, 73));
    let id = first["data"][0]["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/api/public/models/{id}")).await.1, first["data"][0]);
    let gone = answer(server.request(Method::DELETE, &format!("/api/public/models/{id}"))).await;
    assert_eq!(gone.0, 404);
    assert!(gone.1.to_string().contains("cannot delete built-in models"));
    assert_eq!(server.get("/api/public/models?limit=101").await.0, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_models_own_price_counts_from_then_on_and_after_a_restart() {
    let server = TestServer::start(&[]).await;
    let built_in = priced(&server, "before", "gpt-4o").await;
    assert_eq!(built_in["totalCost"], 0.0026);
    let model = json!({ "modelName": "mine", "matchPattern": "(?i)^gpt-4o$", "unit": "TOKENS", "inputPrice": 0.5,
        "outputPrice": 1 });
    let (status, made) = post(&server, model).await;
    assert_eq!(status, 200, "{made}");
    let own = priced(&server, "after", "GPT-4o").await;
    assert_eq!((&own["totalCost"], &own["modelId"]), (&json!(510), &made["id"]));
    assert_eq!(server.trace("before").await[0]["totalCost"], 0.0026, "what was stored stays");
    let filter = json!([{ "type": "string", "column": "modelId", "operator": "=", "value": made["id"] }]);
    let (_, found) = server.get_with("/api/public/v2/observations", "filter", &filter).await;
    assert_eq!(found["data"].as_array().unwrap().len(), 1);

    let folder = server.stop().await;
    let settings = settings(Role::Standalone, folder.path(), &[]);
    let again = Server::start(settings, std::sync::Arc::new(|_notice: &_| {})).await.unwrap();
    let url =
        format!("http://{}/api/public/models/{}", again.web_address().unwrap(), made["id"].as_str().unwrap());
    let client = crate::support::client();
    let request = client.get(&url).basic_auth(crate::support::PUBLIC, Some(crate::support::SECRET));
    assert_eq!(answer(request).await.0, 200);
    let request = client.delete(&url).basic_auth(crate::support::PUBLIC, Some(crate::support::SECRET));
    assert_eq!(answer(request).await.0, 200);
    let request = client.get(&url).basic_auth(crate::support::PUBLIC, Some(crate::support::SECRET));
    assert_eq!(answer(request).await.0, 404);
    again.stop().await;
}

#[tokio::test]
async fn bad_models_are_refused() {
    let server = TestServer::start(&[]).await;
    let tier = |is_default: bool, conditions: Value| {
        json!({ "name": format!("{is_default}"), "isDefault": is_default,
        "priority": i32::from(!is_default), "conditions": conditions, "prices": { "input": 1 } })
    };
    let with = |name: &str, value: Value| {
        let mut model = json!({ "modelName": "m", "matchPattern": "^m$", "unit": "TOKENS", "inputPrice": 1 });
        model[name] = value;
        model
    };
    for (model, words) in [
        (with("modelName", json!("")), "modelName"),
        (with("matchPattern", json!("(")), "cannot be used"),
        (with("matchPattern", json!("(a{1000}){1000}")), "cannot be used"),
        (with("unit", json!("BANANAS")), "Invalid option"),
        (with("inputPrice", json!(-1)), "from 0 up"),
        (with("inputPrice", Value::Null), "needs inputPrice"),
        (with("totalPrice", json!(1)), "excludes"),
        (with("pricingTiers", json!([tier(true, json!([]))])), "not both"),
    ] {
        let (status, body) = post(&server, model.clone()).await;
        assert_eq!(status, 400, "{model}");
        assert!(body.to_string().contains(words), "{model}: {body}");
    }
    for (tiers, words) in [
        (json!([tier(false, json!([]))]), "exactly one default"),
        (json!([tier(true, json!([])), tier(false, json!([]))]), "needs a condition"),
    ] {
        let model =
            json!({ "modelName": "m", "matchPattern": "^m$", "unit": "TOKENS", "pricingTiers": tiers });
        let (status, body) = post(&server, model).await;
        assert_eq!(status, 400);
        assert!(body.to_string().contains(words), "{body}");
    }
    assert_eq!(server.get("/api/public/models").await.1["meta"]["totalItems"], 173);
    server.stop().await;
}

#[tokio::test]
async fn another_price_list_takes_the_place_of_the_built_in_one_or_says_what_is_wrong_with_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("models.json");
    let path = file.to_str().unwrap();
    let list = json!({ "data": [{ "id": "x", "modelName": "x", "matchPattern": "^x$", "pricingTiers": [{ "id": "t",
        "name": "t", "isDefault": true, "priority": 0, "conditions": [], "prices": { "input": 0.001 } }] }] });
    std::fs::write(&file, list.to_string()).unwrap();
    let server = TestServer::start(&[("LANGFUSE_LOCAL_MODELS", path)]).await;
    assert_eq!(priced(&server, "t", "x").await["totalCost"], 1);
    assert_eq!(server.get("/api/public/models").await.1["meta"]["totalItems"], 1);
    server.stop().await;
    for (text, words) in [
        ("nonsense", "is no list of models"),
        (r#"{"data":[{"id":"x","modelName":"bad","matchPattern":"("}]}"#, "model bad: the pattern"),
    ] {
        std::fs::write(&file, text).unwrap();
        let data = tempfile::TempDir::new().unwrap();
        let settings = settings(Role::Standalone, data.path(), &[("LANGFUSE_LOCAL_MODELS", path)]);
        let error = Server::start(settings, std::sync::Arc::new(|_notice: &_| {})).await.unwrap_err();
        assert!(error.to_string().contains(words) && error.to_string().contains(path), "{error}");
    }
}
