//! Watching a child while it runs: how much memory it takes, and whether it still does anything.

use std::path::Path;
use std::time::{Duration, Instant};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::children::Running;

/// How often a child is looked at.
pub(crate) const EVERY: Duration = Duration::from_millis(500);

/// What is known of a running child.
pub(crate) struct Vitals {
    system: System,
    pid: Option<Pid>,
    peak: u64,
    active: Instant,
    // CPU times, in ms, when it was last seen active.
    own_ms: u64,
    family_ms: Option<u64>,
}

impl Vitals {
    pub(crate) fn new(pid: Option<u32>) -> Self {
        Self {
            system: System::new(),
            pid: pid.map(Pid::from_u32),
            peak: 0,
            active: Instant::now(),
            own_ms: 0,
            family_ms: None,
        }
    }

    /// The most memory (resident set, in bytes) that it was seen to have; 0 if it was too short.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// It said something.
    pub(crate) fn spoke(&mut self) {
        self.active = Instant::now();
    }

    /// Looks at it, and says for how long it has neither said nor computed anything.
    pub(crate) fn look(&mut self, limit: Duration) -> Duration {
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
        }
        // Before a child is called idle, those that it waits for are asked, too: a workload may
        // have workers. Looking at every process of the machine costs much more, so it is done
        // seldom.
        if self.active.elapsed() > limit / 2 {
            self.refresh(ProcessesToUpdate::All);
            let family_ms = self.family_ms(pid);
            let before = *self.family_ms.get_or_insert(family_ms);
            if self.is_work(before, family_ms) {
                self.active = Instant::now();
                self.family_ms = Some(family_ms);
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

    /// CPU time of the child and everything below it, in ms.
    fn family_ms(&self, root: Pid) -> u64 {
        let processes = self.system.processes();
        let belongs = |pid: &Pid| {
            let mut ancestors =
                std::iter::successors(Some(*pid), |pid| processes.get(pid)?.parent());
            // A bound, as process numbers are used again and might form a ring.
            ancestors.by_ref().take(64).any(|pid| pid == root)
        };
        processes
            .iter()
            .filter(|(pid, _)| belongs(pid))
            .map(|(_, process)| process.accumulated_cpu_time())
            .sum()
    }

    /// Whether that much CPU time since it was last active means that it works. Julia's signal
    /// listener and timers take a little even when all else waits.
    fn is_work(&self, before_ms: u64, now_ms: u64) -> bool {
        let idle_ms = u64::try_from(self.active.elapsed().as_millis()).unwrap_or(u64::MAX);
        now_ms.abs_diff(before_ms) > 20 + idle_ms / 200
    }
}

/// Watches for how long a child has been running a script. Unlike code generation, which ends, a
/// script may compute for ever, so computing is no sign of progress.
pub(crate) struct Watch<'a> {
    running: Option<&'a Running>,
    since: Option<(String, Instant)>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(running: Option<&'a Running>) -> Self {
        let since = None;
        Self { running, since }
    }

    /// The script that has run for too long, and the limit.
    pub(crate) fn overdue(&mut self) -> Option<(String, Duration)> {
        let Running { marker, limit } = self.running?;
        let Ok(script) = std::fs::read_to_string(marker) else {
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
