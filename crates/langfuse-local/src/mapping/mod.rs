//! From an export to rows: which attribute becomes which field.
//!
//! One span makes exactly one observation and nothing is carried from span to span, as on the direct
//! path of Langfuse v4. Tool definitions are not moved into the input, and costs are not computed from
//! model prices.

mod attributes;
mod fields;
mod io;
mod kind;
mod metadata;
mod tools;
mod unflatten;
mod usage;

use thiserror::Error;

use crate::observation::Observation;
use crate::otlp::Export;

use attributes::Attributes;

/// Why a batch that was accepted cannot be converted.
#[derive(Debug, Error, PartialEq)]
pub enum MappingError {
    /// Langfuse's converter stumbles over it, so the whole batch is lost after the answer.
    #[error("attribute `{key}` has no value")]
    NoValue {
        /// The attribute's key.
        key: String,
    },
}

/// Converts a whole export, or nothing of it. `now_ms` stands in for missing times.
pub fn observations(export: Export, now_ms: i64) -> Result<Vec<Observation>, MappingError> {
    let mut rows = Vec::with_capacity(export.n_spans());
    for (resource, scope, spans) in export.groups {
        let resource = Attributes::new(resource.attributes)?;
        let scope = (scope.name, scope.version, Attributes::new(scope.attributes)?);
        for span in spans {
            rows.push(fields::observation(span, &resource, &scope, now_ms)?);
        }
    }
    Ok(rows)
}
