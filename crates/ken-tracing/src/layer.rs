//! Spans of other crates that speak `tracing`.

use std::fmt;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes as SpanAttributes, Id, Record as SpanRecord};
use tracing::{Event as TracingEvent, Level as TracingLevel, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::id::{SpanId, TraceId};
use crate::keys::id;
use crate::observation::Scope;
use crate::payload::Payload;
use crate::record::{Event, Foreign, Item, Key, Kind, Level, Record, Value, nanoseconds};
use crate::tracer::Tracer;

/// Events that one span keeps; a loop that logs must not hold memory without bound.
const MOST_EVENTS: usize = 128;

/// Sends spans of `tracing` through the same redaction and delivery. An event is an event of its span; one
/// of level `ERROR` makes the span an error.
///
/// A span joins the turn whose [`Scope`] was attached to it or to one above it by [`attach`]; without one
/// the outermost span begins a trace of its own.
#[derive(Debug)]
pub struct TracingLayer {
    tracer: Tracer,
}

impl TracingLayer {
    /// For `tracing_subscriber::registry().with(…)`.
    #[must_use]
    pub fn new(tracer: &Tracer) -> Self {
        Self { tracer: tracer.clone() }
    }
}

/// What the layer keeps with a span while it is open.
struct Opened {
    record: Option<Box<Record>>,
    trace: TraceId,
    id: SpanId,
    /// Attached, or that of the span above.
    scope: Option<Scope>,
}

impl Opened {
    fn record(&mut self) -> Option<&mut Box<Record>> {
        self.record.as_mut()
    }
}

std::thread_local! {
    static ATTACHED: std::cell::RefCell<Vec<Scope>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Spans of `tracing` that are made while `run` runs belong below this scope.
pub fn attach<T>(scope: &Scope, run: impl FnOnce() -> T) -> T {
    /// A panic detaches too.
    struct Detach;
    impl Drop for Detach {
        fn drop(&mut self) {
            ATTACHED.with(|all| all.borrow_mut().pop());
        }
    }
    ATTACHED.with(|all| all.borrow_mut().push(scope.clone()));
    let _detach = Detach;
    run()
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TracingLayer {
    fn on_new_span(&self, attributes: &SpanAttributes<'_>, id: &Id, context: Context<'_, S>) {
        let (Some(shared), Some(span)) = (self.tracer.shared(), context.span(id)) else { return };
        let mut record = shared.record();
        let above = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            let opened = extensions.get::<Opened>()?;
            Some((opened.trace, opened.id, opened.scope.clone()))
        });
        let attached = ATTACHED.with(|all| all.borrow().last().cloned());
        let (trace, parent, scope) = match (above, attached) {
            (Some((trace, parent, scope)), _) => (trace, Some(parent), scope),
            (None, Some(scope)) => {
                (scope.trace_id().unwrap_or_else(TraceId::random), scope.span_id(), Some(scope))
            }
            (None, None) => (TraceId::random(), None, None),
        };
        record.kind = Kind::Foreign;
        record.turn = scope.as_ref().and_then(Scope::turn);
        (record.trace, record.id, record.parent) = (trace, SpanId::random(), parent);
        let name = Payload::Borrowed(attributes.metadata().name());
        record.own.put(Key::Fixed(id!(NAME)), Value::Text(name));
        record.start_ns = nanoseconds(SystemTime::now());
        record.foreign = Some(Box::new(Foreign {
            scope: attributes.metadata().target().to_owned(),
            span_kind: 1,
            ..Foreign::default()
        }));
        attributes.record(&mut Fields(&mut record));
        let opened = Opened { trace, id: record.id, record: Some(record), scope };
        span.extensions_mut().insert(opened);
    }

    fn on_record(&self, id: &Id, values: &SpanRecord<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(record) = span.extensions_mut().get_mut::<Opened>().and_then(Opened::record) {
            values.record(&mut Fields(record));
        }
    }

    fn on_event(&self, event: &TracingEvent<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        let mut extensions = span.extensions_mut();
        let Some(record) = extensions.get_mut::<Opened>().and_then(Opened::record) else { return };
        let mut texts = Texts::default();
        event.record(&mut texts);
        let is_error = *event.metadata().level() == TracingLevel::ERROR;
        if is_error && record.level != Level::Error {
            record.level = Level::Error;
            let message = Payload::Borrowed(&texts.message);
            record.own.put(Key::Fixed(id!(STATUS_MESSAGE)), Value::Text(message));
        }
        if let Some(foreign) = &mut record.foreign
            && foreign.events.len() < MOST_EVENTS
        {
            foreign.events.push(Event {
                name: texts.message,
                time_ns: nanoseconds(SystemTime::now()),
                attributes: texts.others,
            });
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let (Some(shared), Some(span)) = (self.tracer.shared(), context.span(&id)) else { return };
        let opened = span.extensions_mut().remove::<Opened>();
        if let Some(mut record) = opened.and_then(|opened| opened.record) {
            record.end_ns = nanoseconds(SystemTime::now()).max(record.start_ns);
            record.queued_ns = record.end_ns;
            let weight = record.weight();
            shared.push(Item::Span(record), weight);
        }
    }
}

/// Fields of a span as attributes.
struct Fields<'a>(&'a mut Record);

impl Fields<'_> {
    fn put(&mut self, field: &Field, text: &str) {
        self.0.own.put(Key::Foreign(field.name()), Value::Text(Payload::Borrowed(text)));
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }
}

/// Fields of an event as texts.
#[derive(Default)]
struct Texts {
    message: String,
    others: Vec<(String, String)>,
}

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.others.push((field.name().to_owned(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
