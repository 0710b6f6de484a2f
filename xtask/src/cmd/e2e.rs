//! `cargo xtask e2e`: the rig's images, a demonstration, or the end-to-end tests.

use crate::cmd::compose::root;
use crate::exit::{Exit, Failure};
use crate::flags::E2eArgs;

fn call(program: &str, arguments: &[&str]) -> Result<Exit, Failure> {
    let status = duct::cmd(program, arguments)
        .dir(root())
        .env("KEN_E2E", "require")
        .unchecked()
        .run()
        .map_err(|error| {
            Failure::new(Exit::Unexpected, anyhow::anyhow!("`{program}` could not be run: {error}"))
        })?
        .status;
    Ok(if status.success() { Exit::Done } else { Exit::Gate })
}

pub(crate) fn run(args: &E2eArgs) -> Result<Exit, Failure> {
    if args.demo {
        return call("bash", &["tests/rig/demo"]);
    }
    let built = call("bash", &["tests/rig/build"])?;
    if args.build || built != Exit::Done {
        return Ok(built);
    }
    let mut arguments = vec!["test", "--package", "ken-tests"];
    if let Some(filter) = &args.filter {
        arguments.push(filter);
    }
    arguments.extend(["--", "--nocapture", "--test-threads=1"]);
    call("cargo", &arguments)
}
