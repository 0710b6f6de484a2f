//! Ken's tools: one of its own, one that says success and did not, one of an MCP server.

use ken_tracing::Scope;
use serde_json::{Value, json};

use crate::Ken;

/// Calls a tool, recorded below `scope`; what it gave back, failures included, goes to the model.
pub async fn call(ken: &Ken, scope: &Scope, id: &str, name: &str, arguments: &Value) -> String {
    let mut tool = scope.tool(name);
    tool.call_id(id).arguments(arguments.to_string());
    let result = match name {
        "calculate" => Ok(calculate(arguments)),
        // It answers 200 with a failure inside: the call succeeds, the work does not.
        "search_invoices" => {
            Ok(json!({ "ok": false, "status": 503, "error": "the archive is offline", "invoices": [] }))
        }
        "weather" => {
            tool.mcp_server("weather");
            ken.mcp.call(&tool, "weather", arguments).await
        }
        _ => Err(anyhow::anyhow!("there is no tool {name}")),
    };
    match result {
        Ok(result) => {
            let text = result.to_string();
            tool.result(&text);
            text
        }
        Err(error) => {
            tool.error(error.to_string());
            json!({ "error": error.to_string() }).to_string()
        }
    }
}

/// The sum of the numbers in a text.
fn calculate(arguments: &Value) -> Value {
    let text = arguments["query"].as_str().unwrap_or_default();
    let numbers =
        text.split(|it: char| !(it.is_ascii_digit() || it == '.')).filter_map(|it| it.parse::<f64>().ok());
    json!({ "sum": numbers.sum::<f64>() })
}
