//! What only the machine itself can tell: its CPU, its disks and who listens on its ports.

use std::collections::BTreeSet;
use std::net::{IpAddr, TcpListener};
use std::path::Path;

use jiff::Timestamp;

use super::PortState;

/// The engine's clock minus ours in seconds.
pub(super) fn clock_skew(system_time: &str) -> Option<f64> {
    let theirs: Timestamp = system_time.parse().ok()?;
    let delta = theirs.duration_since(Timestamp::now());
    Some(delta.as_secs_f64())
}

/// Free bytes for us on the file system of the nearest existing parent.
pub(crate) fn disk_free(path: &Path) -> Option<u64> {
    path.ancestors().find_map(|p| rustix::fs::statvfs(p).ok()).map(|s| s.f_bavail.saturating_mul(s.f_frsize))
}

/// Whether the CPU has AVX; other architectures need none.
pub(super) fn avx() -> Option<bool> {
    if !cfg!(target_arch = "x86_64") {
        return Some(true);
    }
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let flags = text.lines().find(|l| l.starts_with("flags"))?;
    Some(flags.split_whitespace().any(|flag| flag == "avx"))
}

/// All memory of the machine, in bytes.
pub(super) fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024)
}

/// Tries to listen, and looks for the owner when that fails.
pub(super) fn port(address: &str, port: u16) -> PortState {
    let Ok(ip) = address.parse::<IpAddr>() else { return PortState::Free };
    match TcpListener::bind((ip, port)) {
        Ok(_) => PortState::Free,
        Err(error) => PortState::Taken {
            owner: owner(port)
                .unwrap_or_else(|| format!("a process that cannot be seen from here ({error})")),
        },
    }
}

/// The process that listens on a port, as `name (pid 42)`.
fn owner(port: u16) -> Option<String> {
    let mut inodes = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // local_address is `HEX:PORT`; state 0A is LISTEN; the tenth field is the socket's inode.
            if let (Some(local), Some(&"0A"), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9))
                && local.rsplit_once(':').is_some_and(|(_, p)| u16::from_str_radix(p, 16) == Ok(port))
            {
                inodes.insert(format!("socket:[{inode}]"));
            }
        }
    }
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        for handle in std::fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            if std::fs::read_link(handle.path()).is_ok_and(|l| inodes.contains(&*l.to_string_lossy())) {
                let command = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("{} (pid {name})", command.trim()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_owner_of_a_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().port();
        let PortState::Taken { owner } = port("127.0.0.1", taken) else { panic!("{taken} is free") };
        assert!(owner.contains(&format!("(pid {})", std::process::id())), "{owner}");
        drop(listener);
        // A process that another test starts holds a copy of the socket until its exec.
        let free = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            port("127.0.0.1", taken) == PortState::Free
        });
        assert!(free, "{taken} stays taken");
    }

    #[test]
    fn free_space_is_that_of_the_nearest_folder() {
        assert!(disk_free(Path::new("/no/such/folder")).unwrap() > 0);
    }
}
