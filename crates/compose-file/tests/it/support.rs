//! What the tests share: a fragment like the real one, and the promises that hold for every file.

use std::path::Path;

use ken_compose_file::{ComposeFile, EditError, Edited, Fragment, Ours};

pub(crate) const INCLUDED: &str = "langfuse/compose.yml";

pub(crate) fn parse(text: &str) -> ComposeFile {
    ComposeFile::parse(Path::new("docker-compose.yml"), text.as_bytes().to_vec())
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn pair(name: &str, body: &str) -> (String, String) {
    (name.to_owned(), body.to_owned())
}

/// Services with everything that could go wrong when text is moved to the right.
pub(crate) fn fragment() -> Fragment {
    Fragment {
        services: vec![
            pair(
                "langfuse-redis",
                "image: redis:7.2.4\ncommand:\n  - sh\n  - -c\n  - |\n    exec redis-server \\\n      --appendonly yes\n\n    # >>> not a marker\nports:\n  - 127.0.0.1:3000:3000\n",
            ),
            pair(
                "langfuse-web",
                "image: \"docker.io/langfuse/langfuse:4.16.0\"\ndepends_on:\n  langfuse-redis:\n    condition: service_healthy\nenvironment:\n  TZ: UTC\n  NODE_OPTIONS: --max-old-space-size=1536\n  EMPTY: \"\"\nmem_limit: 2147483648\ninit: true\n",
            ),
        ],
        volumes: vec![pair("langfuse_redis", "name: ken_langfuse_redis\n"), pair("langfuse_plain", "")],
        networks: vec![pair("langfuse", "internal: false")],
        ..Fragment::default()
    }
}

pub(crate) fn small_fragment() -> Fragment {
    Fragment {
        services: vec![pair("lf", "image: \"b:1\"\nports:\n  - 127.0.0.1:3000:3000\n")],
        volumes: vec![pair("lf_data", "")],
        ..Fragment::default()
    }
}

pub(crate) fn text(edited: &Edited) -> String {
    String::from_utf8(edited.bytes.clone()).expect("an edited file is UTF-8")
}

/// One of the two edits that a file may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Include,
    Merge,
    /// A merge of one short service and one volume.
    SmallMerge,
}

pub(crate) fn edit(file: &ComposeFile, layout: Layout) -> Result<Edited, EditError> {
    match layout {
        Layout::Include => file.with_include(INCLUDED),
        Layout::Merge => file.with_merged(&fragment()),
        Layout::SmallMerge => file.with_merged(&small_fragment()),
    }
}

/// Edits a text and checks what must hold for every edit; gives the edited text.
pub(crate) fn edit_and_check(original: &str, layout: Layout) -> Result<String, EditError> {
    let file = parse(original);
    assert_eq!(file.ours(), Ours::NotThere);
    let edited = edit(&file, layout)?;
    let edited_text = text(&edited);
    let again = parse(&edited_text);
    match (again.ours(), layout) {
        (Ours::Include { path, .. }, Layout::Include) => assert_eq!(path, INCLUDED),
        (Ours::Merged { services, volumes, networks, .. }, Layout::Merge) => {
            assert_eq!(services, ["langfuse-redis", "langfuse-web"]);
            assert_eq!(volumes, ["langfuse_redis", "langfuse_plain"]);
            assert_eq!(networks, ["langfuse"]);
        }
        (Ours::Merged { services, volumes, .. }, Layout::SmallMerge) => {
            assert_eq!((services, volumes), (vec!["lf".to_owned()], vec!["lf_data".to_owned()]));
        }
        (ours, _) => panic!("{layout:?} left {ours:?}\n{edited_text}"),
    }
    let twice = edit(&again, layout).unwrap_or_else(|error| panic!("twice: {error}\n{edited_text}"));
    assert_eq!(text(&twice), edited_text, "an edit made twice differs from one made once");
    assert!(twice.changes.is_empty());
    let undone = again.without_ours().unwrap_or_else(|error| panic!("undo: {error}\n{edited_text}"));
    assert_eq!(text(&undone), original, "the undo does not give the original back:\n{edited_text}");
    assert!(edited.changes.iter().all(|change| change.added) && edited.is_changed());
    assert!(undone.changes.iter().all(|change| !change.added) && undone.is_changed());
    Ok(edited_text)
}
