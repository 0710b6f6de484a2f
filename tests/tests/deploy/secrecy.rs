//! No value of a secret in anything that is printed, journalled, generated or listed as a process's arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ken_tests::{command, rig_or_skip};

use crate::stack::{SERVICES, Stack};

/// Every way in which a value could be written, under the secret's name.
fn forms(secrets: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut forms = Vec::new();
    for (name, value) in secrets {
        let mut add = |form: &str, text: String| forms.push((format!("{name} ({form})"), text));
        add("as it is", value.clone());
        add("base64", STANDARD.encode(value).trim_end_matches('=').to_owned());
        add("base64 for URLs", URL_SAFE_NO_PAD.encode(value));
        add("hex", hex::encode(value));
        for upper in [true, false] {
            let percent = |byte: u8| match (byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte), upper) {
                (true, _) => char::from(byte).to_string(),
                (false, true) => format!("%{byte:02X}"),
                (false, false) => format!("%{byte:02x}"),
            };
            add("percent", value.bytes().map(percent).collect());
        }
    }
    let keys = format!("{}:{}", secrets["PROJECT_PUBLIC_KEY"], secrets["PROJECT_SECRET_KEY"]);
    forms.push((
        "the keys (basic authentication)".to_owned(),
        STANDARD.encode(keys).trim_end_matches('=').to_owned(),
    ));
    forms
}

/// What is to be searched, by the name of its place.
#[derive(Default)]
struct Places(Vec<(String, String)>);

impl Places {
    fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    /// All files below a folder but those that are there to hold secrets.
    fn add_folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.add_folder(&path)?;
            } else if path.parent().is_none_or(|parent| !parent.ends_with("langfuse/secrets")) {
                let bytes = std::fs::read(&path)?;
                self.add(path.display().to_string(), String::from_utf8_lossy(&bytes));
            }
        }
        Ok(())
    }

    /// Every secret that is found, and where. The value itself is told to nobody, not even here.
    fn holding(&self, forms: &[(String, String)]) -> Vec<String> {
        let hits = self.0.iter().flat_map(|(place, text)| {
            let found = forms.iter().filter(|(_, form)| text.contains(form.as_str()));
            found.map(move |(name, _)| format!("{name} in {place}"))
        });
        hits.collect()
    }
}

/// Collects the arguments of every process on this machine, those in containers among them, until it is told to end.
fn watch_arguments(over: &AtomicBool) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while !over.load(Ordering::Relaxed) {
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            if !process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
                continue;
            }
            // Gone in between is usual.
            if let Ok(words) = std::fs::read(process.path().join("cmdline")) {
                let line = String::from_utf8_lossy(&words).replace('\0', " ");
                if !line.is_empty() && !seen.contains(&line) {
                    seen.insert(line);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    seen
}

#[test]
fn no_secret_is_printed_journalled_generated_or_an_argument() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stack = Stack::start(rig)?;
    let xtask = stack.xtask()?;
    let over = AtomicBool::new(false);
    let mut places = Places::default();
    let (ran, arguments) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| watch_arguments(&over));
        let ran = (|| {
            let mut run = |outcome: ken_tests::Outcome| {
                places.add(format!("output of {:?}", outcome.words), outcome.text())
            };
            run(xtask.plan(&[])?.exits(2)?);
            run(xtask.deploy(&["--json"])?.exits(0)?);
            for words in [&[][..], &["--json"]] {
                run(xtask.plan(words)?.exits(0)?);
                run(xtask.deploy(words)?.exits(0)?);
                run(xtask.status(words)?.exits(0)?);
                run(xtask.validate(words)?.exits(0)?);
                run(xtask.unlock(words)?.exits(0)?);
                run(xtask.secrets("init", words)?.exits(0)?);
                run(xtask.secrets("check", words)?.exits(0)?);
            }
            // Every service is made anew in Ken's own file, and said in words this time.
            stack.set_policy("ken.layout", "merge")?;
            stack.set_policy("langfuse.telemetry", true)?;
            let include = stack.compose(["config", "--no-env-resolution"]);
            places.add("docker compose config", command::read(&include)?);
            places
                .add("langfuse/compose.yml", std::fs::read_to_string(stack.langfuse().join("compose.yml"))?);
            let mut run = |outcome: ken_tests::Outcome| {
                places.add(format!("output of {:?}", outcome.words), outcome.text())
            };
            run(xtask.plan(&["--json"])?.exits(2)?);
            run(xtask.deploy(&[])?.exits(0)?);
            anyhow::Ok(())
        })();
        over.store(true, Ordering::Relaxed);
        (ran, watch.join())
    });
    ran?;
    let arguments = arguments.map_err(|_| anyhow::anyhow!("the watcher panicked"))?;
    let seen = |words: &[&str]| arguments.iter().any(|line| words.iter().all(|word| line.contains(word)));
    for words in
        [&["docker", "compose", "up", "langfuse-web"][..], &["xtask", "deploy"], &["redis-server"], &["psql"]]
    {
        assert!(seen(words), "the watcher is too slow for {words:?}");
    }

    let forms = forms(&stack.secrets()?);
    assert!(forms.len() > 50);
    for line in arguments {
        places.add("the arguments of a process", line);
    }
    let merged = stack.compose(["config", "--no-env-resolution"]);
    places.add("docker compose config of the merged file", command::read(&merged)?);
    places.add_folder(stack.compose_file().parent().unwrap_or(Path::new(".")))?;
    for service in SERVICES {
        let log = command::read(&stack.compose(["logs", "--no-color", service]).stderr_to_stdout())?;
        places.add(format!("the log of {service}"), log);
    }
    let searched =
        places.0.iter().filter(|(place, _)| place.ends_with("journal.jsonl") || place.ends_with(".toml"));
    assert!(searched.count() >= 3, "journal and policies");
    assert_eq!(places.holding(&forms), Vec::<String>::new());

    // The search does find: the environment files are there to hold them.
    let mut control = Places::default();
    control.add("web.env", std::fs::read_to_string(stack.langfuse().join("secrets/web.env"))?);
    assert!(control.holding(&forms).len() > 5);

    // Ken's own password is nothing of ours to show either.
    let ken = BTreeMap::from([
        ("PROJECT_PUBLIC_KEY".to_owned(), "m7#Qd$Lw2vXe9RtKp4Zs".to_owned()),
        ("PROJECT_SECRET_KEY".to_owned(), "m7#Qd$Lw2vXe9RtKp4Zs".to_owned()),
    ]);
    places.0.retain(|(place, _)| {
        place.starts_with("output") || place.contains("/state/") || place.contains("process")
    });
    assert_eq!(places.holding(&self::forms(&ken)), Vec::<String>::new());

    let outcome = xtask.rollback(&["--json"])?.exits(0)?;
    let mut last = Places::default();
    last.add("output of rollback", outcome.text());
    assert_eq!(last.holding(&forms), Vec::<String>::new());
    stack.as_before()?;
    stack.finish()
}
