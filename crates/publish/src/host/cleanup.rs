//! The last requests of an interrupted run: a lock that is not released would keep the next
//! publisher waiting until its owner counts as dead.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

/// Collects the last requests of a run that is being dropped. The owner of the runtime waits for
/// them before it ends the process.
#[derive(Debug, Clone, Default)]
pub struct Cleanup {
    running: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Cleanup {
    /// Waits until everything is done, for at most `limit`.
    pub async fn finish(&self, limit: Duration) {
        let running: Vec<_> = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.drain(..).collect()
        };
        let all = futures_util::future::join_all(running);
        // The rest is left to the next run, which waits for the lock to expire.
        let _ = tokio::time::timeout(limit, all).await;
    }

    /// Runs `work` in the background. Does nothing outside of a runtime.
    pub(in crate::host) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let handle = runtime.spawn(work);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.push(handle);
    }
}
