//! From a [`Stack`](crate::stack::Stack) to text: the Compose file and the environment files. Pure.

mod compose;
mod environment;

pub use compose::{Rendered, compose_file, fragment, ken_networks};
pub use environment::{EnvironmentFileError, environment_file};
