//! Spans of other crates that speak `OpenTelemetry`, and W3C trace context.

use std::time::Duration;

use opentelemetry::Value as OtelValue;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Array, Context};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::id::{SpanId, TraceId};
use crate::keys::id;
use crate::observation::Scope;
use crate::payload::Payload;
use crate::record::{Event, Foreign, Item, Key, Kind, Level, Value, nanoseconds};
use crate::tracer::{Flushed, Tracer};

/// Writes `traceparent` and `tracestate` of a scope into a carrier: headers of a request, or `_meta` of a
/// call to an MCP server. A scope in which nothing is recorded writes nothing.
pub fn inject(scope: &Scope, carrier: &mut dyn Injector) {
    TraceContextPropagator::new().inject_context(&scope.context(), carrier);
}

/// Reads what [`inject`] or any other W3C propagator wrote; for [`crate::TurnBuilder::parent`].
pub fn extract(carrier: &dyn Extractor) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), carrier)
}

/// Sends what other crates emit by `OpenTelemetry` through the same redaction and delivery.
///
/// Langfuse v4 propagates nothing: attributes such as `langfuse.session.id` must be on each of those spans.
#[derive(Debug)]
pub struct ForeignSpans {
    tracer: Tracer,
}

impl ForeignSpans {
    /// For `SdkTracerProvider::builder().with_span_processor(…)`.
    #[must_use]
    pub fn new(tracer: &Tracer) -> Self {
        Self { tracer: tracer.clone() }
    }
}

impl SpanProcessor for ForeignSpans {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        let Some(shared) = self.tracer.shared() else { return };
        if !span.span_context.is_sampled() {
            return;
        }
        let mut record = shared.record();
        record.kind = Kind::Foreign;
        record.trace = TraceId(span.span_context.trace_id().to_bytes());
        record.id = SpanId(span.span_context.span_id().to_bytes());
        let parent = span.parent_span_id.to_bytes();
        record.parent = (parent != [0; 8]).then_some(SpanId(parent));
        record.own.put(Key::Fixed(id!(NAME)), Value::Text(Payload::Borrowed(&span.name)));
        (record.start_ns, record.end_ns) = (nanoseconds(span.start_time), nanoseconds(span.end_time));
        record.queued_ns = record.end_ns;
        for attribute in span.attributes {
            let value = match attribute.value {
                OtelValue::Bool(value) => Value::Bool(value),
                OtelValue::I64(value) => Value::Int(value),
                OtelValue::F64(value) => Value::Float(value),
                OtelValue::String(text) => Value::Text(Payload::Owned(text.into())),
                OtelValue::Array(Array::String(texts)) => {
                    Value::Texts(texts.into_iter().map(String::from).collect())
                }
                other => Value::Text(Payload::Owned(other.to_string())),
            };
            record.own.put(Key::Foreign(attribute.key.as_str()), value);
        }
        if let Status::Error { description } = &span.status {
            record.level = Level::Error;
            record.own.put(Key::Fixed(id!(STATUS_MESSAGE)), Value::Text(Payload::Borrowed(description)));
        }
        let events = span.events.events.iter().map(|event| Event {
            name: event.name.to_string(),
            time_ns: nanoseconds(event.timestamp),
            attributes: event
                .attributes
                .iter()
                .map(|it| (it.key.to_string(), it.value.to_string()))
                .collect(),
        });
        record.foreign = Some(Box::new(Foreign {
            scope: span.instrumentation_scope.name().to_owned(),
            scope_version: span.instrumentation_scope.version().unwrap_or_default().to_owned(),
            span_kind: match span.span_kind {
                SpanKind::Internal => 1,
                SpanKind::Server => 2,
                SpanKind::Client => 3,
                SpanKind::Producer => 4,
                SpanKind::Consumer => 5,
            },
            events: events.collect(),
        }));
        let weight = record.weight();
        shared.push(Item::Span(record), weight);
    }

    fn force_flush(&self) -> OTelSdkResult {
        match self.tracer.flush(Duration::from_secs(2)) {
            Flushed::TimedOut(_) => Err(OTelSdkError::Timeout(Duration::from_secs(2))),
            Flushed::Sent | Flushed::Spilled(_) => Ok(()),
        }
    }

    /// Leaves the tracer running: it may have other users.
    fn shutdown_with_timeout(&self, most: Duration) -> OTelSdkResult {
        match self.tracer.flush(most) {
            Flushed::TimedOut(_) => Err(OTelSdkError::Timeout(most)),
            Flushed::Sent | Flushed::Spilled(_) => Ok(()),
        }
    }
}
