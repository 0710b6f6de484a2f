//! `cargo xtask`: parses arguments, calls the libraries, prints. The command table is in [`flags`].

mod cmd;
mod exit;
mod flags;
mod printer;

use clap::Parser;
use exit::{Exit, Failure};
use flags::{Command, ComposeCommand, Flags, SecretsCommand};

fn main() -> std::process::ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => {
            // Help and version are answers; everything else is the caller's mistake.
            let wanted = !error.use_stderr();
            let _ = error.print();
            return if wanted { Exit::Done } else { Exit::Input }.into();
        }
    };
    if let Command::Local(command) = &flags.command {
        return match cmd::local::run(command) {
            Ok(exit) => exit.into(),
            Err(failure) => printer::fail(&failure, false),
        };
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return printer::fail(&Failure::new(Exit::Unexpected, error.into()), flags.json()),
    };
    let json = flags.json();
    let result = runtime.block_on(async {
        match flags.command {
            Command::Deploy(args) => cmd::deploy::run(args).await,
            Command::Plan(args) => cmd::plan::run(args).await,
            Command::Status(args) => cmd::status::run(args).await,
            Command::Validate(args) => cmd::validate::run(args).await,
            Command::Rollback(args) => cmd::rollback::run(args).await,
            Command::Unlock(args) => cmd::unlock::run(args),
            Command::Compose(ComposeCommand::Generate(args)) => cmd::compose::generate(&args),
            Command::Secrets(SecretsCommand::Init(args)) => cmd::secrets::init(args),
            Command::Secrets(SecretsCommand::Check(args)) => cmd::secrets::check(args),
            Command::E2e(args) => cmd::e2e::run(&args),
            Command::Local(command) => cmd::local::run(&command),
            Command::Conformance(args) => cmd::conformance::run(args).await,
        }
    });
    // A pull or a Compose call that was abandoned must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => printer::fail(&failure, json),
    }
}
