//! Bad input to the real binary: one clear error with the way out, an exit code of its class, and nothing changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::ensure;
use ken_tests::{KenStack, Xtask, rig_or_skip};

const INPUT: i32 = 3;
const ENGINE: i32 = 6;
const UNCONFIRMED: i32 = 7;
const KEN: &str = "services:\n  ken:\n    image: ken:1.0.0\n    environment:\n      TOKEN: planted-Zq3x9-secret\n  postgres:\n    image: postgres:15\n";

/// A folder with a Compose file, and the binary.
struct Bench {
    folder: tempfile::TempDir,
}

struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| Xtask::program().expect("xtask compiles").to_owned())
}

impl Bench {
    fn new(ken: &[u8]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("docker"))?;
        fs::write(folder.path().join("docker/docker-compose.yml"), ken)?;
        Ok(Self { folder })
    }

    fn run(&self, words: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Said> {
        let before = tree(self.folder.path());
        let mut command = duct::cmd(program(), words).dir(self.folder.path());
        for (name, value) in environment {
            command = command.env(name, value);
        }
        let done = command.stdin_null().stdout_capture().stderr_capture().unchecked().run()?;
        let said = Said {
            code: done.status.code(),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        };
        ensure!(tree(self.folder.path()) == before, "{words:?} changed something");
        ensure!(!said.stderr.contains("panicked"), "{}", said.stderr);
        ensure!(!format!("{}{}", said.stdout, said.stderr).contains("Zq3x9"), "{words:?} shows a secret");
        Ok(said)
    }

    /// One error with this code and these words, as text and as JSON.
    fn refuses(
        &self,
        words: &[&str],
        environment: &[(&str, &str)],
        code: i32,
        wanted: &[&str],
    ) -> anyhow::Result<()> {
        let said = self.run(words, environment)?;
        ensure!(said.code == Some(code), "{words:?} ended with {:?}: {}", said.code, said.stderr);
        ensure!(
            said.stderr.matches("error: ").count() == 1,
            "{words:?} gives not one error: {}",
            said.stderr
        );
        for word in wanted {
            ensure!(said.stderr.contains(word), "{words:?} does not say {word:?}: {}", said.stderr);
        }
        let said = self.run(&[words, &["--json"]].concat(), environment)?;
        let line = said.stdout.lines().last().unwrap_or_default();
        let event: serde_json::Value = serde_json::from_str(line)?;
        ensure!(said.code == Some(code) && event["event"] == "error" && event["exit"] == code, "{line}");
        Ok(())
    }
}

/// Every path with its bytes.
fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.push((path.clone(), Vec::new()));
            found.extend(tree(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

#[test]
fn no_engine_no_compose_or_no_rights() -> anyhow::Result<()> {
    let bench = Bench::new(KEN.as_bytes())?;
    for verb in [&["plan"][..], &["deploy", "--yes"], &["status"], &["validate"], &["rollback", "--yes"]] {
        let nowhere = [("DOCKER_HOST", "unix:///no/such/socket")];
        bench.refuses(verb, &nowhere, ENGINE, &["no Docker engine answers", "/no/such/socket", "hint: "])?;
        // A socket that nobody serves any more.
        let socket = bench.folder.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&socket)?);
        let dead = format!("unix://{}", socket.display());
        bench.refuses(verb, &[("DOCKER_HOST", &dead)], ENGINE, &["no Docker engine answers", "hint: "])?;
        fs::remove_file(socket)?;
    }
    Ok(())
}

#[test]
fn a_wrong_policy() -> anyhow::Result<()> {
    let bench = Bench::new(KEN.as_bytes())?;
    let write = |name: &str, bytes: &[u8]| fs::write(bench.folder.path().join(name), bytes);
    write("binary.toml", &[0, 159, 146, 150])?;
    write("syntax.toml", b"profile = \"dev\nx = 1\n")?;
    write("many.toml", b"profile = \"dvelop\"\n[ken]\nlayot = \"include\"\nservice = 3\n[exposure]\nport = 99999\n[postgres]\nurl = \"postgresql://u:planted-Zq3x9-secret@db/x\"\n")?;
    let table: [(&str, &[&str]); 5] = [
        ("missing.toml", &["missing.toml", "no policy"]),
        ("docker", &["docker", "folder"]),
        ("binary.toml", &["binary.toml"]),
        ("syntax.toml", &["syntax.toml", "1:"]),
        (
            "many.toml",
            &[
                "5 things",
                "profile",
                "ken.layot",
                "did you mean `layout`",
                "ken.service",
                "exposure.port",
                "postgres.url",
            ],
        ),
    ];
    for (name, wanted) in table {
        bench.refuses(&["plan", "--policy", name], &[], INPUT, wanted)?;
        bench.refuses(&["secrets", "init", "--policy", name], &[], INPUT, wanted)?;
    }
    let bench = Bench::new(KEN.as_bytes())?;
    fs::write(bench.folder.path().join("large.toml"), vec![b'#'; 50 << 20])?;
    bench.refuses(&["plan", "--policy", "large.toml"], &[], INPUT, &["large.toml"])
}

