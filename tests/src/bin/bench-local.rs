//! How fast a deployment without Docker is: `cargo run --release --package ken-tests --bin bench-local`.
//!
//! Medians of several turns of the built binary, from start to end of the command. Ends with status 1 when a bound is
//! broken.

#![expect(clippy::print_stdout, reason = "figures are for people")]

use anyhow::ensure;
use ken_tests::Local;

const TURNS: usize = 9;
/// From nothing to a verified canary trace, in seconds.
const FIRST: f64 = 3.0;
/// When everything is as it should be, in seconds.
const NOTHING_TO_DO: f64 = 0.1;

fn main() -> anyhow::Result<std::process::ExitCode> {
    let (mut first, mut nothing) = (Vec::new(), Vec::new());
    for _turn in 0..TURNS {
        let local = Local::new()?;
        first.push(local.deploy()?.says(&["canary-readable"])?.took.as_secs_f64());
        nothing.push(local.deploy()?.says(&["nothing to do"])?.took.as_secs_f64());
        ensure!(local.observations()? == ["canary"]);
    }
    let figures = [("first deploy", first, FIRST), ("nothing to do", nothing, NOTHING_TO_DO)];
    let mut broken = false;
    for (name, mut values, bound) in figures {
        values.sort_by(f64::total_cmp);
        let (median, slowest) = (values[TURNS / 2], values[TURNS - 1]);
        broken |= median > bound;
        let word = if median > bound { "FAIL" } else { "ok  " };
        println!("{word}  {name:<14}  {median:.3} s, slowest {slowest:.3} s  (bound {bound} s)");
    }
    Ok(u8::from(broken).into())
}
