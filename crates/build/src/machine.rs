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
#[cfg(windows)]
pub fn free_space(folder: &std::path::Path) -> Option<u64> {
    let folder = std::path::absolute(folder).ok()?;
    let disks = sysinfo::Disks::new_with_refreshed_list();
    let disks = disks.iter();
    of_disk(
        disks.map(|disk| (disk.mount_point(), disk.available_space())),
        &folder,
    )
}

/// Returns the free bytes of the disk that is mounted nearest above a folder: a disk may be mounted in
/// a folder of another one.
#[cfg(any(windows, test))]
fn of_disk<'d>(
    disks: impl Iterator<Item = (&'d std::path::Path, u64)>,
    folder: &std::path::Path,
) -> Option<u64> {
    disks
        .filter(|(mounted, _)| folder.starts_with(mounted))
        .max_by_key(|(mounted, _)| mounted.components().count())
        .map(|(_, free)| free)
}

/// Returns the free bytes of the disk with a folder, if the system reports it.
#[cfg(not(any(unix, windows)))]
pub fn free_space(_: &std::path::Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_disk_of_a_folder_is_the_one_that_is_mounted_nearest() {
        let all = [("/", 1), ("/data", 2), ("/data/deep", 3)];
        let of = |folder: &str| {
            let disks = all.iter().map(|(path, free)| (Path::new(path), *free));
            super::of_disk(disks, Path::new(folder))
        };
        assert_eq!(of("/home/me"), Some(1));
        assert_eq!(of("/data/x"), Some(2));
        assert_eq!(of("/database"), Some(1));
        assert_eq!(of("/data/deep/x"), Some(3));
        assert_eq!(of("relative"), None);
    }

    // Wine, where the tests for Windows run, does not report the disk of their folder.
    #[cfg(unix)]
    #[test]
    fn the_free_space_of_this_disk_is_known() {
        assert!(super::free_space(Path::new(".")).is_some());
    }

    #[test]
    fn there_is_some() {
        let free = super::free_memory().unwrap();
        assert!(free > 50_000_000, "{free}");
    }
}
