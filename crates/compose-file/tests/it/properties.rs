//! What holds for every file: edit then undo is the identity, nothing else moves, nothing panics.

use std::path::Path;

use ken_compose_file::{ComposeFile, Ours};
use proptest::prelude::*;
use serde_yaml_ng::Value;

use crate::generator::{Recipe, recipe};
use crate::support::{Layout, edit, edit_and_check, parse, text};

const OURS: [&str; 7] =
    ["langfuse-redis", "langfuse-web", "langfuse_redis", "langfuse_plain", "langfuse", "lf", "lf_data"];

/// The failing input is printed; no files are left in the tree.
fn cases(cases: u32) -> ProptestConfig {
    // `PROPTEST_CASES` asks for more than what a usual run has time for.
    let asked = ProptestConfig::default().cases;
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked } else { cases };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::Include), Just(Layout::Merge), Just(Layout::SmallMerge)]
}

/// The data of a file less ours, read by a parser that shares no code with the editor's.
fn data_of_owner(text: &str) -> Value {
    let text = text.trim_start_matches('\u{feff}');
    let mut value: Value = serde_yaml_ng::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let root = value.as_mapping_mut().expect("a mapping");
    for section in ["services", "volumes", "networks", "include"] {
        let is_empty = match root.get_mut(section) {
            Some(Value::Mapping(entries)) => {
                entries.retain(|key, _| !key.as_str().is_some_and(|key| OURS.contains(&key)));
                entries.is_empty()
            }
            Some(Value::Sequence(items)) => {
                items.retain(|item| item.as_str() != Some(crate::support::INCLUDED));
                items.is_empty()
            }
            Some(Value::Tagged(tagged)) => {
                if let Value::Mapping(entries) = &mut tagged.value {
                    entries.retain(|key, _| !key.as_str().is_some_and(|key| OURS.contains(&key)));
                }
                false
            }
            other => other.is_none_or(|value| value.is_null()),
        };
        if is_empty {
            root.remove(section);
        }
    }
    value
}

/// Puts a line of the owner's into an edited file and into the original at the same place.
/// `None` where the place is inside a part of ours, or the line breaks the file.
fn with_owner_line(
    original: &str,
    layout: Layout,
    at: prop::sample::Index,
    line: &str,
) -> Option<(ComposeFile, String)> {
    let edited = edit(&parse(original), layout).ok()?;
    let edited_text = text(&edited);
    let lines: Vec<&str> = edited_text.split_inclusive('\n').collect();
    let boundary = at.index(lines.len());
    let parts = match parse(&edited_text).ours() {
        Ours::Include { lines, .. } => vec![lines],
        Ours::Merged { lines, .. } => lines,
        ours => panic!("{ours:?}"),
    };
    // The boundary lies before the line with that index, that is after the line with that number.
    if parts.iter().any(|part| part.contains(&boundary) && part.contains(&(boundary + 1))) {
        return None;
    }
    let bare = |line: &str| line.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']).to_owned();
    let whole_lines_before = edited
        .changes
        .iter()
        .filter(|change| change.line <= boundary && bare(lines[change.line - 1]) == change.text)
        .count();
    let original_lines: Vec<&str> = original.split_inclusive('\n').collect();
    let insert = |lines: &[&str], at: usize| {
        let (before, after) = lines.split_at(at);
        // A byte-order mark stays at the beginning.
        let (mark, before) = match before.concat() {
            before if before.is_empty() && original.starts_with('\u{feff}') => ("\u{feff}", before),
            before => ("", before),
        };
        let after = after.concat();
        format!("{mark}{before}{line}{}", after.strip_prefix(mark).unwrap_or(&after))
    };
    let expected = insert(&original_lines, boundary - whole_lines_before);
    let edited = insert(&lines, boundary);
    let path = Path::new("docker-compose.yml");
    // A line in the midst of a block scalar may end it and turn its text into comments.
    let clean = ComposeFile::parse(path, expected.clone().into_bytes()).ok()?.ours() == Ours::NotThere;
    let edited = ComposeFile::parse(path, edited.into_bytes()).ok()?;
    clean.then_some((edited, expected))
}

