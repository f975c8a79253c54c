//! The signals that ask Sysforge itself to stop.

/// A signal that asks Sysforge to stop.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    /// Its name in messages.
    pub name: &'static str,
    /// 128 and the signal's number, as shells report it.
    pub exit_code: u8,
}

const INTERRUPT: Signal = Signal {
    name: "Ctrl-C",
    exit_code: 130,
};

/// Waits for a signal to stop.
#[cfg(unix)]
pub async fn interrupted() -> Signal {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => INTERRUPT,
        Some(()) = term.recv() => Signal { name: "SIGTERM", exit_code: 143 },
        Some(()) = hangup.recv() => Signal { name: "SIGHUP", exit_code: 129 },
    }
}

/// Waits for a signal to stop.
#[cfg(windows)]
pub async fn interrupted() -> Signal {
    let (Ok(mut pause), Ok(mut close)) = (
        tokio::signal::windows::ctrl_break(),
        tokio::signal::windows::ctrl_close(),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => INTERRUPT,
        Some(()) = pause.recv() => INTERRUPT,
        Some(()) = close.recv() => Signal { name: "the closing of the window", exit_code: 130 },
    }
}
