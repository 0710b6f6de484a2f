//! Markers that were changed by hand are reported, and nothing is edited.

use ken_compose_file::Ours;

use crate::support::{Layout, edit, parse, text};

const PLAIN: &str = "name: a\nservices:\n  ken:\n    image: a\n";

/// What every call says of a text; they must agree.
fn verdict(edited: &str) -> String {
    let file = parse(edited);
    let error = file.without_ours().expect_err(edited);
    assert_eq!(file.ours(), Ours::Damaged(error.clone()));
    for layout in [Layout::Include, Layout::Merge] {
        assert_eq!(edit(&file, layout).expect_err(edited), error);
    }
    format!("{error}\n  hint: {}", error.hint)
}

#[test]
fn changed_blocks() {
    let merged = text(&edit(&parse(PLAIN), Layout::SmallMerge).unwrap());
    let begin = merged.lines().next().unwrap().to_owned() + "\n";
    let end = "# <<< ken-langfuse\n";
    let cases: Vec<(&str, String)> = vec![
        ("a value changed", merged.replace("b:1", "b:2")),
        ("a line added", merged.replace("  lf_data:\n", "  lf_data:\n  mine:\n")),
        ("a line removed", merged.replace("    ports:\n      - 127.0.0.1:3000:3000\n", "")),
        ("begin removed", merged.replacen(&begin, "", 1)),
        ("end removed", merged.replacen(end, "", 1)),
        ("last end removed", merged.replacen(&format!("  {end}"), "", 1)),
        ("sum removed", merged.replacen(" sum=", " ", 1)),
        ("marker shortened", merged.replacen(" (managed; remove with: cargo xtask rollback)", "", 1)),
        ("moved to the left", merged.replacen("  lf_data", " lf_data", 1)),
        (
            "an empty block",
            format!(
                "# >>> ken-langfuse (managed; remove with: cargo xtask rollback) sum=e3b0c44298fc\n{end}{PLAIN}"
            ),
        ),
        (
            "inside the owner's service",
            PLAIN.replace(
                "    image: a\n",
                &format!("    {begin}    volumes:\n      lf_data:\n    {end}    image: a\n"),
            ),
        ),
    ];
    let shown: Vec<String> = cases.iter().map(|(name, text)| format!("{name}: {}", verdict(text))).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn changed_brackets() {
    let include = text(&edit(&parse("include: [a.yml]\nservices: {}\n"), Layout::Include).unwrap());
    let json = text(&edit(&parse("{\"services\": {}}"), Layout::SmallMerge).unwrap());
    let filled = text(&edit(&parse("include: ~\nservices: {}\n"), Layout::Include).unwrap());
    let cases = [
        ("a path changed", include.replace("langfuse/compose", "other/compose")),
        ("anchor cut", include.replacen("&ken-langfuse-6", "&ken-langfuse-", 1)),
        ("moved elsewhere", include.replacen("include:", "x-include:", 1)),
        ("a value changed", json.replace("b:1", "b:2")),
        ("a value added", filled.replace("\"]", "\", mine.yml]")),
        ("another null", filled.replace("tilde", "other")),
    ];
    let shown: Vec<String> = cases.iter().map(|(name, text)| format!("{name}: {}", verdict(text))).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_block_deleted_whole_is_no_damage() {
    let merged = text(&edit(&parse(PLAIN), Layout::SmallMerge).unwrap());
    let (_, rest) = merged.split_once("# <<< ken-langfuse\n").unwrap();
    let file = parse(rest);
    assert!(matches!(file.ours(), Ours::Merged { volumes, .. } if volumes.is_empty()));
    assert_eq!(text(&file.without_ours().unwrap()), PLAIN);
    assert_eq!(text(&edit(&file, Layout::SmallMerge).unwrap()), merged);
}

#[test]
fn remarks_and_other_words_are_no_markers() {
    for original in [
        "services: # >>> ken-langfuse\n  ken: {image: a}\n",
        "# >>> ken-langfuse-other\nservices:\n  ken: {image: a} # <<< ken-langfuse\n",
        "services:\n  ken: &ken {image: a}\n  b: &ken-lang {image: *ken}\n",
    ] {
        assert_eq!(parse(original).ours(), Ours::NotThere);
    }
}
