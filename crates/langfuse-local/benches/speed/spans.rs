//! One encoded export, in which ids and times are written anew for each sending.

/// Spans of one trace.
const SPANS_PER_TRACE: usize = 8;
/// 2026-01-01T00:00:00Z in nanoseconds since 1970.
const BEGIN_NS: u64 = 1_767_225_600_000_000_000;
const MODELS: [&str; 6] =
    ["gpt-5.2", "gpt-5-mini", "claude-sonnet-4-5", "claude-haiku-4-5", "gemini-3-pro", "gemini-2.5-flash"];

/// An encoded `ExportTraceServiceRequest` and where its ids and times stand.
#[derive(Clone)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    places: Vec<Places>,
}

#[derive(Clone, Copy)]
struct Places {
    trace: usize,
    id: usize,
    parent: Option<usize>,
    start: usize,
    end: usize,
}

impl Batch {
    /// Spans of 1.7 KB: seven generations in eight, with input, output, model, usage and the trace's attributes.
    pub(crate) fn new(n_spans: usize) -> Self {
        let mut spans = Vec::new();
        let mut places = Vec::new();
        for number in 0..n_spans {
            let (span, at) = span(number);
            let mut framed = Vec::new();
            field(&mut framed, 2, &span);
            let shift = spans.len() + framed.len() - span.len();
            places.push(Places {
                trace: at.trace + shift,
                id: at.id + shift,
                parent: at.parent.map(|it| it + shift),
                start: at.start + shift,
                end: at.end + shift,
            });
            spans.extend_from_slice(&framed);
        }
        let mut scope = Vec::new();
        field(&mut scope, 1, b"ken-tracing");
        let mut scope_spans = Vec::new();
        field(&mut scope_spans, 1, &scope);
        let head = scope_spans.len();
        scope_spans.extend_from_slice(&spans);
        let mut resource = Vec::new();
        field(&mut resource, 1, &attribute("service.name", "ken"));
        let mut resource_spans = Vec::new();
        field(&mut resource_spans, 1, &resource);
        field(&mut resource_spans, 2, &scope_spans);
        let shift = resource_spans.len() - scope_spans.len() + head;
        let mut bytes = Vec::new();
        field(&mut bytes, 1, &resource_spans);
        let shift = bytes.len() - resource_spans.len() + shift;
        for it in &mut places {
            for place in [&mut it.trace, &mut it.id, &mut it.start, &mut it.end] {
                *place += shift;
            }
            it.parent = it.parent.map(|place| place + shift);
        }
        Self { bytes, places }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn bytes_per_span(&self) -> usize {
        self.bytes.len() / self.places.len()
    }

    /// Gives every span the ids and times of the batch of this number.
    pub(crate) fn renumber(&mut self, batch: usize) {
        for (at, places) in self.places.iter().enumerate() {
            let span = (batch * self.places.len() + at) as u64;
            let trace = span / SPANS_PER_TRACE as u64;
            // Spread as random ids are.
            let trace_id = [mix(trace), mix(trace ^ 0x5bd1_e995)];
            let mut write =
                |place: usize, value: [u8; 8]| self.bytes[place..place + 8].copy_from_slice(&value);
            write(places.trace, trace_id[0].to_be_bytes());
            write(places.trace + 8, trace_id[1].to_be_bytes());
            write(places.id, mix(span + 1).to_be_bytes());
            if let Some(parent) = places.parent {
                write(parent, mix(trace * SPANS_PER_TRACE as u64 + 1).to_be_bytes());
            }
            let start = BEGIN_NS + span * 500_000_000;
            write(places.start, start.to_le_bytes());
            write(places.end, (start + (mix(span) % 30_000) * 1_000_000).to_le_bytes());
        }
    }
}

/// `v2/metrics`: p95 of latency by model over everything that was sent.
pub(crate) fn latency_by_model() -> String {
    let query = r#"{"view":"observations","dimensions":[{"field":"providedModelName"}],"metrics":[{"measure":"latency","aggregation":"p95"}],"filters":[],"fromTimestamp":"2025-01-01T00:00:00Z","toTimestamp":"2030-01-01T00:00:00Z"}"#;
    let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    format!("/api/public/v2/metrics?query={encoded}")
}

fn mix(number: u64) -> u64 {
    let mut it = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}

fn span(number: usize) -> (Vec<u8>, Places) {
    let mut out = Vec::new();
    field(&mut out, 1, &[0; 16]);
    let trace = out.len() - 16;
    field(&mut out, 2, &[0; 8]);
    let id = out.len() - 8;
    let is_root = number.is_multiple_of(SPANS_PER_TRACE);
    let parent = (!is_root).then(|| {
        field(&mut out, 4, &[0; 8]);
        out.len() - 8
    });
    field(&mut out, 5, if is_root { b"turn" } else { b"chat" });
    out.push((7 << 3) | 1);
    out.extend_from_slice(&[0; 8]);
    let start = out.len() - 8;
    out.push((8 << 3) | 1);
    out.extend_from_slice(&[0; 8]);
    let end = out.len() - 8;
    let thread = format!("thread-{}", number / 64);
    let user = format!("user-{}", number % 97);
    let mut put = |key: &str, value: &str| field(&mut out, 9, &attribute(key, value));
    put("langfuse.observation.type", if is_root { "agent" } else { "generation" });
    put("langfuse.trace.name", "turn");
    put("langfuse.session.id", &thread);
    put("langfuse.user.id", &user);
    put("langfuse.environment", "production");
    put("langfuse.release", "2026.11.1");
    put("langfuse.trace.metadata.channel", "slack");
    if !is_root {
        put("langfuse.observation.model.name", MODELS[number % MODELS.len()]);
        put("langfuse.observation.model.parameters", r#"{"temperature":0.2,"max_tokens":2048}"#);
        put("langfuse.observation.usage_details", r#"{"input":812,"output":164,"total":976}"#);
        put("langfuse.observation.cost_details", r#"{"input":0.002436,"output":0.00246,"total":0.004896}"#);
    }
    put("langfuse.observation.input", &text("[{\"role\":\"user\",\"content\":\"", 560, "\"}]"));
    put("langfuse.observation.output", &text("{\"role\":\"assistant\",\"content\":\"", 330, "\"}"));
    (out, Places { trace, id, parent, start, end })
}

/// Words up to a length.
fn text(before: &str, length: usize, after: &str) -> String {
    let words = "the operators need to see which model was slow and what a turn cost them in the end ";
    let body: String = words.chars().cycle().take(length).collect();
    format!("{before}{body}{after}")
}

fn attribute(key: &str, value: &str) -> Vec<u8> {
    let mut any = Vec::new();
    field(&mut any, 1, value.as_bytes());
    let mut out = Vec::new();
    field(&mut out, 1, key.as_bytes());
    field(&mut out, 2, &any);
    out
}

/// A length-delimited field of fewer than 16.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push((number << 3) | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}
