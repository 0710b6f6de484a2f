//! Stages that fail half way: Ken serves on, the way out is named, and rollback is clean.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use ken_tests::{Rig, command, http, rig_or_skip};

use crate::stack::{Stack, until};

/// An image of this test; removed when dropped.
struct Image(String);

impl Image {
    /// Web's image whose server never comes up, but says something before.
    fn asleep(rig: &Rig) -> anyhow::Result<Self> {
        let name = format!("kene2e-{}/langfuse:4.16.0", std::process::id());
        let container = command::docker(["container", "create", rig.image("langfuse")])?;
        let asleep = r#"CMD ["sh", "-c", "echo 'the licence server does not answer' >&2; exec sleep 600"]"#;
        let made = command::docker(["container", "commit", "--change", asleep, &container, &name]);
        command::docker(["container", "rm", &container])?;
        made?;
        Ok(Self(name))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = command::docker(["image", "rm", "-f", &self.0]);
    }
}

#[test]
fn a_web_image_that_never_gets_healthy_is_blamed_while_ken_serves_on() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let image = Image::asleep(rig)?;
    let stack = Stack::start(rig)?;
    stack.set_policy("images.web", image.0.as_str())?;
    stack.set_policy("gates.web", "6s")?;
    let xtask = stack.xtask()?;

    let over = AtomicBool::new(false);
    let (outcome, served) = std::thread::scope(|scope| {
        let ken = scope.spawn(|| -> anyhow::Result<u32> {
            let mut served = 0;
            while !over.load(Ordering::Relaxed) {
                let answer = http::get(stack.ken_address(), "/").context("Ken failed during the deploy")?;
                ensure!(answer.status == 200 && answer.body.contains("42"), "Ken failed: {answer:?}");
                served += 1;
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(served)
        });
        let outcome = xtask.deploy(&["--json"]);
        over.store(true, Ordering::Relaxed);
        (outcome, ken.join())
    });
    let served = served.map_err(|_| anyhow::anyhow!("the watcher panicked"))??;
    assert!(served > 50, "Ken was asked {served} times");

    let outcome = outcome?.exits(4)?;
    let failed = &outcome.events_of("stage-failed")?[0];
    assert_eq!((&failed["stage"], &failed["culprit"]), (&"web".into(), &"langfuse-web".into()), "{failed}");
    assert!(failed["logs"].to_string().contains("the licence server does not answer"), "{failed}");
    assert!(failed["next"].as_str().is_some_and(|next| next.contains("docker logs")), "{failed}");
    assert!(failed["in_place"].to_string().contains("langfuse-worker"), "{failed}");
    let last = &outcome.events_of("finished")?[0];
    assert!(
        last["next"].to_string().contains("rollback") && last["next"].to_string().contains("deploy"),
        "{last}"
    );
    stack.untouched()?;

    // Said again for people, in the same state.
    let again = xtask.deploy(&[])?.exits(4)?;
    again.says(&[
        "FAIL  web",
        "last lines of langfuse-web",
        "the licence server",
        "next: docker logs",
        "rollback",
    ])?;
    xtask.status(&[])?.exits(0)?.says(&["failed at web"])?;
    xtask.rollback(&[])?.exits(0)?;
    stack.as_before()?;
    xtask.purge()?.exits(0)?;
    stack.nothing_left()?;
    stack.finish()
}

/// A file system of this test; unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: PathBuf, size: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&at)?;
        let options = format!("size={size},mode=0700");
        let words = ["-t", "tmpfs", "-o", &options, "tmpfs"].map(std::ffi::OsString::from);
        command::read(&duct::cmd("mount", words.into_iter().chain([at.clone().into_os_string()])))
            .context("mounting takes root, as setting up the rig does")?;
        Ok(Self(at))
    }

    /// Leaves no byte free; gives the file that holds them.
    fn fill(&self) -> anyhow::Result<PathBuf> {
        use std::io::Write as _;
        let path = self.0.join("full");
        let mut file = std::fs::File::create(&path)?;
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        ensure!(full.kind() == std::io::ErrorKind::StorageFull, "{full}");
        Ok(path)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = duct::cmd("umount", ["-l".into(), self.0.clone().into_os_string()]).unchecked().run();
    }
}

#[test]
fn a_full_disk_under_the_journal_stops_the_run_and_room_lets_it_go_on() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let stack = Stack::start(rig)?;
    let xtask = stack.xtask()?;

    // Full from the beginning: nothing happens at all.
    let mount = Mount::tmpfs(stack.langfuse().join("state"), "1m")?;
    let full = mount.fill()?;
    let engine = stack.world()?;
    xtask.deploy(&[])?.exits(3)?.says(&["No space left", "state", "hint"])?;
    assert_eq!(stack.journal_lines(), 0);
    assert_eq!(stack.world()?.engine(), engine.engine());
    stack.as_before()?;
    std::fs::remove_file(full)?;

    // Full in the middle: at the next page that the journal needs.
    let running = xtask.start_deploy(&[])?;
    until("the stores come up", Duration::from_secs(30), || stack.journal_lines() > 25)?;
    let full = mount.fill()?;
    let stopped = running.wait()?.exits(3)?.says(&["No space left", "journal.jsonl", "hint"])?;
    assert!(stack.journal_lines() < 53, "{stopped:?}");
    stack.untouched()?;
    // A status can be had all the same, and tells no lie.
    xtask.status(&[])?.exits(0)?.says(&["run-0001", "interrupted"])?;
    xtask.deploy(&[])?.exits(3)?.says(&["No space left"])?;
    stack.untouched()?;

    std::fs::remove_file(full)?;
    xtask.deploy(&[])?.exits(0)?.says(&["resuming"])?;
    xtask.validate(&[])?.exits(0)?;
    stack.untouched()?;
    xtask.rollback(&[])?.exits(0)?;
    stack.as_before()?;
    drop(mount);
    stack.finish()
}
