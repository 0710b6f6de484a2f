//! `cargo xtask compose generate [--check]`

use std::path::PathBuf;

use ken_deploy::generated;

use crate::exit::{Exit, Failure};
use crate::flags::GenerateArgs;
use crate::printer::out;

/// The workspace's root: the folder above this package.
pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn generate(args: &GenerateArgs) -> Result<Exit, Failure> {
    let unexpected = |error: std::io::Error| Failure::new(Exit::Unexpected, error.into());
    let mut stale = 0;
    for (name, text) in generated::standard() {
        let path = root().join("deploy/generated/compose").join(&name);
        let same = std::fs::read_to_string(&path).is_ok_and(|now| now == text);
        if same {
            continue;
        }
        stale += 1;
        if args.check {
            out(&format!("stale    deploy/generated/compose/{name}"));
        } else {
            std::fs::create_dir_all(root().join("deploy/generated/compose")).map_err(unexpected)?;
            std::fs::write(&path, text).map_err(unexpected)?;
            out(&format!("written  deploy/generated/compose/{name}"));
        }
    }
    if stale == 0 {
        out("deploy/generated/compose is fresh");
    }
    Ok(if args.check && stale > 0 { Exit::Changes } else { Exit::Done })
}
