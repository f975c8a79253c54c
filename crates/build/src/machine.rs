//! The resources of this machine.

/// Returns the memory that a process may still allocate, in bytes: the machine's available memory,
/// or what remains of the limit of this process's control group (a container, a CI service),
/// whichever is less.
pub fn free_memory() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let available = Some(system.available_memory()).filter(|bytes| *bytes > 0);
    let group = system
        .cgroup_limits()
        .filter(|limits| limits.total_memory > 0)
        .map(|limits| limits.free_memory);
    available.into_iter().chain(group).min()
}

/// Returns the number of CPUs that this process may use.
pub fn cpus() -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cpus).unwrap_or(u32::MAX)
}

/// Returns the free bytes of the disk with a folder, if the system reports it.
#[cfg(unix)]
pub fn free_space(folder: &std::path::Path) -> Option<u64> {
    let status = rustix::fs::statvfs(folder).ok()?;
    Some(status.f_bavail * status.f_frsize)
}

/// Returns the free bytes of the disk with a folder, if the system reports it.
#[cfg(not(unix))]
pub fn free_space(_: &std::path::Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_some() {
        let free = super::free_memory().unwrap();
        assert!(free > 50_000_000, "{free}");
    }
}
