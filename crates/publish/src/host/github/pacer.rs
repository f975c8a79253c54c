//! Keeps writes below the rate at which GitHub begins to refuse them.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);

/// Allows at most this many writes per minute.
#[derive(Debug)]
pub(super) struct Pacer {
    limit: usize,
    recent: Mutex<VecDeque<Instant>>,
}

impl Pacer {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            recent: Mutex::default(),
        }
    }

    /// Waits until a write is allowed.
    pub(super) async fn turn(&self) {
        let mut recent = self.recent.lock().await;
        while recent
            .front()
            .is_some_and(|first| first.elapsed() >= WINDOW)
        {
            recent.pop_front();
        }
        if recent.len() >= self.limit
            && let Some(first) = recent.pop_front()
        {
            // Others wait for the lock, and so keep their order.
            tokio::time::sleep_until(first + WINDOW).await;
        }
        recent.push_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_one_too_many_waits_for_the_minute_to_pass() {
        let pacer = Pacer::new(3);
        let start = Instant::now();
        for _ in 0..3 {
            pacer.turn().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        pacer.turn().await;
        assert_eq!(start.elapsed(), WINDOW);
    }
}
