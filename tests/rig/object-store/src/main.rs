//! The test rig's object store: an S3 server on a folder that answers to MinIO's command line.
//!
//! One binary, told apart by the name it is called by, as the images do with two links:
//!
//! * `minio server [--address HOST:PORT] [--console-address HOST:PORT] DIR` serves the folders in `DIR`
//!   as buckets, to whoever signs with `MINIO_ROOT_USER` and `MINIO_ROOT_PASSWORD`;
//! * `mc ready ALIAS` asks the server on this host whether it is ready, and fails when it does not say so.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

mod access;
mod credentials;
mod options;
mod ready;
mod serve;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called_as = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    match run(&called_as, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Nothing is left to tell if standard error is gone.
            let _ = writeln!(std::io::stderr(), "FATAL {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(called_as: &OsString, args: &[OsString]) -> Result<(), String> {
    let words: Vec<&str> =
        args.iter().map(|arg| arg.to_str().ok_or("an argument is not UTF-8")).collect::<Result<_, _>>()?;
    let name = Path::new(called_as).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match (name, words.as_slice()) {
        ("mc", ["ready", _alias]) => ready::ask("127.0.0.1:9000"),
        ("mc", _) => Err("only `mc ready ALIAS` is known here".into()),
        (_, ["server", rest @ ..]) => {
            let options = options::parse(rest)?;
            let credentials = credentials::from_environment(|name| std::env::var(name).ok())?;
            serve::until_stopped(&options, &credentials)
        }
        _ => Err("only `minio server [--address HOST:PORT] [--console-address HOST:PORT] DIR` is known here"
            .into()),
    }
}
