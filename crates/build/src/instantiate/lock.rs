//! Allows one installation at a time in a depot: Pkg does not always separate concurrent processes.

use std::path::Path;
use std::time::Duration;

use sysforge_files::{FileLock, LockAttempt, try_exclusive};
use sysforge_plan::{Reporter, Step, Task};

use super::InstantiateError;
use crate::depots::LOCK;

const POLL: Duration = Duration::from_millis(100);

/// Waits until no other Sysforge installs packages in this depot. Continues without a lock if the
/// file system does not support locks.
pub(super) async fn depot(depot: &Path, reporter: &Reporter) -> Result<FileLock, InstantiateError> {
    let unwritable = |source| InstantiateError::Unwritable {
        depot: depot.to_owned(),
        source,
    };
    let path = depot.join(LOCK);
    if let Some(logs) = path.parent() {
        sysforge_files::create_folders(logs).map_err(unwritable)?;
    }
    let mut waiting = None;
    loop {
        if let LockAttempt::Got(lock) = try_exclusive(&path).map_err(unwritable)? {
            if let Some(task) = waiting {
                Task::done(task, "it has ended");
            }
            return Ok(lock);
        }
        waiting.get_or_insert_with(|| {
            let subject = format!(
                "another process is installing packages in {}",
                depot.display()
            );
            reporter.start(Step::Wait, subject)
        });
        tokio::time::sleep(POLL).await;
    }
}
