//! Taking ours out after the owner has gone on working on the file.

use ken_compose_file::{EditProblem, Fragment, Ours, Section};

use crate::support::{INCLUDED, Layout, edit, parse, small_fragment, text};

fn edited(original: &str, layout: Layout) -> String {
    text(&edit(&parse(original), layout).unwrap())
}

fn undone(edited: &str) -> String {
    text(&parse(edited).without_ours().unwrap_or_else(|error| panic!("{error}\n{edited}")))
}

const PLAIN: &str = "services:\n  ken:\n    image: a\n";

#[test]
fn nothing_of_ours_is_nothing_to_do() {
    let undone = parse(PLAIN).without_ours().unwrap();
    assert!(!undone.is_changed());
    assert_eq!(undone.bytes, PLAIN.as_bytes());
}

#[test]
fn the_owner_adds_below_our_key() {
    let edited = edited(PLAIN, Layout::SmallMerge);
    let with_volume = edited.replacen("# <<< ken-langfuse\n", "# <<< ken-langfuse\n  mine: {}\n", 1);
    assert_eq!(undone(&with_volume), "volumes:\n  mine: {}\nservices:\n  ken:\n    image: a\n");
    // The next edit finds nothing to do, and a changed one keeps the owner's entry.
    let file = parse(&with_volume);
    assert!(!file.with_merged(&small_fragment()).unwrap().is_changed());
    let mut fragment = small_fragment();
    fragment.volumes[0].0 = "lf_other".to_owned();
    let changed = text(&file.with_merged(&fragment).unwrap());
    assert_eq!(undone(&changed), undone(&with_volume));
}

#[test]
fn the_owner_adds_an_include_below_ours() {
    let edited = edited(PLAIN, Layout::Include);
    let with_item = edited.replacen("# <<< ken-langfuse\n", "# <<< ken-langfuse\n  - mine.yml\n", 1);
    assert_eq!(undone(&with_item), format!("include:\n  - mine.yml\n{PLAIN}"));
}

#[test]
fn the_owner_rearranges_a_flow_include() {
    let edited = edited("include: [a.yml]\nservices: {}\n", Layout::Include);
    let anchored = edited.split_once('[').unwrap().1.split_once(", a.yml").unwrap().0;
    for (now, then) in [
        (format!("[{anchored}]"), "[]"),
        (format!("[a.yml, {anchored}]"), "[a.yml]"),
        (format!("[a.yml , {anchored} , b.yml]"), "[a.yml , b.yml]"),
        (format!("[{anchored},a.yml]"), "[a.yml]"),
        (format!("[\n  {anchored},\n  a.yml ]"), "[\n  \n  a.yml ]"),
    ] {
        let undone = undone(&format!("include: {now}\nservices: {{}}\n"));
        assert_eq!(undone, format!("include: {then}\nservices: {{}}\n"));
    }
}

#[test]
fn the_owner_converts_line_ends() {
    for layout in [Layout::Include, Layout::Merge] {
        let converted = edited(PLAIN, layout).replace('\n', "\r\n");
        assert_eq!(undone(&converted), PLAIN.replace('\n', "\r\n"));
        assert!(!edit(&parse(&converted), layout).unwrap().is_changed());
    }
}

#[test]
fn the_owner_removes_all_own_services() {
    let edited = edited(PLAIN, Layout::SmallMerge).replace("  ken:\n    image: a\n", "");
    assert_eq!(undone(&edited), "services:\n");
}

#[test]
fn a_changed_fragment_replaces_only_what_differs() {
    let first = parse(&edited(PLAIN, Layout::SmallMerge));
    let mut fragment = small_fragment();
    fragment.services[0].1 = fragment.services[0].1.replace("b:1", "b:2");
    let second = first.with_merged(&fragment).unwrap();
    let shown: Vec<String> =
        second.changes.iter().map(|change| format!("{} {change}", change.line)).collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert_eq!(undone(&text(&second)), PLAIN);
}

#[test]
fn an_include_replaces_another_of_ours() {
    let first = parse(&edited(PLAIN, Layout::Include));
    let second = parse(&text(&first.with_include("other/compose.yml").unwrap()));
    assert_eq!(second.includes(), ["other/compose.yml"]);
    assert!(matches!(second.ours(), Ours::Include { lines, .. } if lines == (1..=4)));
}

#[test]
fn what_the_owner_wrote_like_ours_is_left_alone() {
    for item in
        [INCLUDED, "./langfuse/compose.yml", "{path: langfuse/compose.yml}", "{path: [langfuse/compose.yml]}"]
    {
        let original = format!("include:\n  - {item}\n{PLAIN}");
        let file = parse(&original);
        assert!(!file.with_include(INCLUDED).unwrap().is_changed());
        assert!(!file.without_ours().unwrap().is_changed());
    }
    let original =
        format!("{PLAIN}  lf: {{ports: ['127.0.0.1:3000:3000'], image: b:1}}\nvolumes:\n  lf_data: {{}}\n");
    let mut fragment = small_fragment();
    fragment.services[0].1 =
        fragment.services[0].1.replace("- 127.0.0.1:3000:3000", "- \"127.0.0.1:3000:3000\"");
    let edited = parse(&original).with_merged(&fragment).unwrap();
    assert!(!edited.is_changed(), "{:?}", edited.changes);
    // Only what is missing gets a marker.
    fragment.services.push(("lf2".to_owned(), "image: c\n".to_owned()));
    let edited = parse(&original).with_merged(&fragment).unwrap();
    assert_eq!(edited.changes.len(), 4);
    assert_eq!(undone(&text(&edited)), original);
}

