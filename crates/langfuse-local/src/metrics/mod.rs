//! `GET /v2/metrics`: a query as data, and the arithmetic that answers it.
//!
//! [`grammar`] reads and refuses, [`view`] lists what can be asked, [`aggregate`] takes rows one by one, and
//! [`answer`] orders, fills and prints. Which rows there are is the store's business.

pub(crate) mod aggregate;
mod answer;
mod grammar;
mod histogram;
mod period;
mod view;

pub(crate) use aggregate::{Cell, Groups, Measured};
pub(crate) use answer::rows;
pub(crate) use grammar::MetricsQuery;
pub(crate) use view::{Dimension, DimensionKind, Expand};
