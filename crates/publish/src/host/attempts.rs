//! The time limits and pauses of all hosts.

use std::time::Duration;

use sysforge_net::{ATTEMPTS_WITHOUT_SERVER, Cause, FailedAttempts, Retries};
use sysforge_plan::Reporter;

use super::failure::Failure;

/// Time limits. Only tests shorten them.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Maximum time that an upload or download may make no progress.
    pub stall: Duration,
    /// Maximum time of a request for metadata.
    pub request: Duration,
    /// How often a request is attempted, and the delays between the attempts.
    pub retries: Retries,
    /// The pause after a secondary rate limit, if the host does not state one.
    pub limited: Duration,
    /// The interval between a publisher's signs of life.
    pub beat: Duration,
    /// The time without a sign of life after which a publisher counts as dead.
    pub dead: Duration,
    /// Maximum time that a list of releases may lag.
    pub lag: Duration,
    /// Writes per minute; GitHub stops content creation at about 80.
    pub writes_per_minute: usize,
    /// Receives notes about noticeable pauses.
    pub reporter: Reporter,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(60),
            request: Duration::from_secs(60),
            retries: Retries {
                without_progress: 8,
                total: 100,
                stalls: 3,
                first_delay: Duration::from_secs(1),
                longest_delay: Duration::from_secs(30),
                longest_wait: Duration::from_secs(15 * 60),
            },
            limited: Duration::from_secs(60),
            beat: Duration::from_secs(15),
            dead: Duration::from_secs(75),
            lag: Duration::from_secs(20),
            writes_per_minute: 75,
            reporter: Reporter::silent(),
        }
    }
}

impl Timing {
    /// Counts a failed attempt. Returns whether it was the last: another one would not help, or the
    /// limit is reached.
    pub(crate) fn is_last(&self, failed: &mut FailedAttempts, failure: &Failure) -> bool {
        let cause = match failure {
            Failure::NoServer(_) => Cause::NoServer,
            Failure::Stalled(_) => Cause::Stalled,
            _ => Cause::Other,
        };
        failed.count(cause, &self.retries) || !failure.is_passing()
    }

    /// Returns the number of attempts in total if this failure is the last.
    pub(crate) fn attempts_until(&self, last: &Failure) -> u32 {
        let most = match last {
            Failure::Stalled(_) => self.retries.stalls,
            Failure::NoServer(_) => ATTEMPTS_WITHOUT_SERVER,
            _ => u32::MAX,
        };
        self.retries.without_progress.min(most)
    }

    /// Pauses after a failed attempt: for the time that the host asks for, or longer than the last
    /// time.
    ///
    /// # Errors
    ///
    /// The failure itself, if the host asks to wait for longer than the limit.
    pub(crate) async fn pause(
        &self,
        failed: FailedAttempts,
        failure: &Failure,
    ) -> Result<(), Failure> {
        let delay = failed.delay(&self.retries);
        let delay = match failure {
            Failure::Limited(Some(wait)) if *wait > self.retries.longest_wait => {
                return Err(failure.clone());
            }
            // A wait of zero is not meant seriously.
            Failure::Limited(Some(wait)) => delay.max(*wait),
            Failure::Limited(None) => delay.max(self.limited),
            _ => delay,
        };
        sysforge_net::pause(delay, &failure.words(), &self.reporter).await;
        Ok(())
    }
}
