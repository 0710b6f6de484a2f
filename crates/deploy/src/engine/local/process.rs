//! One process of this machine, told from a later one of the same id by when it began.

use serde::{Deserialize, Serialize};

/// A process, dead or alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// Its id.
    pub(super) pid: u32,
    /// When it began, in clock ticks since the machine's start.
    began: u64,
}

/// State and begin of a process.
fn stat(pid: u32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the last parenthesis may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // Field 22 of proc_pid_stat(5); the state is field 3.
    Some((state, fields.nth(18)?.parse().ok()?))
}

impl Process {
    /// The process that has this id now.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, began: stat(pid)?.1 })
    }

    /// Whether it runs: one that ended and was not asked for its status does not.
    pub(super) fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|(state, began)| began == self.began && !matches!(state, 'Z' | 'X'))
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.is_alive()) {
            // Gone meanwhile is as good.
            let _gone = rustix::process::kill_process(pid, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_the_next_of_its_id() {
        let me = Process::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!Process { began: me.began + 1, ..me }.is_alive());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process::of(child.id());
        child.wait().unwrap();
        assert!(!process.is_some_and(|it| it.is_alive()));
    }
}
