//! Running programs, with what they said on standard error as part of the error.

use std::ffi::OsString;

use anyhow::{Context as _, bail};
use duct::Expression;

/// Runs `expression` and gives its standard output without the last newline; fails when it does, telling what it said.
pub fn read(expression: &Expression) -> anyhow::Result<String> {
    let done = expression
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .run()
        .with_context(|| format!("cannot start {expression:?}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{expression:?} ended with {}: {}", done.status, said.trim_end());
    }
    let mut text = String::from_utf8(done.stdout).with_context(|| format!("output of {expression:?}"))?;
    text.truncate(text.trim_end_matches('\n').len());
    Ok(text)
}

/// Runs `docker` with these words and gives what it printed.
pub fn docker<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> anyhow::Result<String> {
    read(&duct::cmd("docker", words))
}

/// [`docker`], one item for each line of the answer.
pub fn docker_lines<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> anyhow::Result<Vec<String>> {
    Ok(docker(words)?.lines().map(str::to_owned).collect())
}
