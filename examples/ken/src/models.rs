//! Model providers: two that follow a script, and one that speaks OpenAI's API.

use anyhow::Context;
use ken_tracing::{Scope, Usage};
use serde_json::{Value, json};

use crate::Ken;
use crate::conversations::Message;

/// What a model wants next.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The answer.
    Text(String),
    /// A call of a tool.
    ToolCall {
        /// The id that the result refers to.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments.
        arguments: Value,
    },
}

/// Asks a provider, recorded as a generation below `scope`.
///
/// # Errors
/// The provider failed; the generation says why.
pub async fn ask(
    ken: &Ken,
    scope: &Scope,
    provider: &str,
    messages: &[Message],
    tool_result: Option<&str>,
) -> anyhow::Result<Reply> {
    let mut generation = scope.generation("answer");
    let shown: Vec<Value> = messages
        .iter()
        .map(|it| json!({ "role": it.role, "content": it.content }))
        .chain(tool_result.map(|result| json!({ "role": "tool", "content": result })))
        .collect();
    let shown = Value::from(shown);
    generation.provider(provider).parameters(r#"{"temperature":0.2}"#).input(shown.clone());
    let answered = match provider {
        "openai" => match &ken.openai {
            Some(openai) => openai.ask(&shown).await,
            None => Err(anyhow::anyhow!("there is no OPENAI_BASE_URL")),
        },
        _ => scripted(provider, messages, tool_result).await,
    };
    match answered {
        Ok(answer) => {
            generation.model(&answer.model).first_token();
            generation.output(match &answer.reply {
                Reply::Text(text) => json!({ "role": "assistant", "content": text }),
                Reply::ToolCall { id, name, arguments } => json!({ "role": "assistant", "tool_calls": [
                    { "id": id, "type": "function", "function": { "name": name, "arguments": arguments.to_string() } }] }),
            });
            generation.usage(answer.usage);
            Ok(answer.reply)
        }
        Err(error) => {
            generation.model(provider).error(error.to_string());
            Err(error)
        }
    }
}

struct Answer {
    model: String,
    reply: Reply,
    usage: Usage,
}

/// The same answers every time, by words of the message: what tests and demonstrations need.
async fn scripted(provider: &str, messages: &[Message], tool_result: Option<&str>) -> anyhow::Result<Answer> {
    let (model, wait_ms) = if provider == "slow" { ("scripted-large", 30) } else { ("scripted-small", 5) };
    tokio::time::sleep(std::time::Duration::from_millis(wait_ms)).await;
    let asked = messages.last().map_or("", |message| message.content.as_str());
    let call = |name: &str| Reply::ToolCall {
        id: "call_1".to_owned(),
        name: name.to_owned(),
        arguments: json!({ "query": asked }),
    };
    let reply = match tool_result {
        Some(result) => Reply::Text(format!("I looked: {result}")),
        None if asked.contains("fail") => anyhow::bail!("the model is overloaded"),
        None if asked.contains("weather") => call("weather"),
        None if asked.contains("invoice") => call("search_invoices"),
        None if asked.contains("calculate") => call("calculate"),
        None => Reply::Text(format!("You said: {asked}")),
    };
    let n_tokens = messages.iter().map(|message| message.content.len() as u64 / 4 + 4).sum();
    Ok(Answer { model: model.to_owned(), reply, usage: Usage::new(n_tokens, 12) })
}

/// A provider that speaks OpenAI's chat completions.
#[derive(Debug)]
pub struct OpenAi {
    client: reqwest::Client,
    url: String,
    key: String,
    model: String,
}

impl OpenAi {
    /// From `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `OPENAI_MODEL`; `None` without the first.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn from_env() -> anyhow::Result<Option<Self>> {
        let Ok(base) = std::env::var("OPENAI_BASE_URL") else { return Ok(None) };
        let _installed = rustls::crypto::ring::default_provider().install_default();
        Ok(Some(Self {
            client: reqwest::Client::builder().build().context("the HTTP client")?,
            url: format!("{}/chat/completions", base.trim_end_matches('/')),
            key: std::env::var("OPENAI_API_KEY").unwrap_or_default(),
            model: std::env::var("OPENAI_MODEL").unwrap_or_else(|_unset| "gpt-5-mini".to_owned()),
        }))
    }

    async fn ask(&self, messages: &Value) -> anyhow::Result<Answer> {
        let body = json!({ "model": self.model, "messages": messages });
        let response = self.client.post(&self.url).bearer_auth(&self.key).json(&body).send().await?;
        let answer: Value = response.error_for_status()?.json().await?;
        let count = |path: &str| answer.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let message = &answer["choices"][0]["message"];
        let call = &message["tool_calls"][0];
        let reply = if call.is_object() {
            let arguments = call["function"]["arguments"].as_str().unwrap_or("{}");
            Reply::ToolCall {
                id: call["id"].as_str().unwrap_or_default().to_owned(),
                name: call["function"]["name"].as_str().unwrap_or_default().to_owned(),
                arguments: serde_json::from_str(arguments).unwrap_or_default(),
            }
        } else {
            Reply::Text(message["content"].as_str().unwrap_or_default().to_owned())
        };
        let usage = Usage::openai(
            count("/usage/prompt_tokens"),
            count("/usage/completion_tokens"),
            count("/usage/prompt_tokens_details/cached_tokens"),
            count("/usage/completion_tokens_details/reasoning_tokens"),
        );
        let model = answer["model"].as_str().unwrap_or(&self.model).to_owned();
        Ok(Answer { model, reply, usage })
    }
}
