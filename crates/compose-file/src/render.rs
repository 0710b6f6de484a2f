//! Our entries as text: lines for block style, one line for inside brackets.
//!
//! Content is made for column 0 with line feeds; [`placed`] moves it to where it goes.

use crate::fragment::{Content, Entry};
use crate::marker;
use crate::section::Section;
use crate::tree::{Kind, NodeId, ScalarStyle, Tree};

/// The lines of a section's entries, each with its line feed.
pub(crate) fn block_entries(content: &Content, step: usize) -> String {
    match content {
        Content::Path(path) => format!("- {}\n", plain_path(path)),
        Content::Entries(entries) => entries.iter().map(|entry| block_entry(entry, step)).collect(),
    }
}

/// The lines of a section with its key.
pub(crate) fn block_key(section: Section, content: &Content, step: usize) -> String {
    format!("{section}:\n{}", indented(&block_entries(content, step), step, "\n"))
}

fn block_entry(entry: &Entry, step: usize) -> String {
    let name = key_text(&entry.name);
    let Some(root) = entry.tree.root else { return format!("{name}:\n") };
    let is_block = matches!(
        entry.tree.node(root).kind,
        Kind::Mapping { flow: false, .. } | Kind::Sequence { flow: false, .. }
    );
    let single = entry.text.trim();
    if !is_block && entry.tree.comments.is_empty() && !single.contains('\n') {
        return if single.is_empty() { format!("{name}:\n") } else { format!("{name}: {single}\n") };
    }
    let mut text = indented(&entry.text, step, "\n");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    format!("{name}:\n{text}")
}

/// Content with its markers, at a column and with the file's line break.
pub(crate) fn placed(content: &str, column: usize, line_break: &str) -> String {
    let lines = format!("{}\n{content}{}\n", marker::begin_line(content), marker::end_line());
    indented(&lines, column, line_break)
}

/// Moves lines to the right; empty lines stay empty.
fn indented(text: &str, column: usize, line_break: &str) -> String {
    let margin = " ".repeat(column);
    let mut moved = String::with_capacity(text.len() + text.len() / 4);
    for line in text.split_inclusive('\n') {
        let (line, ends) = match line.strip_suffix('\n') {
            Some(line) => (line, true),
            None => (line, false),
        };
        if !line.is_empty() {
            moved.push_str(&margin);
        }
        moved.push_str(line);
        if ends {
            moved.push_str(line_break);
        }
    }
    moved
}

/// Undoes [`placed`] for the lines between the markers; `None` when one stands further left.
pub(crate) fn content_of(placed: &str, column: usize) -> Option<String> {
    let text = placed.replace("\r\n", "\n").replace('\r', "\n");
    let mut content = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some("") => {}
            _ if line.len() < column || !line.bytes().take(column).all(|byte| byte == b' ') => return None,
            _ => content.push_str(&line[column..line.len() - usize::from(line.ends_with('\n'))]),
        }
        content.push('\n');
    }
    Some(content)
}

/// Key and value of each entry for inside brackets; an item of `include` has no key.
pub(crate) fn flow_entries(content: &Content) -> Vec<(Option<String>, String)> {
    match content {
        Content::Path(path) => vec![(None, quoted(path))],
        Content::Entries(entries) => entries
            .iter()
            .map(|entry| {
                let value = entry.tree.root.map_or_else(|| "null".to_owned(), |root| flow(&entry.tree, root));
                (Some(key_text(&entry.name)), value)
            })
            .collect(),
    }
}

/// The whole section as one value in brackets.
pub(crate) fn flow_value(content: &Content) -> String {
    let entries = flow_entries(content).into_iter().map(|(key, value)| flow_pair(key.as_deref(), &value));
    let list = entries.collect::<Vec<_>>().join(", ");
    match content {
        Content::Path(_) => format!("[{list}]"),
        Content::Entries(_) => format!("{{{list}}}"),
    }
}

/// An entry inside brackets.
pub(crate) fn flow_pair(key: Option<&str>, value: &str) -> String {
    match key {
        Some(key) => format!("{key}: {value}"),
        None => value.to_owned(),
    }
}

/// A node on one line. The depth is bounded by the parser.
fn flow(tree: &Tree, id: NodeId) -> String {
    match &tree.node(id).kind {
        Kind::Scalar { value, style: ScalarStyle::Plain } => {
            // Outside brackets a plain scalar may hold what would end it inside.
            let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '+' | '-');
            match value.as_ref() {
                "" | "~" => "null".to_owned(),
                value if value != "-" && value.chars().all(safe) => value.to_owned(),
                value => quoted(value),
            }
        }
        Kind::Scalar { value, .. } => quoted(value),
        Kind::Sequence { items, .. } => {
            format!("[{}]", items.iter().map(|item| flow(tree, *item)).collect::<Vec<_>>().join(", "))
        }
        Kind::Mapping { entries, .. } => {
            let pairs =
                entries.iter().map(|(key, value)| format!("{}: {}", flow(tree, *key), flow(tree, *value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        // A fragment with aliases is refused when it is parsed.
        Kind::Alias { .. } => "null".to_owned(),
    }
}

/// A key without quotes where it is surely text without them.
pub(crate) fn key_text(name: &str) -> String {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && !WORDS.contains(&name.to_ascii_lowercase().as_str());
    if plain { name.to_owned() } else { quoted(name) }
}

fn plain_path(path: &str) -> String {
    let plain = path.starts_with(|c: char| c.is_ascii_alphabetic())
        && path.contains(['/', '.'])
        && path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-'));
    if plain { path.to_owned() } else { quoted(path) }
}

/// A double-quoted scalar.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Line breaks of YAML 1.1, which Compose's parser would fold.
            '\u{85}' | '\u{2028}' | '\u{2029}' => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
