//! What is left to do at the host when a run is interrupted: a lock that nobody gives back would
//! keep the next publisher waiting until it counts as dead.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

/// Collects the last requests of a run that is being dropped. Whoever owns the runtime waits for
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
        // What takes longer is left to the next run, which waits for the lock's time to pass.
        let _ = tokio::time::timeout(limit, all).await;
    }

    /// Runs `work` beside whatever comes next. Outside a runtime nothing can be done.
    pub(in crate::host) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let handle = runtime.spawn(work);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.push(handle);
    }
}
