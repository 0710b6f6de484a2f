//! The process that outlives the command: it keeps one server running until it is told to stop.
//!
//! It leads a session of its own, so that no terminal ends it. The server holds the other end of a pipe and ends by
//! itself when the supervisor is gone: nobody is left who serves unsupervised.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::process::Process;
use super::record::{self, Definition, Run};
use super::service::read_env_file;

/// A log file of this many bytes is put aside.
const LOG_LIMIT: u64 = 1024 * 1024;
/// Log files that were put aside and are kept.
const LOGS_KEPT: usize = 3;
/// First pause before a server that ended is started again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A server that ran so long is forgiven its earlier ends.
const STEADY: Duration = Duration::from_secs(30);

/// Why a supervisor could not begin.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The folder holds no definition that can be read.
    #[error("{} holds no service", path.display())]
    NoService {
        /// The folder.
        path: PathBuf,
    },
    /// Another supervisor has it.
    #[error("the service in {} is supervised already", path.display())]
    Supervised {
        /// The folder.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {operation}")]
    Io {
        /// A verb phrase.
        operation: &'static str,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
}

fn failed(operation: &'static str) -> impl FnOnce(std::io::Error) -> SuperviseError {
    move |source| SuperviseError::Io { operation, source }
}

/// Runs the service of this folder until SIGTERM or SIGINT.
///
/// # Errors
/// [`SuperviseError`] when it cannot begin; a server that ends is started again.
pub async fn supervise(folder: &Path) -> Result<(), SuperviseError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(failed("listen for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed("listen for signals"))?;
    // Leading one already is as good.
    let _leader = rustix::process::setsid();
    let lock = record::private_append(&folder.join("lock")).map_err(failed("open the lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(SuperviseError::Supervised { path: folder.to_owned() });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(failed("take the lock")(source)),
    }
    let no_service = || SuperviseError::NoService { path: folder.to_owned() };
    let definition = Definition::read(folder).ok_or_else(no_service)?;
    let supervisor = Process::of(std::process::id()).ok_or_else(no_service)?;
    for volume in &definition.volumes {
        record::make_folder(volume).map_err(failed("make the data folder"))?;
    }
    let mut log = Log::open(record::log(folder)).map_err(failed("open the log"))?;
    let mut run =
        Run { supervisor, server: None, started_at: Timestamp::now(), restarts: 0, last_status: None };
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        run.started_at = Timestamp::now();
        let stopped = match start(&definition) {
            Ok((mut child, keep_alive)) => {
                run.server = child.id().and_then(Process::of);
                run.write(folder).map_err(failed("write the run"))?;
                let stop = async {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                };
                let end = watch(&mut child, &mut log, stop).await;
                if end == End::Asked {
                    let grace = Duration::from_secs(definition.stop_grace);
                    stop_server(&mut child, run.server.as_ref(), grace, &mut log).await;
                }
                drop(keep_alive);
                run.last_status = Some(status(&mut child).await);
                end == End::Asked
            }
            Err(error) => {
                log.line(&format!("cannot start {}: {error}", definition.program.display()));
                run.last_status = Some(127);
                false
            }
        };
        run.server = None;
        if stopped {
            run.write(folder).map_err(failed("write the run"))?;
            return Ok(());
        }
        run.restarts += 1;
        run.write(folder).map_err(failed("write the run"))?;
        if began.elapsed() >= STEADY {
            pause = FIRST_PAUSE;
        }
        let status = run.last_status.unwrap_or_default();
        log.line(&format!("the server ended with status {status}; starting it again in {pause:?}"));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The server, and the end of the pipe that tells it that we live.
fn start(definition: &Definition) -> std::io::Result<(Child, Option<tokio::process::ChildStdin>)> {
    let mut command = Command::new(&definition.program);
    command
        .args(&definition.arguments)
        .env_clear()
        .envs(&definition.environment)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for file in &definition.env_files {
        command.envs(read_env_file(&std::fs::read_to_string(file)?));
    }
    let mut child = command.spawn()?;
    let keep_alive = child.stdin.take();
    Ok((child, keep_alive))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Somebody wants it.
    Asked,
    /// By itself.
    Itself,
}

/// Copies what the server says until it ends or has to.
async fn watch(child: &mut Child, log: &mut Log, stop: impl Future<Output = ()>) -> End {
    let (mut out, mut err) = (lines(child.stdout.take()), lines(child.stderr.take()));
    let mut stop = std::pin::pin!(stop);
    // With both ends of speech closed it has ended or is about to.
    while out.is_some() || err.is_some() {
        let line = tokio::select! {
            () = &mut stop => return End::Asked,
            line = next(&mut out), if out.is_some() => line,
            line = next(&mut err), if err.is_some() => line,
        };
        if let Some(line) = line {
            log.line(&line);
        }
    }
    End::Itself
}

type Lines<R> = Option<tokio::io::Lines<BufReader<R>>>;

fn lines<R: AsyncRead>(stream: Option<R>) -> Lines<R> {
    stream.map(|stream| BufReader::new(stream).lines())
}

/// The next line; none, for good, after the last.
async fn next<R: AsyncRead + Unpin>(lines: &mut Lines<R>) -> Option<String> {
    let line = lines.as_mut()?.next_line().await.ok().flatten();
    if line.is_none() {
        *lines = None;
    }
    line
}

async fn stop_server(child: &mut Child, server: Option<&Process>, grace: Duration, log: &mut Log) {
    log.line("stopping");
    if let Some(server) = server {
        server.terminate();
    }
    if tokio::time::timeout(grace, child.wait()).await.is_err() {
        log.line("it did not stop in time and is killed");
        // Gone meanwhile is as good.
        let _gone = child.kill().await;
    }
}

/// The exit status, or 128 and the signal as shells say it.
async fn status(child: &mut Child) -> i64 {
    let Ok(status) = child.wait().await else { return 255 };
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    status.code().or(signal.map(|signal| 128 + signal)).map_or(255, i64::from)
}

/// A log file that does not grow without end.
struct Log {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Log {
    fn open(path: PathBuf) -> std::io::Result<Self> {
        let file = record::private_append(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size })
    }

    /// Adds a line with its time. A disk that is full loses lines, never the server.
    fn line(&mut self, text: &str) {
        if self.size >= LOG_LIMIT {
            self.rotate();
        }
        let line = format!("{:.3} {text}\n", Timestamp::now());
        if self.file.write_all(line.as_bytes()).is_ok() {
            self.size += line.len() as u64;
        }
    }

    fn rotate(&mut self) {
        let aside = |n: usize| self.path.with_extension(n.to_string());
        for n in (1..LOGS_KEPT).rev() {
            let _none = std::fs::rename(aside(n), aside(n + 1));
        }
        let _none = std::fs::rename(&self.path, aside(1));
        if let Ok(file) = record::private_append(&self.path) {
            (self.file, self.size) = (file, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_put_aside_and_old_ones_go() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::open(path.clone()).unwrap();
        let text = "x".repeat(64 * 1024);
        for _ in 0..(17 * 6) {
            log.line(&text);
        }
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["log", "log.1", "log.2", "log.3"]);
        assert!(std::fs::metadata(&path).unwrap().len() < LOG_LIMIT + 128 * 1024);
        log.line("last");
        assert!(record::tail(&path, 1)[0].ends_with(" last"));
    }
}
