//! Allows one installation at a time in a depot: Pkg does not always separate concurrent processes.

use std::path::Path;
use std::time::Duration;

use sysforge_files::{FileLock, LockAttempt, try_exclusive};
use sysforge_plan::Reporter;

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
        std::fs::create_dir_all(logs).map_err(unwritable)?;
    }
    let mut waiting = false;
    loop {
        match try_exclusive(&path).map_err(unwritable)? {
            LockAttempt::Got(lock) => return Ok(lock),
            LockAttempt::Busy => {}
        }
        if !waiting {
            waiting = true;
            reporter.note(format!(
                "another Sysforge is installing packages in {}: waiting for it",
                depot.display()
            ));
        }
        tokio::time::sleep(POLL).await;
    }
}
