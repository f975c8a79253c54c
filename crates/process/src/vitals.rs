//! Watches a running child: its memory and whether it is idle.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// The time limit for a script that the child names in a marker file.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) marker: PathBuf,
    pub(crate) limit: Duration,
}

/// The interval at which a child is examined.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Measurements of a running child.
pub(crate) struct Vitals<'a> {
    system: System,
    pid: Option<Pid>,
    peak: u64,
    active: Instant,
    // CPU times in ms, when the child was last seen active.
    own_ms: u64,
    family_ms: Option<u64>,
    growing: &'a [PathBuf],
    // The size of those folders when it was last checked.
    bytes: Option<u64>,
}

impl<'a> Vitals<'a> {
    /// Creates measurements of the process `pid`, which may write into the folders `growing`.
    pub(crate) fn new(pid: Option<u32>, growing: &'a [PathBuf]) -> Self {
        Self {
            system: System::new(),
            pid: pid.map(Pid::from_u32),
            peak: 0,
            active: Instant::now(),
            own_ms: 0,
            family_ms: None,
            growing,
            bytes: None,
        }
    }

    /// Returns the sampled peak resident memory in bytes; 0 if the child ended too early.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// Records that the child produced output.
    pub(crate) fn record_output(&mut self) {
        self.active = Instant::now();
    }

    /// Measures the child, and returns how long it has produced no output and used no CPU.
    pub(crate) fn idle_time(&mut self, limit: Duration) -> Duration {
        let Some(pid) = self.pid else {
            return Duration::ZERO;
        };
        self.refresh(ProcessesToUpdate::Some(&[pid]));
        let Some(process) = self.system.process(pid) else {
            return Duration::ZERO;
        };
        self.peak = self.peak.max(process.memory());
        let own_ms = process.accumulated_cpu_time();
        if self.is_work(self.own_ms, own_ms) {
            self.active = Instant::now();
            self.own_ms = own_ms;
            self.family_ms = None;
            self.bytes = None;
        }
        // Before a child counts as idle, also check its descendants: a workload may use worker
        // processes. This is done rarely, because it requires examining all processes of the
        // machine.
        if self.active.elapsed() > limit / 2 {
            self.refresh(ProcessesToUpdate::All);
            let family_ms = self.family_ms(pid);
            let before = *self.family_ms.get_or_insert(family_ms);
            if self.is_work(before, family_ms) {
                self.active = Instant::now();
                self.family_ms = Some(family_ms);
            }
            let bytes = self.growing.iter().map(|folder| size(folder)).sum();
            if *self.bytes.get_or_insert(bytes) != bytes {
                self.active = Instant::now();
                self.bytes = Some(bytes);
            }
        }
        self.active.elapsed()
    }

    fn refresh(&mut self, which: ProcessesToUpdate<'_>) {
        let what = ProcessRefreshKind::nothing()
            .with_memory()
            .with_cpu()
            .without_tasks();
        self.system.refresh_processes_specifics(which, true, what);
    }

    /// Returns the CPU time of the child and its descendants in milliseconds.
    fn family_ms(&self, root: Pid) -> u64 {
        let processes = self.system.processes();
        let belongs = |pid: &Pid| {
            let mut ancestors =
                std::iter::successors(Some(*pid), |pid| processes.get(pid)?.parent());
            // Process numbers are reused and might form a loop, so limit the number of steps.
            ancestors.by_ref().take(64).any(|pid| pid == root)
        };
        processes
            .iter()
            .filter(|(pid, _)| belongs(pid))
            .map(|(_, process)| process.accumulated_cpu_time())
            .sum()
    }

    /// Returns whether this much CPU time since the last activity counts as work. Julia's signal
    /// listener and timers use a little even when everything else waits.
    fn is_work(&self, before_ms: u64, now_ms: u64) -> bool {
        let idle_ms = u64::try_from(self.active.elapsed().as_millis()).unwrap_or(u64::MAX);
        now_ms.abs_diff(before_ms) > 20 + idle_ms / 200
    }
}

/// Returns the total size of the files in a folder; 0 if it cannot be read.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// Measures how long a child has been running a script. Unlike code generation, which ends, a
/// script may use CPU forever, so CPU time is not a sign of progress.
pub(crate) struct ScriptTimer<'a> {
    running: Option<&'a Running>,
    since: Option<(String, Instant)>,
}

impl<'a> ScriptTimer<'a> {
    pub(crate) fn new(running: Option<&'a Running>) -> Self {
        let since = None;
        Self { running, since }
    }

    /// Returns the script that exceeded the limit, and the limit.
    pub(crate) fn overdue(&mut self) -> Option<(String, Duration)> {
        let Running { marker, limit } = self.running?;
        let Ok(script) = sysforge_files::read_text(marker) else {
            self.since = None;
            return None;
        };
        let since = match self.since.take() {
            Some((known, since)) if known == script => since,
            _ => Instant::now(),
        };
        self.since = Some((script.clone(), since));
        let name = || {
            Path::new(&script)
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let overdue = since.elapsed() > *limit;
        overdue.then(|| (name().unwrap_or(script.clone()), *limit))
    }
}
