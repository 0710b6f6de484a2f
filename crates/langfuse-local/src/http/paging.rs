//! `page` and `limit` of lists.

use serde_json::{Value, json};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// Which page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paging {
    page: usize,
    limit: usize,
}

impl Paging {
    /// Reads a query string; the error is a list of issues in the validator's shape.
    pub(super) fn parse(query: &str) -> Result<Self, Vec<Value>> {
        let (mut paging, mut issues) = (Self { page: 1, limit: DEFAULT_LIMIT }, Vec::new());
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let (slot, most) = match &*key {
                "page" => (&mut paging.page, usize::MAX),
                "limit" => (&mut paging.limit, MAX_LIMIT),
                _ => continue,
            };
            match value.trim().parse::<usize>() {
                Ok(number) if (1..=most).contains(&number) => *slot = number,
                Ok(0) => issues.push(json!({ "origin": "number", "code": "too_small", "minimum": 1,
                    "inclusive": true, "path": [key], "message": "Too small: expected number to be >=1" })),
                Ok(_) => issues.push(json!({ "origin": "number", "code": "too_big", "maximum": most,
                    "inclusive": true, "path": [key],
                    "message": format!("Too big: expected number to be <={most}") })),
                Err(_cause) => issues
                    .push(json!({ "expected": "number", "code": "invalid_type", "received": "NaN",
                    "path": [key], "message": "Invalid input: expected number, received NaN" })),
            }
        }
        if issues.is_empty() { Ok(paging) } else { Err(issues) }
    }

    /// The page of all items, with what it is a page of.
    pub(super) fn page(self, items: Vec<Value>) -> Value {
        let n_items = items.len();
        let first = self.limit.saturating_mul(self.page - 1);
        let data: Vec<Value> = items.into_iter().skip(first).take(self.limit).collect();
        json!({ "data": data, "meta": { "page": self.page, "limit": self.limit, "totalItems": n_items,
            "totalPages": n_items.div_ceil(self.limit) } })
    }
}
