//! Edited files, as they look.

use crate::support::{INCLUDED, Layout, edit_and_check, parse};

const KEN: &str = "\
# Ken's stack.
name: ken

x-logging: &logging
  driver: json-file
  options: {max-size: \"10m\"}

services:
  # The application itself.
  ken:
    image: ken:1.2   # pinned
    logging: *logging
    depends_on:
      postgres: {condition: service_healthy}
    command:
      - sh
      - -c
      - |
        echo '# >>> ken-langfuse (managed; remove with: cargo xtask rollback) sum=000000000000'
        echo 'services:'
\t# a tab in a block scalar is at its place above
    ports: [\"8080:8080\"]

  postgres:
    <<: &defaults
      restart: unless-stopped
    image: postgres:15
    volumes:
      - pgdata:/var/lib/postgresql/data

volumes:
  pgdata:";

fn ken() -> String {
    KEN.replace("\t# a tab in a block scalar is at its place above\n", "        \techo 'tab'\n")
}

#[test]
fn include_in_a_usual_file() {
    insta::assert_snapshot!(edit_and_check(&ken(), Layout::Include).unwrap());
}

#[test]
fn merge_into_a_usual_file() {
    insta::assert_snapshot!(edit_and_check(&ken(), Layout::Merge).unwrap());
}

#[test]
fn changes_show_only_our_lines() {
    let changes = parse(&ken()).with_include(INCLUDED).unwrap().changes;
    let shown: Vec<String> = changes.iter().map(|change| format!("{} {change}", change.line)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

/// Files in many shapes, edited in both ways. The promises of [`edit_and_check`] hold for each.
#[test]
fn shapes() {
    let shapes: &[(&str, &str)] = &[
        ("smallest", "services: {ken: {image: a}}"),
        ("smallest block, no newline", "services:\n  ken:\n    image: a"),
        ("crlf", "services:\r\n  ken:\r\n    image: a\r\nvolumes:\r\n  v:\r\n"),
        ("mixed line ends", "name: a\r\nservices:\n  ken:\r\n    image: a\nvolumes:\r\n  v:\n"),
        ("old mac line ends", "services:\r  ken:\r    image: a\r"),
        ("byte-order mark", "\u{feff}services:\n  ken: {image: a}\n"),
        ("byte-order mark and comment", "\u{feff}# hello\nservices:\n  ken: {image: a}\n"),
        ("document marks", "%YAML 1.2\n---\n# c\nservices:\n  ken: {image: a}\n...\n# after\n"),
        ("indented root", "  version: '3'\n  services:\n     ken:\n       image: a\n"),
        ("quoted keys", "\"services\":\n    'ken':\n        image: a\n\"volumes\":\n    \"v\": {}\n"),
        ("block include", "include:\n  # theirs\n  - a.yml\n  - path: b.yml\nservices:\n  ken: {image: a}\n"),
        ("include at the margin", "services:\n  ken: {image: a}\ninclude:\n- a.yml"),
        ("flow include", "include: [a.yml, 'b.yml']\nservices:\n  ken: {image: a}\n"),
        ("flow include with blanks", "include: [ a.yml ]\nservices:\n  ken: {image: a}\n"),
        ("flow include on lines", "include: [\n  a.yml, # c\n  b.yml,\n]\nservices:\n  ken: {image: a}\n"),
        ("empty flow include", "include: []\nservices:\n  ken: {image: a}\n"),
        ("empty include", "include:\nservices:\n  ken: {image: a}\n"),
        ("empty include with comment", "include: # none yet\n\nservices:\n  ken: {image: a}\n"),
        ("null include", "include: ~\nservices:\n  ken: {image: a}\n"),
        ("empty include at the end", "services:\n  ken: {image: a}\ninclude:"),
        ("json", "{\"services\": {\"ken\": {\"image\": \"a\"}}, \"volumes\": {\"v\": null}}\n"),
        ("json on lines", "{\n  \"services\": {\n    \"ken\": {\"image\": \"a\"}\n  }\n}\n"),
        ("flow services in block", "services: {ken: {image: a}}\nvolumes: {}\nnetworks: { n: }\n"),
        ("empty services", "services:\nvolumes:\n"),
        ("empty services without newline", "name: a\nservices:"),
        ("null services", "name: a\nservices: NULL # c\nvolumes: null"),
        ("empty flow services", "services: {}"),
        (
            "anchors and properties",
            "services: &s !!map # c\n  # d\n  ken: &k\n    image: a\nvolumes: &v\n  p: *k\n",
        ),
        ("properties on their own line", "services:\n  &s\n  ken: {image: a}\n"),
        ("block scalar at the end", "services:\n  ken:\n    image: a\n    command: |+\n      x\n\n\n"),
        ("trailing blanks", "services:   \n  ken:  \n    image: a   \n\n   \n# end"),
        ("not ascii", "# Größe 💾\nservices:\n  käse:\n    image: \"ß\"\n    labels: {名: 値}\n"),
        ("four spaces", "services:\n    ken:\n        image: a\nvolumes:\n    v:\n"),
        ("merge key in services", "x-c: &c\n  ken: {image: a}\nservices:\n  <<: *c\n  other: {image: b}\n"),
        ("explicit value line", "? services\n:\n  ken: {image: a}\n"),
        ("long line", &format!("services:\n  ken:\n    image: a\n    command: {}\n", "x".repeat(200_000))),
    ];
    let mut shown = String::new();
    for (name, original) in shapes {
        for layout in [Layout::Include, Layout::SmallMerge] {
            shown.push_str(&format!("===== {name}, {layout:?}\n"));
            if layout == Layout::SmallMerge && edit_and_check(original, layout).is_ok() {
                edit_and_check(original, Layout::Merge).unwrap();
            }
            match edit_and_check(original, layout) {
                Ok(edited) if original.len() > 10_000 => shown.push_str(&format!("{} bytes\n", edited.len())),
                Ok(edited) => shown.push_str(&edited.replace('\r', "␍").replace('\u{feff}', "␋")),
                Err(error) => shown.push_str(&format!("{error}\nhint: {}\n", error.hint)),
            }
            shown.push('\n');
        }
    }
    insta::assert_snapshot!(shown);
}