/// Whatever a text is, no call on it panics, and an edit that is made can be undone.
fn never_panics(bytes: Vec<u8>) {
    let Ok(file) = ComposeFile::parse(Path::new("f"), bytes.clone()) else { return };
    let services = file.services();
    for service in &services {
        let _ = file.depends_on(&service.name);
    }
    let _ = (file.includes(), file.project_name(), file.top_level("volumes"));
    let was_clean = file.ours() == Ours::NotThere;
    for layout in [Layout::Include, Layout::SmallMerge] {
        let Ok(edited) = edit(&file, layout) else { continue };
        let again = ComposeFile::parse(Path::new("f"), edited.bytes).expect("an edited file can be read");
        if was_clean {
            let undone = again.without_ours().expect("an edit can be undone");
            assert_eq!(undone.bytes, bytes);
        }
    }
    if let Ok(undone) = file.without_ours() {
        ComposeFile::parse(Path::new("f"), undone.bytes).expect("an undone file can be read");
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn edits_can_be_undone_and_change_nothing_else(recipe in recipe(), layout in layout()) {
        let original = recipe.text();
        let edited = edit_and_check(&original, layout)
            .unwrap_or_else(|error| panic!("{error}\n{original}"));
        prop_assert_eq!(data_of_owner(&original), data_of_owner(&edited), "{}", edited);
    }

    #[test]
    fn owner_edits_survive(recipe in recipe(), layout in layout(), at: prop::sample::Index, blank: bool) {
        let original = recipe.text();
        let line = format!("{}{}", if blank { "" } else { "# owner" }, recipe.line_break());
        if let Some((edited, expected)) = with_owner_line(&original, layout, at, &line) {
            let undone = edited.without_ours().unwrap_or_else(|error| panic!("{error}\n{}", text_of(&edited)));
            prop_assert_eq!(text(&undone), expected, "{}", text_of(&edited));
        }
    }

    #[test]
    fn one_layout_gives_way_to_another(recipe in recipe(), first in layout(), second in layout()) {
        let original = recipe.text();
        let file = parse(&original);
        let direct = edit(&file, second).unwrap();
        let detour = edit(&parse(&text(&edit(&file, first).unwrap())), second).unwrap();
        prop_assert_eq!(text(&direct), text(&detour));
    }

    #[test]
    fn mutated_files_never_panic(
        recipe in recipe(),
        edited: bool,
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0..12usize, "[ \t\r\n:#&*!|>'\"%@{}\\[\\],?a~<-]{0,4}"), 1..4),
    ) {
        never_panics(mutated(&recipe, edited, &cuts));
    }
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        never_panics(bytes);
    }

    #[test]
    fn punctuation_never_panics(text in "(\u{feff})?[ \t\r\n:#&*!|>'\"%@{}\\[\\],?a-c~<-]{0,20}(services|include)?: ?[ \t\r\n:#&*!|>'\"{}\\[\\],?a-c~<-]{0,60}") {
        never_panics(text.into_bytes());
    }

    #[test]
    fn sections_in_odd_clothes_never_panic(
        services in "services[ ]?:[ \n]{0,3}[&!a ]{0,3}[\n ]{0,3}[{}\\[\\]a-c:,\n #~-]{0,20}",
        include in "include:[ \n]{0,3}[&!a ]{0,3}[\n ]{0,3}[{}\\[\\]a-c:,\n #~-]{0,20}",
        flow: bool,
    ) {
        let text = if flow { format!("{{{services} , {include}}}") } else { format!("{services}\n{include}") };
        never_panics(text.into_bytes());
    }
}

fn text_of(file: &ComposeFile) -> String {
    String::from_utf8_lossy(file.bytes()).into_owned()
}

fn mutated(recipe: &Recipe, edited: bool, cuts: &[(prop::sample::Index, usize, String)]) -> Vec<u8> {
    let mut text = recipe.text();
    if edited {
        text = crate::support::text(&edit(&parse(&text), Layout::SmallMerge).unwrap());
    }
    let mut bytes = text.into_bytes();
    for (at, length, put) in cuts {
        let start = at.index(bytes.len() + 1);
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, put.bytes());
    }
    bytes
}
