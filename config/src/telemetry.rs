//! The room of what the server says about itself: log and metrics.

use crate::table::{Kind, room, words};

words! {
    /// The least important line that is still written.
    LogLevel {
        /// Something failed that a person has to look at.
        Error = "error",
        /// Something is odd, and the server went on.
        Warn = "warn",
        /// What happened, a line or two a request.
        Info = "info",
        /// How it happened.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

room! {
    /// What the server says about itself.
    Telemetry in "telemetry" {
        /// Least important log line that is written.
        log_level: LogLevel = "LOG_LEVEL", Kind::OneOf(LogLevel::WORDS);
        /// Whether `/metrics` answers. Read by the metrics route.
        metrics_enabled: bool = "METRICS_ENABLED", Kind::Bool;
    }
}
