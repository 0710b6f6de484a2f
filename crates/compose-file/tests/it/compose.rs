//! What Compose itself says before and after an edit.
//!
//! Skipped with a printed reason where there is no Compose, but never in CI.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{INCLUDED, Layout, edit, parse, text};

const INCLUDED_TEXT: &str =
    "services:\n  lf-included: {image: c, volumes: [\"lf_inc:/d\"]}\nvolumes:\n  lf_inc:\n";

/// Compose files that Compose itself accepts.
const FILES: [(&str, &str); 16] = [
    (
        "usual",
        "name: ken\nservices:\n  ken:\n    image: a\n    depends_on: [postgres]\n  postgres:\n    image: p\n    volumes:\n      - data:/d\nvolumes:\n  data:\n",
    ),
    ("no newline at the end", "services:\n  ken:\n    image: a\nvolumes:\n  v:"),
    (
        "crlf",
        "version: '3'\r\nservices:\r\n  ken:\r\n    image: a\r\n    command: |\r\n      x\r\n      y\r\n",
    ),
    ("byte-order mark", "\u{feff}services:\n  ken: {image: a}\n"),
    (
        "anchors",
        "x-l: &l {driver: json-file}\nx-b: &b\n  restart: always\n  logging: *l\nservices:\n  ken:\n    <<: *b\n    image: a\n  w: {<<: *b, image: b}\n",
    ),
    ("merged services", "x-s: &s\n  other: {image: o}\nservices:\n  <<: *s\n  ken: {image: a}\n"),
    (
        "json",
        "{\"services\": {\"ken\": {\"image\": \"a\", \"ports\": [\"80:80\"]}}, \"volumes\": {\"v\": {}}}",
    ),
    ("flow sections", "services: {ken: {image: a}}\nvolumes: {}\nnetworks: {n: {}}\n"),
    ("flow include", "include: [theirs.yml]\nservices: {ken: {image: a}}\n"),
    ("block include", "services:\n  ken: {image: a}\ninclude:\n# c\n- theirs.yml"),
    (
        "long include",
        "include:\n    - path: [theirs.yml]\n      project_directory: .\nservices:\n    ken:\n        image: a\n",
    ),
    ("empty include", "include:\nservices:\n  ken: {image: a}\n"),
    ("null include", "include: ~\nservices:\n  ken: {image: a}\n"),
    ("document marks", "---\nservices:\n  ken:\n    image: a\n...\n"),
    (
        "indented root",
        "  services:\n     ken:\n       image: a\n       profiles: [p]\n     redis: {image: r}\n",
    ),
    (
        "block scalars",
        "services:\n  ken:\n    image: a\n    labels:\n      l: |+\n        # >>> ken-langfuse\n        services:\n        \ttab\n\n    command: >-\n      folded\n      ${UNSET:-$$x}\n\n\n",
    ),
];

/// Whether Compose can be asked.
fn has_compose() -> bool {
    let answers =
        Command::new("docker").args(["compose", "version"]).output().is_ok_and(|out| out.status.success());
    if !answers {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must have `docker compose`");
    }
    answers
}

/// Compose's own view of a file.
fn config(folder: &Path, text: &str) -> Value {
    let file = folder.join("docker-compose.yml");
    fs::write(&file, text).unwrap();
    let output = Command::new("docker")
        .args(["compose", "--profile", "*", "-p", "ken", "-f"])
        .arg(&file)
        .args(["config", "--format", "json"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Compose's view less what is ours.
fn of_owner(mut config: Value) -> Value {
    for section in ["services", "volumes", "networks"] {
        if let Some(entries) = config.get_mut(section).and_then(Value::as_object_mut) {
            entries.retain(|name, _| !name.starts_with("langfuse") && !name.starts_with("lf"));
        }
        if config.get(section).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
            config.as_object_mut().unwrap().remove(section);
        }
    }
    config
}

#[test]
fn compose_sees_the_owners_services_unchanged() {
    if !has_compose() {
        println!("skipped: `docker compose version` does not work here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("theirs.yml"), "services:\n  theirs: {image: t}\n").unwrap();
    fs::create_dir(folder.path().join("langfuse")).unwrap();
    fs::write(folder.path().join(INCLUDED), INCLUDED_TEXT).unwrap();
    for (name, original) in FILES {
        let before = config(folder.path(), original);
        for (layout, ours) in
            [(Layout::Include, "lf-included"), (Layout::Merge, "langfuse-web"), (Layout::SmallMerge, "lf")]
        {
            let edited = edit(&parse(original), layout).unwrap_or_else(|error| panic!("{name}: {error}"));
            let after = config(folder.path(), &text(&edited));
            assert!(after["services"].get(ours).is_some(), "{name}, {layout:?}: Compose does not see {ours}");
            assert_eq!(of_owner(before.clone()), of_owner(after), "{name}, {layout:?}");
            // Compose and this crate agree on what is there.
            let mut names: Vec<_> =
                parse(original).services().into_iter().map(|service| service.name).collect();
            names.extend(parse(original).includes().iter().map(|_| "theirs".to_owned()));
            let seen = before["services"].as_object().unwrap();
            assert!(
                names.len() == seen.len() && names.iter().all(|name| seen.contains_key(name)),
                "{name}: {names:?}"
            );
        }
    }
}