#[test]
fn a_wrong_stack() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let _ = rig;
    let large = [b"services:\n".to_vec(), b"  a: {image: x}\n".repeat(3_400_000)].concat();
    assert!(large.len() > 50 << 20);
    let table: [(&[u8], &[&str]); 7] = [
        (b"\x00\x9f\x92\x96", &[":1:"]),
        (&large, &["8388608"]),
        (b"services:\n  a: &a\n    image: x\n    <<: *a\n", &[":4:9:", "alias"]),
        (b"version: '3'\n", &["services"]),
        (b"services:\n  a: {image: x}\n---\nservices:\n  b: {image: x}\n", &[":3:"]),
        (b"services:\n\ta: 1\n", &[":2:"]),
        (b"services:\n  a: {image: planted-Zq3x9-secret\n", &["docker-compose.yml:"]),
    ];
    for (bytes, wanted) in table {
        Bench::new(bytes)?.refuses(&["plan"], &[], INPUT, wanted)?;
    }
    let bench = Bench::new(KEN.as_bytes())?;
    bench.refuses(&["plan", "--stack", "docker/none.yml"], &[], INPUT, &["docker/none.yml", "--stack"])?;
    bench.refuses(&["plan", "--stack", "docker"], &[], INPUT, &["directory"])?;
    Ok(())
}

#[test]
fn wrong_words_are_the_caller_s_mistake() -> anyhow::Result<()> {
    let bench = Bench::new(KEN.as_bytes())?;
    for words in [
        &["deploy", "--until", "nonsense"][..],
        &["deploy", "--no-such-flag"],
        &["no-such-verb"],
        &[],
        &["rollback", "--to", "run-0001", "--purge"],
        &["rollback", "--confirm-purge", "x"],
    ] {
        let said = bench.run(words, &[])?;
        assert_eq!(said.code, Some(INPUT), "{words:?}: {}", said.stderr);
    }
    let said = bench.run(&["deploy", "--until", "nonsense"], &[])?;
    assert!(said.stderr.contains("stores") && said.stderr.contains("verify"), "{}", said.stderr);
    assert_eq!(bench.run(&["--help"], &[])?.code, Some(0));
    assert!(bench.run(&["--help"], &[])?.stdout.contains("Exit codes"));
    Ok(())
}

#[test]
fn what_needs_a_yes_is_not_done_without_one() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let ken = KenStack::start(rig)?;
    let policy = ken.policy_file();
    let policy = policy.to_string_lossy();
    let before = ken.fingerprint()?;
    let run = |words: &[&str]| -> anyhow::Result<Said> {
        let words = [words, &["--policy", &policy]].concat();
        let done = duct::cmd(program(), &words)
            .dir(ken.folder())
            .stdin_null()
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .run()?;
        Ok(Said {
            code: done.status.code(),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        })
    };
    let said = run(&["deploy"])?;
    assert_eq!(said.code, Some(UNCONFIRMED), "{}", said.stderr);
    assert!(said.stderr.contains("--yes"), "{}", said.stderr);
    assert!(!ken.compose_file().with_file_name("langfuse").exists());
    // Nothing is there to be validated, to be gone back to, or to be taken back.
    assert_eq!(run(&["validate"])?.code, Some(INPUT));
    assert_eq!(run(&["rollback", "--to", "run-0001", "--yes"])?.code, Some(INPUT));
    assert_eq!(run(&["rollback", "--yes"])?.code, Some(0));
    // Data is destroyed only when it was said twice.
    assert_eq!(run(&["deploy", "--yes", "--until", "stores"])?.code, Some(0));
    let said = run(&["rollback", "--purge", "--yes"])?;
    assert_eq!(said.code, Some(UNCONFIRMED), "{}", said.stderr);
    let said = run(&["rollback", "--purge", "--yes", "--confirm-purge", "another"])?;
    assert_eq!(said.code, Some(UNCONFIRMED), "{}", said.stderr);
    assert!(ken.compose_file().with_file_name("langfuse").join("compose.yml").exists());
    assert_eq!(run(&["rollback", "--purge", "--yes", "--confirm-purge", ken.name()])?.code, Some(0));
    assert_eq!(ken.fingerprint()?, before);
    ken.finish()
}

#[test]
fn a_compose_that_is_missing_broken_or_too_old() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let ken = KenStack::start(rig)?;
    let policy = ken.policy_file();
    let policy = policy.to_string_lossy();
    let tools = tempfile::tempdir()?;
    let docker = tools.path().join("docker");
    let run = |script: Option<&str>| -> anyhow::Result<Said> {
        match script {
            Some(text) => {
                fs::write(&docker, text)?;
                fs::set_permissions(&docker, fs::Permissions::from_mode(0o755))?;
            }
            None => fs::remove_file(&docker)?,
        }
        let done = duct::cmd(program(), ["plan", "--policy", &policy])
            .dir(ken.folder())
            .env("PATH", format!("{}:/usr/bin:/bin", tools.path().display()))
            .stdin_null()
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .run()?;
        Ok(Said {
            code: done.status.code(),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        })
    };
    let said = run(Some("#!/bin/sh\necho \"docker: 'compose' is not a docker command.\" >&2\nexit 1\n"))?;
    assert_eq!(said.code, Some(ENGINE), "{}", said.stderr);
    assert!(said.stderr.contains("docker-compose-plugin"), "{}", said.stderr);
    // An old one, which is the real one for everything but its version.
    let real = ken_tests::command::read(&duct::cmd("sh", ["-c", "command -v docker"]))?;
    let old = format!(
        "#!/bin/sh\nif [ \"$*\" = 'compose version --short' ]; then echo 2.10.2; else exec {real} \"$@\"; fi\n"
    );
    let said = run(Some(&old))?;
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(said.stdout.contains("compose-version") && said.stdout.contains("2.10.2"), "{}", said.stdout);
    ken.finish()
}