#[test]
fn a_taken_name_is_refused() {
    for services in
        ["  lf: {image: other}\n", "  lf: &a {image: b}\n  x: *a\n", "  <<: {lf: {image: other}}\n"]
    {
        let error = parse(&format!("services:\n{services}")).with_merged(&small_fragment()).unwrap_err();
        assert_eq!(error.problem, EditProblem::NameTaken { section: Section::Services, name: "lf".into() });
        assert_eq!(error.line, 2);
    }
}

#[test]
fn sections_that_belong_to_others_too_are_refused() {
    let services = Section::Services;
    let include = Section::Include;
    for (original, line, problem) in [
        ("x: &s {a: {image: i}}\nservices: *s\n", 2, EditProblem::Alias { section: services }),
        ("services: &s\n  a: {image: i}\nx: *s\n", 1, EditProblem::Shared { section: services }),
        ("x: &x\n  services: {a: {image: i}}\n<<: *x\n", 2, EditProblem::Inherited { section: services }),
    ] {
        let error = parse(original).with_merged(&small_fragment()).unwrap_err();
        assert_eq!((error.line, error.problem), (line, problem));
    }
    for (original, line, problem) in [
        ("x: &i [a.yml]\ninclude: *i\nservices: {}\n", 2, EditProblem::Alias { section: include }),
        ("include: &i [a.yml]\nservices: {}\nx: *i\n", 1, EditProblem::Shared { section: include }),
        ("x: &x {include: [a.yml]}\nservices: {}\n<<: *x\n", 1, EditProblem::Inherited { section: include }),
    ] {
        let error = parse(original).with_include(INCLUDED).unwrap_err();
        assert_eq!((error.line, error.problem), (line, problem));
    }
}

#[test]
fn unusable_entries_are_refused() {
    let bodies = [
        "image: &a x",
        "image: *a",
        "image: !t x",
        "--- \nimage: x",
        "a: 1\n...\n",
        "a: [",
        "a: 1\r\n",
        "a: 1\na: 2",
        "# >>> ken-langfuse\nimage: x",
        "a: 1\n---\nb: 2",
        "%YAML 1.2\n---\na: 1",
    ];
    for body in bodies {
        let fragment = Fragment { services: vec![("s".into(), body.into())], ..Fragment::default() };
        let error = parse(PLAIN).with_merged(&fragment).unwrap_err();
        assert!(matches!(error.problem, EditProblem::BadEntry { .. }), "{body:?}: {error}");
    }
    for names in [&[""][..], &["a\nb"], &["a", "a"]] {
        let services = names.iter().map(|name| ((*name).to_owned(), "image: x".to_owned())).collect();
        let error = parse(PLAIN).with_merged(&Fragment { services, ..Fragment::default() }).unwrap_err();
        assert!(matches!(error.problem, EditProblem::BadEntry { .. }), "{names:?}: {error}");
    }
    for path in ["", "a\nb"] {
        assert!(matches!(parse(PLAIN).with_include(path).unwrap_err().problem, EditProblem::BadEntry { .. }));
    }
}

#[test]
fn odd_names_paths_and_bodies_survive() {
    let bodies = [
        "",
        "# only a comment\n",
        "~",
        "{}",
        "{a: [1, {b: c}]}",
        "- a\n- b: c\n",
        "plain text",
        "\"a\n  b\"",
        "3.5",
        "a: |+\n  x\n\n\n",
        "a: |2\n   x\n",
        "a: >-\n  x\n   y\n\n  z",
        "a: 'it''s # no comment'\nb: \"\\t\\u00e4\"",
        "a: b  # c\n\n\n# d\nc:\n- d\n",
        "a: {b: ,\n c}\n",
        "on: yes\ny: n\n\"no\": ~\n",
        "a: 0x1F\nb: 1e3\nc: -\u{2028}x\n",
    ];
    let names = ["true", "3", "a b", "ä", "x-y_z.1", "\"", "<<", "a: b", "#"];
    for original in [PLAIN, "services: {ken: {image: a}}\n", "{services: {}}", "services:", "services: ~"] {
        for (index, body) in bodies.iter().enumerate() {
            let name = names[index % names.len()].to_owned();
            let fragment = Fragment { services: vec![(name.clone(), (*body).into())], ..Fragment::default() };
            let edited = parse(original)
                .with_merged(&fragment)
                .unwrap_or_else(|e| panic!("{body:?}: {e}\n{original}"));
            let again = parse(&text(&edited));
            assert!(again.services().iter().any(|service| service.name == name));
            assert!(!again.with_merged(&fragment).unwrap().is_changed());
            assert_eq!(undone(&text(&edited)), original, "{body:?}");
        }
        for path in ["a.yml", "a b/ä.yml", "1.5", "true", "./x", "c:\\d.yml", "\"q\".yml", "${X}/a.yml", "#a"]
        {
            let edited = text(&parse(original).with_include(path).unwrap());
            assert_eq!(parse(&edited).includes(), [path]);
            assert_eq!(undone(&edited), original);
        }
    }
}
