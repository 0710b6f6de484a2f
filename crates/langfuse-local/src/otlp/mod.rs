//! OTLP trace exports: what arrives, decoded from either flavour into one model.
//!
//! The two decoders share nothing but the model, so that a span sent as protobuf and the same span
//! sent as JSON give the same rows. Mapping to observations lives in [`crate::mapping`].

mod json;
mod message;
mod model;
mod protobuf;

pub use json::decode_json;
pub(crate) use model::non_finite;
pub use model::{AnyValue, Attribute, DecodeError, Event, Export, Resource, Scope, Span, Status};
pub use protobuf::decode_protobuf;
