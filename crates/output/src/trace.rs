//! Logging for `--verbose` and `RUST_LOG`: requests, retries, lookups in the store, child processes
//! with their arguments and durations. Each event is one line on standard error.

use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::progress::Progress;

/// Starts printing events: those that `rust_log` selects (`TARGET=LEVEL`, separated by commas), or
/// those of Sysforge's own crates if `verbose` is set.
pub fn start_tracing(verbose: bool, rust_log: Option<&str>, progress: &Progress) {
    let asked = rust_log.and_then(|text| text.parse::<Targets>().ok());
    let ours = verbose.then(|| Targets::new().with_target("sysforge", Level::DEBUG));
    if let Some(targets) = asked.or(ours) {
        let lines = Lines(progress.clone());
        let registry = tracing_subscriber::registry().with(lines.with_filter(targets));
        // This fails only if there is a subscriber already.
        let _ = registry.try_init();
    }
}

/// Prints each event as a line.
struct Lines(Progress);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        let target = target.strip_prefix("sysforge_").unwrap_or(target);
        let name = target.split("::").next().unwrap_or(target);
        let mut line = Line::default();
        event.record(&mut line);
        self.0
            .detail(&format!("  {name:<9} | {}{}", line.message, line.fields));
    }
}

/// The text of an event: its message, and ` NAME=VALUE` for each field.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Collect(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Collect {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = Line::default();
            event.record(&mut line);
            let line = format!("{}{}", line.message, line.fields);
            self.0.lock().unwrap().push(line);
        }
    }

    #[test]
    fn secrets_are_redacted_by_their_types() {
        let seen = Arc::default();
        let layer = Collect(Arc::clone(&seen));
        let registry = tracing_subscriber::registry().with(layer);
        let url: url::Url = "https://me:hunter2@host/a?token=hunter2".parse().unwrap();
        let secret = sysforge_plan::Secret::new("hunter2");
        let program = sysforge_process::Program::new(
            "julia",
            sysforge_process::Environment::default().with("LOGIN", "hunter2"),
            "log",
        )
        .arg("--login=hunter2")
        .redact(vec!["hunter2".to_owned()]);
        tracing::subscriber::with_default(registry, || {
            tracing::debug!(url = %sysforge_net::Address(&url), "request");
            tracing::debug!(?secret, command = %program, "start");
        });
        let seen = seen.lock().unwrap().join("\n");
        assert_eq!(
            seen,
            "request url=https://host/a\nstart secret=Secret(***) command=julia '--login=***'"
        );
    }
}
