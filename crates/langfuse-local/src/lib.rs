//! A server in one process that speaks the API of Langfuse v4, for test rigs and for developers.
//!
//! It takes traces by OTLP, keeps them in SQLite, and answers `GET /api/public/v2/observations` and the
//! health routes as Langfuse 4.16.0 does. There is no queue and no user interface; scores, prompts,
//! metrics and model prices are not offered.
//!
//! The way of a batch: [`otlp`] decodes it, [`mapping`] makes rows of it, the object store gets the raw
//! text, [`store`] keeps the rows; [`query`] says what a reader asks for. HTTP is a thin layer around
//! these and is not part of the public surface; [`Server`] runs it.

mod app;
mod http;
pub mod mapping;
mod object_store;
pub mod observation;
pub mod otlp;
mod probe;
pub mod query;
mod server;
pub mod settings;
pub mod store;
mod time;
mod xxhash;

pub use app::{LANGFUSE_VERSION, Notice, OnNotice};
pub use object_store::{ObjectStoreError, UploadError};
pub use server::{Server, StartError};
