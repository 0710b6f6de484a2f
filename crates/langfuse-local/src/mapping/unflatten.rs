//! Rebuilds a value from dotted keys, within bounds that no sender can push.

use serde_json::{Map, Value};

/// All arrays below one prefix together get no more slots than this.
const MAX_SLOTS: usize = 10_001;
/// Deeper keys are dropped: nesting is walked recursively.
const MAX_DEPTH: usize = 32;

/// `None` when no usable key is given.
pub(super) fn unflatten<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)>) -> Option<Value> {
    let mut root = Map::new();
    for (path, value) in entries {
        let segments: Vec<&str> = path.split('.').take(MAX_DEPTH + 1).collect();
        let forbidden = |segment: &&str| matches!(*segment, "__proto__" | "constructor" | "prototype" | "");
        if segments.len() > MAX_DEPTH || segments.iter().any(forbidden) {
            continue;
        }
        insert(&mut root, &segments, value);
    }
    if root.is_empty() {
        return None;
    }
    let mut slots = MAX_SLOTS;
    Some(lists(Value::Object(root), &mut slots))
}

fn insert(node: &mut Map<String, Value>, segments: &[&str], value: &Value) {
    let [first, rest @ ..] = segments else { return };
    if rest.is_empty() {
        node.insert((*first).to_owned(), value.clone());
        return;
    }
    let child = node.entry(*first).or_insert_with(|| Value::Object(Map::new()));
    if !child.is_object() {
        *child = Value::Object(Map::new());
    }
    if let Value::Object(members) = child {
        insert(members, rest, value);
    }
}

/// Turns objects whose keys are all indices into arrays, as long as slots are left.
fn lists(value: Value, slots: &mut usize) -> Value {
    let Value::Object(members) = value else { return value };
    let index = |key: &str| key.parse::<usize>().ok().filter(|it| it.to_string() == key);
    if members.keys().all(|key| index(key).is_some()) {
        let mut list = Vec::new();
        let mut entries: Vec<(usize, Value)> =
            members.into_iter().filter_map(|(key, value)| Some((index(&key)?, value))).collect();
        entries.sort_by_key(|(at, _)| *at);
        for (at, value) in entries {
            let wanted = (at + 1).saturating_sub(list.len());
            if at >= MAX_SLOTS || wanted > *slots {
                break;
            }
            *slots -= wanted;
            list.resize(at, Value::Null);
            list.push(lists(value, slots));
        }
        return Value::Array(list);
    }
    Value::Object(members.into_iter().map(|(key, value)| (key, lists(value, slots))).collect())
}
