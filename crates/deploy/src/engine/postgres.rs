//! `psql` inside a container: works whatever the superuser is called and although no port is published.
//!
//! The script and any password go through standard input, so that neither is in a process list or in the server's log.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use ken_secrets::Secret;
use tokio::io::AsyncWriteExt;

use super::{EngineError, SqlTarget};

/// The first line of the input is the password, or empty; the rest is the script.
const SUPERUSER: &str = r#"
IFS= read -r _
user="${POSTGRES_USER:-}"
if [ -z "$user" ] && [ -n "${POSTGRES_USER_FILE:-}" ]; then user="$(cat "$POSTGRES_USER_FILE")"; fi
if [ -n "${POSTGRES_PASSWORD:-}" ]; then PGPASSWORD="$POSTGRES_PASSWORD"
elif [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"; fi
export PGPASSWORD PGCONNECT_TIMEOUT=10
exec psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=terse -U "${user:-postgres}" -d "$1" -f -
"#;

const REMOTE: &str = r#"
IFS= read -r PGPASSWORD
export PGPASSWORD PGCONNECT_TIMEOUT=10 PGSSLMODE="$5"
exec psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=terse -h "$1" -p "$2" -U "$3" -d "$4" -f -
"#;

pub(super) async fn psql(
    docker: &Docker,
    target: &SqlTarget,
    script: &Secret,
) -> Result<String, EngineError> {
    let (container, shell, password, arguments) = match target {
        SqlTarget::Superuser { container, database } => (container, SUPERUSER, None, vec![database.clone()]),
        SqlTarget::Remote { container, host, port, role, database, password, tls } => {
            let mode = if *tls { "require" } else { "prefer" };
            let arguments =
                vec![host.clone(), port.to_string(), role.clone(), database.clone(), mode.to_owned()];
            (container, REMOTE, Some(password), arguments)
        }
    };
    let failed = |error: bollard::errors::Error| EngineError::Api {
        operation: "run psql in the Postgres container".to_owned(),
        why: error.to_string(),
    };
    let mut command = vec!["sh".to_owned(), "-c".to_owned(), shell.to_owned(), "psql".to_owned()];
    command.extend(arguments);
    let config = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command),
        ..Default::default()
    };
    let exec = docker.create_exec(container, config).await.map_err(failed)?;
    let StartExecResults::Attached { mut output, mut input } =
        docker.start_exec(&exec.id, None).await.map_err(failed)?
    else {
        return Err(EngineError::Api {
            operation: "run psql in the Postgres container".to_owned(),
            why: "it was started detached".to_owned(),
        });
    };
    let text = Secret::new(format!("{}\n{}\n", password.map_or("", Secret::expose), script.expose()));
    let write = async {
        // A server that ends early closes the pipe; its own words on standard error tell why.
        let _ = input.write_all(text.expose().as_bytes()).await;
        let _ = input.shutdown().await;
    };
    let read = async {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(chunk) = output.next().await {
            match chunk.map_err(failed)? {
                LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                other => stdout.extend_from_slice(&other.into_bytes()),
            }
        }
        Ok::<_, EngineError>((stdout, stderr))
    };
    let ((), result) = futures_util::future::join(write, read).await;
    let (stdout, stderr) = result?;
    let status = docker.inspect_exec(&exec.id).await.map_err(failed)?.exit_code.unwrap_or(-1);
    if status == 0 {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    Err(EngineError::Sql { status, stderr: sql_words(&stderr) })
}

/// psql's error lines without its own prefix.
fn sql_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<String> = text
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(|l| l.trim().trim_start_matches("psql:<stdin>:").trim_start_matches("psql: ").to_owned())
        .collect();
    if lines.is_empty() { "it said nothing".to_owned() } else { lines.join("; ") }
}
