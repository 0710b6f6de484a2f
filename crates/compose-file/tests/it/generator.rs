//! Compose files of all kinds, made from a few dozen choices.

use proptest::prelude::*;
use proptest::sample::select;

/// What a file is made of.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    line_break: &'static str,
    step: usize,
    root_column: usize,
    byte_order_mark: bool,
    head: Vec<&'static str>,
    document_end: bool,
    newline_at_end: bool,
    version: bool,
    services_first: bool,
    services: Vec<Vec<&'static str>>,
    services_head: &'static str,
    volumes: &'static str,
    networks: &'static str,
    include: &'static str,
    include_last: bool,
    tail: &'static str,
}

/// Lines of a service, `>` for one more level of indentation.
const SERVICE_LINES: [&str; 20] = [
    "logging: *logging",
    "<<: *shared",
    "# >>> a comment that is no marker",
    "",
    "labels: {a: \"b\", 'c': [d, e]}  ",
    "command: >-\n>folded\n>  services:\n\n>text",
    "entrypoint: |\n># >>> ken-langfuse (managed; remove with: cargo xtask rollback) sum=0123456789ab\n>x\n># <<< ken-langfuse",
    "environment:\n>A: 'it''s'\n># <<< no marker\n>B: \"x\\n\\u00e4\"",
    "x-tab: |\n>first\n>\ttabbed\n> \tmore\t",
    "ports:\n- \"8080:80\"\n- 3000:3000",
    "networks:\n>- a\n>- b",
    "profiles: [debug,\n>test]",
    "x-größe: ß 💾 名",
    "x-anchor: &deep\n>key: &deeper value",
    "x-quoted: \"several\n>lines # no comment\n\n>here\"",
    "deploy: {resources: {limits: {cpus: '0.5'}}}",
    "x-empty:",
    "x-null: ~   # remark",
    "x-keep: |+\n>kept\n\n",
    "? x-explicit\n: yes",
];

const HEADS: [&str; 4] = ["# A comment.", "", "#", "# services:"];

/// Values of a section; `^` stands for the file's margin, `>` for one step.
const VOLUMES: [&str; 9] = [
    "",
    "^volumes:\n>v:\n",
    "^volumes: # c\n\n># d\n>v: {}\n>w:\n>>name: x\n",
    "^volumes: {v: , w: {name: x}}\n",
    "^volumes: {}\n",
    "^volumes:\n",
    "^volumes: null\n",
    "^\"volumes\": &vols\n>'v': ~\n",
    "^volumes: {\n>v: {} ,\n>}\n",
];

const INCLUDES: [&str; 9] = [
    "",
    "^include:\n>- a.yml\n",
    "^include:\n^- a.yml # c\n^# d\n^- path: [b.yml, c.yml]\n",
    "^include: [a.yml]\n",
    "^include: [ ]\n",
    "^include: [\n>a.yml,\n>{path: b.yml},\n>]\n",
    "^include:\n",
    "^include: ~ # none\n",
    "^include: # none\n\n",
];

const NETWORKS: [&str; 4] =
    ["", "^networks:\n>n:\n>>driver: bridge\n", "^networks: {n: {}}\n", "^networks:\n"];

const TAILS: [&str; 5] = ["", "# the end\n", "\n\n", "^x-last: |+\n>kept\n\n\n", "^x-last: [a, b]\n"];

pub(crate) fn recipe() -> impl Strategy<Value = Recipe> {
    let shape = (select(vec!["\n", "\r\n", "\n"]), 1..5usize, select(vec![0, 0, 0, 2, 3]), any::<bool>());
    let edges = (proptest::collection::vec(select(HEADS.to_vec()), 0..4), any::<[bool; 5]>());
    let service = proptest::sample::subsequence(SERVICE_LINES.to_vec(), 0..6).prop_shuffle();
    let services = (
        proptest::collection::vec(service, 1..5),
        select(vec![
            "services:",
            "services: # c",
            "\"services\":",
            "services: &all",
            "services:   ",
            "services: !!map",
        ]),
    );
    let sections = (
        select(VOLUMES.to_vec()),
        select(NETWORKS.to_vec()),
        select(INCLUDES.to_vec()),
        select(TAILS.to_vec()),
    );
    (shape, edges, services, sections).prop_map(|(shape, edges, services, sections)| Recipe {
        line_break: shape.0,
        step: shape.1,
        root_column: shape.2,
        byte_order_mark: shape.3,
        head: edges.0,
        document_end: edges.1[0] && edges.1[1],
        newline_at_end: edges.1[1],
        version: edges.1[2],
        services_first: edges.1[3],
        include_last: edges.1[4],
        services: services.0,
        services_head: services.1,
        volumes: sections.0,
        networks: sections.1,
        include: sections.2,
        tail: sections.3,
    })
}

impl Recipe {
    pub(crate) fn line_break(&self) -> &'static str {
        self.line_break
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.head {
            text.push_str(line);
            text.push('\n');
        }
        if self.document_end {
            text.push_str("--- # begins\n");
        }
        if self.version {
            text.push_str("^version: '3.8'\n");
        }
        text.push_str("^x-logging: &logging {driver: json-file}\n^x-shared: &shared\n>restart: always\n");
        let sections = format!("{}{}", self.volumes, self.networks);
        if !self.services_first {
            text.push_str(&sections);
        }
        if !self.include_last {
            text.push_str(self.include);
        }
        text.push_str(&self.services());
        if self.services_first {
            text.push_str(&sections);
        }
        if self.include_last {
            text.push_str(self.include);
        }
        text.push_str(self.tail);
        let mut text = self.laid_out(&text);
        if self.document_end {
            text.push_str("...\n# after the end\n");
        }
        if !self.newline_at_end {
            text.truncate(text.trim_end_matches('\n').len());
        }
        let mark = if self.byte_order_mark { "\u{feff}" } else { "" };
        format!("{mark}{}", text.replace('\n', self.line_break))
    }

    fn services(&self) -> String {
        let mut text = format!("^{}\n", self.services_head);
        for (index, lines) in self.services.iter().enumerate() {
            text.push_str(&format!("># Service {index}.\n>service-{index}:\n>>image: i:{index}\n"));
            for line in lines.iter().flat_map(|line| line.split('\n')) {
                let margin = if line.is_empty() { "" } else { ">>" };
                text.push_str(&format!("{margin}{line}\n"));
            }
        }
        text
    }

    /// Replaces the marks at the beginnings of lines by spaces.
    fn laid_out(&self, text: &str) -> String {
        let lines = text.split_inclusive('\n').map(|line| {
            let rest = line.trim_start_matches('>');
            let steps = line.len() - rest.len();
            let is_placed = steps > 0 || line.starts_with('^');
            let margin = if is_placed { self.root_column + steps * self.step } else { 0 };
            format!("{}{}", " ".repeat(margin), rest.strip_prefix('^').unwrap_or(rest))
        });
        lines.collect()
    }
}
