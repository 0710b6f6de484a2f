//! A server in one process that speaks the API of Langfuse v4, for test rigs and for developers.
//!
//! It takes traces by OTLP, keeps them in SQLite, and answers observations, metrics, scores, models,
//! dashboards and the health routes as Langfuse 4.16.0 does. There is no queue: what was answered is readable at once.
//!
//! The way of a batch: [`otlp`] decodes it, [`mapping`] makes rows of it, the object store gets the raw
//! text, [`store`] keeps the rows; [`query`] says what a reader asks for, `metrics` what is computed. HTTP is a thin layer around
//! these and is not part of the public surface; [`Server`] runs it.

mod app;
mod http;
pub mod mapping;
mod metrics;
pub mod models;
mod object_store;
pub mod observation;
pub mod otlp;
mod pages;
mod probe;
pub mod query;
pub mod score;
mod server;
pub mod settings;
pub mod store;
mod time;
mod xxhash;

pub use app::{LANGFUSE_VERSION, Notice, OnNotice};
pub use object_store::{ObjectStoreError, UploadError};
pub use server::{Server, StartError};
