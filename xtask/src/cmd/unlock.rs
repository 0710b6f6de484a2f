//! `cargo xtask unlock`

use ken_deploy::rollout::{Lock, LockError, SessionError};

use super::target::Target;
use crate::exit::{Exit, Failure};
use crate::flags::TargetArgs;
use crate::printer::out;

/// The kernel frees the lock of a process that ended, so there is never a stale one to break: this tells who holds it,
/// and clears the note that a dead holder left.
pub(crate) fn run(args: TargetArgs) -> Result<Exit, Failure> {
    let target = Target::read(&args)?;
    let path = target.site.lock();
    let say = |held: bool, text: &str| {
        if args.json {
            out(&serde_json::json!({ "event": "lock", "held": held, "text": text }).to_string());
        } else {
            out(text);
        }
    };
    match Lock::holder(&path).map_err(SessionError::from)? {
        None => {
            let stale = std::fs::metadata(&path).is_ok_and(|m| m.len() > 0);
            if stale {
                // Whoever takes it now writes its own name; nobody holds this one.
                let _ = std::fs::remove_file(&path);
            }
            say(
                false,
                if stale {
                    "the lock is free; the last holder's note is cleared"
                } else {
                    "the lock is free"
                },
            );
            Ok(Exit::Done)
        }
        Some((holder, orphaned)) => {
            let pid = holder.as_ref().map(|h| h.pid);
            let error = SessionError::from(LockError::Held { holder, orphaned });
            let hint = match (orphaned, pid) {
                (true, _) => {
                    "its process is gone, and a command that it started still works; it ends by itself"
                        .to_owned()
                }
                (false, Some(pid)) => {
                    format!("it works; to end it: kill {pid}, then run deploy again, which resumes")
                }
                (false, None) => "wait until it is done".to_owned(),
            };
            Err(Failure::from(error).hint(hint))
        }
    }
}
