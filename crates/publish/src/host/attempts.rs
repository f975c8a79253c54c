//! How often a request is attempted, and the time limits and pauses of all hosts.

use std::time::Duration;

use sysforge_net::ATTEMPTS_WITHOUT_SERVER;
use sysforge_plan::Reporter;

use super::failure::Failure;

/// Time limits. Only tests shorten them.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Maximum time that an upload or download may make no progress.
    pub stall: Duration,
    /// Maximum time of a request for metadata.
    pub request: Duration,
    /// The pause after the first failure; it doubles with each further one.
    pub backoff: Duration,
    /// The longest such pause.
    pub backoff_limit: Duration,
    /// Maximum number of attempts at a request.
    pub attempts: u32,
    /// Maximum number of attempts at a request that end without any progress. Each takes as long as
    /// `stall` or `request`, so this is less than `attempts`.
    pub stalls: u32,
    /// Maximum time to wait if the host asks for it.
    pub wait_limit: Duration,
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
            backoff: Duration::from_secs(1),
            backoff_limit: Duration::from_secs(30),
            attempts: 8,
            stalls: 3,
            wait_limit: Duration::from_secs(15 * 60),
            limited: Duration::from_secs(60),
            beat: Duration::from_secs(15),
            dead: Duration::from_secs(75),
            lag: Duration::from_secs(20),
            writes_per_minute: 75,
            reporter: Reporter::silent(),
        }
    }
}

/// Shorter pauses are not reported.
const FELT: Duration = Duration::from_secs(1);

/// The failed attempts at a request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attempts {
    made: u32,
    stalled: u32,
    /// The number of consecutive attempts that reached no server.
    without_server: u32,
}

impl Attempts {
    /// Counts an attempt that failed for a reason that is not a [`Failure`].
    pub(crate) fn count(&mut self) {
        self.made += 1;
    }

    /// Returns the number of failed attempts.
    pub(crate) fn made(self) -> u32 {
        self.made
    }

    /// Notes that an attempt made progress before it failed, so that more attempts are allowed.
    pub(crate) fn progressed(&mut self) {
        *self = Self::default();
    }

    /// Counts a failure. Returns whether it was the last: another attempt would not help, or the
    /// limit is reached.
    pub(crate) fn is_last(&mut self, failure: &Failure, timing: &Timing) -> bool {
        self.made += 1;
        match failure {
            Failure::NoServer(_) => self.without_server += 1,
            Failure::Stalled(_) => self.stalled += 1,
            _ => self.without_server = 0,
        }
        !failure.is_passing()
            || self.made >= timing.attempts
            || self.stalled >= timing.stalls
            || self.without_server >= ATTEMPTS_WITHOUT_SERVER
    }
}

impl Timing {
    /// Returns the number of attempts in total if this failure is the last.
    pub(crate) fn attempts_until(&self, last: &Failure) -> u32 {
        match last {
            Failure::Stalled(_) => self.attempts.min(self.stalls),
            Failure::NoServer(_) => self.attempts.min(ATTEMPTS_WITHOUT_SERVER),
            _ => self.attempts,
        }
    }

    /// Pauses after a failed attempt: for the time that the host asks for, or twice as long as the
    /// last time.
    ///
    /// # Errors
    ///
    /// The failure itself, if the host asks to wait for longer than the limit.
    pub(crate) async fn pause(&self, attempts: Attempts, failure: &Failure) -> Result<(), Failure> {
        let doublings = attempts.made().saturating_sub(1);
        let growing = self.backoff * 2_u32.saturating_pow(doublings).min(1 << 10);
        let wait = match failure {
            Failure::Limited(Some(wait)) if *wait > self.wait_limit => {
                return Err(failure.clone());
            }
            // A wait of zero is not meant seriously.
            Failure::Limited(Some(wait)) => (*wait).max(growing.min(self.backoff_limit)),
            Failure::Limited(None) => self.limited.max(growing),
            _ => growing.min(self.backoff_limit),
        };
        let wait = wait + wait.mul_f64(f64::from(jitter()) / 2_560.0);
        tracing::debug!(ms = wait.as_millis(), reason = failure.words(), "retry");
        if wait >= FELT {
            let (words, seconds) = (failure.words(), wait.as_secs());
            self.reporter
                .note(format!("{words}; trying again in {seconds} s"));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// A number from 0 to 255 that differs between publishers, so that they do not retry at the same
/// moments.
fn jitter() -> u8 {
    super::random().to_le_bytes()[0]
}
