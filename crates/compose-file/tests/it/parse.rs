//! What is read from a file, and what is said of one that is none.

use std::path::Path;

use ken_compose_file::{ComposeFile, MAX_BYTES, ParseProblem};

use crate::support::parse;

fn refused(bytes: impl Into<Vec<u8>>) -> String {
    match ComposeFile::parse(Path::new("k.yml"), bytes.into()) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => format!("{error}\n  hint: {}", error.hint),
    }
}

#[test]
fn bad_files_get_one_clear_error_with_line_and_column() {
    let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, i| {
        format!("{text}a{i}: &a{i} [*a{0}, *a{0}, *a{0}]\n", i - 1)
    });
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("empty", b"".to_vec()),
        ("only comments", b"# nothing\n".to_vec()),
        ("null", b"---\n~\n".to_vec()),
        ("list", b"- a\n".to_vec()),
        ("text", b"hello\n".to_vec()),
        ("no services", b"name: a\n".to_vec()),
        ("services a list", b"name: a\nservices: [a]\n".to_vec()),
        ("services a text", b"services: a\n".to_vec()),
        ("volumes a list", b"services: {}\nvolumes:\n  - a\n".to_vec()),
        ("include a text", b"include: a.yml\nservices: {}\n".to_vec()),
        ("two documents", b"services: {}\n---\nservices: {}\n".to_vec()),
        ("duplicate section", b"services: {}\nvolumes:\nservices: {}\n".to_vec()),
        ("duplicate deep down", b"services:\n  a:\n    image: x\n    \"image\": y\n".to_vec()),
        ("duplicate merge key", b"x: &x {}\nservices:\n  a:\n    <<: *x\n    <<: *x\n".to_vec()),
        ("undefined alias", "services:\n  ä: {größe: *b}\n".into()),
        ("cyclic alias", b"services:\n  a: &a\n    b: [1, *a]\n".to_vec()),
        ("alias bomb", format!("{bomb}services: {{}}\n").into_bytes()),
        ("tab", b"services:\n\ta: {}\n".to_vec()),
        ("unclosed bracket", b"services: {a: {image: x}\n".to_vec()),
        ("unclosed quote", b"services:\n  a: {image: \"x}\n".to_vec()),
        ("bad indentation", b"services:\n  a:\n    image: x\n   b: y\n".to_vec()),
        ("not utf-8", b"services:\n  a: \xff\xfe\n".to_vec()),
        (
            "utf-16",
            "services: {}\n".encode_utf16().fold(vec![0xff, 0xfe], |mut bytes, unit| {
                bytes.extend(unit.to_le_bytes());
                bytes
            }),
        ),
        ("nul", b"services:\n  a: \0\n".to_vec()),
        ("elf", b"\x7fELF\x02\x01\x01\0\0\0".to_vec()),
        ("too deep in brackets", format!("services: {}", "[".repeat(100_000)).into_bytes()),
        ("too deep in blocks", format!("services: {{}}\nx:\n  {}a\n", "- ".repeat(100_000)).into_bytes()),
    ];
    let shown: Vec<String> =
        files.into_iter().map(|(name, bytes)| format!("{name}: {}", refused(bytes))).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn size_is_looked_at_before_the_text() {
    let error = ComposeFile::parse(Path::new("k.yml"), vec![0xff; MAX_BYTES + 1]).unwrap_err();
    assert_eq!(
        error.problem,
        ParseProblem::TooLarge { bytes: MAX_BYTES as u64 + 1, limit: MAX_BYTES as u64 }
    );
}

#[test]
fn no_value_of_the_file_is_in_an_error_or_in_debug() {
    let secret = "hunter2hunter2";
    let texts = [
        format!("services:\n  a:\n    environment: {{P: {secret}, P: {secret}}}\n"),
        format!("services:\n  a:\n    environment: {{P: \"{secret}\n"),
        format!("services: {secret}\n"),
        format!("services:\n  a: {secret}\n  b: *{}\n", "c"),
        format!("services:\n  a: {secret}\n - b\n"),
        format!("services:\n  a: {secret}: {secret}\n"),
    ];
    for text in texts {
        let error = ComposeFile::parse(Path::new("k.yml"), text.into_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
    }
    let file = parse(&format!("services:\n  a: {{environment: {{P: {secret}}}}}\n"));
    let edited = file.with_include("langfuse/compose.yml").unwrap();
    assert!(!format!("{file:?} {edited:?}").contains(secret));
}

const READABLE: &str = "\
name: ${PROJECT:-ken}
include:
  - a.yml
  - path: b.yml
  - {path: [c.yml, d.yml], env_file: e.env}
x-depends: &depends
  depends_on:
    postgres: {condition: service_healthy}
    cache: {condition: service_started}
x-services: &more
  extra: {image: e}
  ken: {image: hidden}
x-list: &list [postgres]
services:
  <<: [*more]
  ken:
    <<: *depends
  worker: {depends_on: [ken, postgres]}
  job:
    depends_on: *list
  \"postgres\": &pg
    image: postgres:15
  twin: *pg
volumes: {a: , b: {}}
networks:
  'n 1':
";

#[test]
fn reading_follows_aliases_and_merge_keys() {
    let file = parse(READABLE);
    let services: Vec<_> = file.services().into_iter().map(|service| (service.name, service.line)).collect();
    let expected = [("ken", 16), ("worker", 18), ("job", 19), ("postgres", 21), ("twin", 23), ("extra", 11)];
    assert_eq!(services, expected.map(|(name, line)| (name.to_owned(), line)));
    assert_eq!(file.project_name().as_deref(), Some("${PROJECT:-ken}"));
    assert_eq!(file.includes(), ["a.yml", "b.yml", "c.yml", "d.yml"]);
    assert_eq!(file.depends_on("ken"), ["postgres", "cache"]);
    assert_eq!(file.depends_on("worker"), ["ken", "postgres"]);
    assert_eq!(file.depends_on("job"), ["postgres"]);
    assert!(file.depends_on("postgres").is_empty() && file.depends_on("nobody").is_empty());
    assert_eq!(file.top_level("volumes"), ["a", "b"]);
    assert_eq!(file.top_level("networks"), ["n 1"]);
    assert!(file.top_level("configs").is_empty());
    assert_eq!(file.bytes(), READABLE.as_bytes());
}

#[test]
fn services_may_come_by_a_merge_key() {
    let file = parse("x: &x\n  services: {a: {image: i}}\n<<: *x\n");
    assert_eq!(file.services().len(), 1);
}
