//! The log: one JSON object a line on stdout, and what a panic leaves in it.
//!
//! # Deliberately absent
//!
//! Bodies, query strings, keys and what users wrote: no line holds any of them.

use cmg_config::Config;
use tracing_subscriber::EnvFilter;

/// Starts the log of this process at the level of the settings.
///
/// Lines of the target `cmg::start` are written at every level: by them a program learns the URL.
pub fn start(config: &Config) {
    let level = config.telemetry.log_level.as_str();
    let filter =
        EnvFilter::new(format!("{level},cmg::start=info,sled=warn,actix_server=warn,actix_http=error,mio=warn"));
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).with_current_span(false);
    let started = log.with_span_list(false).with_writer(std::io::stdout).try_init();
    if started.is_err() {
        tracing::debug!("a log was started before");
    }
    std::panic::set_hook(Box::new(|panic| {
        // The place alone: the message may hold what a user wrote.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a part of the program gave up; the request that caused it is answered with 500");
    }));
}
