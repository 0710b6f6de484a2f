//! The turn that is measured, by each library.

use std::path::Path;
use std::time::Duration;

use ken_secrets::Secret;
use ken_tracing::redact::Policy;
use ken_tracing::{Config, Payload, Tracer, Usage};
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer as _, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

/// Spans of a turn.
pub(crate) const SPANS: u64 = 6;

const PROSE: &str = "The northern line carries four hundred thousand people a day, and most of them do not look up \
    when the doors close. Three invoices are open, the oldest of them since the end of October. ";
const METADATA: [(&str, &str); 6] = [
    ("thread_id", "thread-8812"),
    ("conversation_id", "conversation-1204"),
    ("channel", "telegram"),
    ("tenant", "northern"),
    ("plan", "professional"),
    ("region", "eu-central-1"),
];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Payloads {
    Owned,
    Borrowed,
    /// Prompts of 200 kB.
    Large,
}

/// What a caller has in its hands: prompts and answers, arguments and results.
pub(crate) struct Made {
    generations: Vec<(String, String)>,
    tools: Vec<(String, String)>,
    is_borrowed: bool,
}

fn text(length: usize) -> String {
    PROSE.chars().cycle().take(length).collect()
}

thread_local! {
    static TEXTS: [String; 5] = [text(2_048), text(1_024), text(512), text(1_024), text(200_000)];
}

pub(crate) fn make(payloads: Payloads) -> Made {
    TEXTS.with(|[prompt, answer, arguments, result, large]| {
        let prompt = if matches!(payloads, Payloads::Large) { large } else { prompt };
        Made {
            generations: (0..2).map(|_| (prompt.clone(), answer.clone())).collect(),
            tools: (0..3).map(|_| (arguments.clone(), result.clone())).collect(),
            is_borrowed: matches!(payloads, Payloads::Borrowed),
        }
    })
}

pub(crate) fn nothing() -> Made {
    Made { generations: Vec::new(), tools: Vec::new(), is_borrowed: false }
}

pub(crate) enum Library {
    Ken(Tracer),
    Otel(SdkTracerProvider, SdkTracer),
}

impl Library {
    pub(crate) fn start(name: &str, url: &str, spill: &Path) -> Self {
        if name == "otel" {
            let headers = [("x-langfuse-ingestion-version".to_owned(), "4".to_owned())];
            let exporter = opentelemetry_otlp::SpanExporter::builder()
                .with_http()
                .with_endpoint(format!("{url}/api/public/otel/v1/traces"))
                .with_headers(headers.into())
                .build()
                .unwrap();
            let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
            let tracer = provider.tracer("bench");
            return Self::Otel(provider, tracer);
        }
        let mut config =
            Config::new(url.parse().unwrap(), "pk-lf-bench", Secret::new("sk-lf-bench".to_owned()));
        config.spill = Some(spill.join("spill"));
        config.on_notice = std::sync::Arc::new(|_notice| {});
        config.enabled = name != "off";
        if name == "ken-plain" {
            config.redaction = Policy::off();
        }
        Self::Ken(Tracer::new(config).unwrap())
    }

    /// Another handle of the same.
    pub(crate) fn share(&self) -> Self {
        match self {
            Self::Ken(tracer) => Self::Ken(tracer.clone()),
            Self::Otel(provider, tracer) => Self::Otel(provider.clone(), tracer.clone()),
        }
    }

    pub(crate) fn flush(&self) {
        match self {
            Self::Ken(tracer) => {
                tracer.flush(Duration::from_secs(20));
            }
            Self::Otel(provider, _) => {
                let _late = provider.force_flush();
            }
        }
    }

    /// Lets the other side catch up, where it can be seen how far it is behind.
    pub(crate) fn breathe(&self) {
        if let Self::Ken(tracer) = self {
            while tracer.stats().queued_bytes > 8 << 20 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }

    /// Spans given up. Of `opentelemetry_sdk` it is not told.
    pub(crate) fn lost(&self) -> u64 {
        match self {
            Self::Ken(tracer) => tracer.stats().lost(),
            Self::Otel(..) => 0,
        }
    }
}

pub(crate) fn run(library: &Library, made: Made) {
    match library {
        Library::Ken(tracer) => ken(tracer, made),
        Library::Otel(_, tracer) => otel(tracer, made),
    }
}

fn payload<'a>(text: &'a mut String, is_borrowed: bool) -> Payload<'a> {
    if is_borrowed { Payload::Borrowed(text) } else { Payload::Owned(std::mem::take(text)) }
}

fn ken(tracer: &Tracer, mut made: Made) {
    let mut turn = tracer.turn("chat-turn").session_id("conversation-1204").user_id("user-17");
    for (key, value) in METADATA {
        turn = turn.metadata(key, value);
    }
    let mut turn = turn.start();
    for (prompt, answer) in &mut made.generations {
        let mut call = turn.generation("llm");
        call.provider("anthropic").model("claude-sonnet-4-5").parameters("{\"temperature\":0.2}");
        call.input(payload(prompt, made.is_borrowed)).output(payload(answer, made.is_borrowed));
        call.usage(Usage::new(1_200, 340));
    }
    for (arguments, result) in &mut made.tools {
        let mut tool = turn.tool("search");
        tool.arguments(payload(arguments, made.is_borrowed)).result(payload(result, made.is_borrowed));
    }
    turn.metadata("outcome", "answered");
}

fn otel(tracer: &SdkTracer, mut made: Made) {
    // Attributes are owned: what is borrowed is copied.
    let is_borrowed = made.is_borrowed;
    let own = |text: &mut String| if is_borrowed { text.clone() } else { std::mem::take(text) };
    let common = |more: usize| {
        let mut all = Vec::with_capacity(METADATA.len() + 3 + more);
        all.push(KeyValue::new("langfuse.trace.name", "chat-turn"));
        all.push(KeyValue::new("langfuse.session.id", "conversation-1204"));
        all.push(KeyValue::new("langfuse.user.id", "user-17"));
        all.extend(
            METADATA
                .iter()
                .map(|(key, value)| KeyValue::new(format!("langfuse.trace.metadata.{key}"), *value)),
        );
        all
    };
    let root = tracer.span_builder("chat-turn").with_attributes(common(1)).start(tracer);
    let context = Context::current().with_span(root);
    for (prompt, answer) in &mut made.generations {
        let mut all = common(8);
        all.push(KeyValue::new("langfuse.observation.type", "generation"));
        all.push(KeyValue::new("gen_ai.provider.name", "anthropic"));
        all.push(KeyValue::new("langfuse.observation.model.name", "claude-sonnet-4-5"));
        all.push(KeyValue::new("langfuse.observation.model.parameters", "{\"temperature\":0.2}"));
        all.push(KeyValue::new(
            "langfuse.observation.usage_details",
            "{\"input\":1200,\"output\":340}".to_owned(),
        ));
        all.push(KeyValue::new("langfuse.observation.input", own(prompt)));
        all.push(KeyValue::new("langfuse.observation.output", own(answer)));
        tracer.span_builder("llm").with_attributes(all).start_with_context(tracer, &context).end();
    }
    for (arguments, result) in &mut made.tools {
        let mut all = common(3);
        all.push(KeyValue::new("langfuse.observation.type", "tool"));
        all.push(KeyValue::new("langfuse.observation.input", own(arguments)));
        all.push(KeyValue::new("langfuse.observation.output", own(result)));
        tracer.span_builder("search").with_attributes(all).start_with_context(tracer, &context).end();
    }
    context.span().set_attribute(KeyValue::new("langfuse.observation.metadata.outcome", "answered"));
    context.span().end();
}
