//! The room of the HTTP server: where it listens, what it takes, how it stops.

use crate::table::{Kind, room};

room! {
    /// How the HTTP server listens and what it takes.
    Server in "server" {
        /// Address to listen on.
        host: String = "SERVER_HOST", Kind::Text { allowed: "an IP address or host name", check: is_host };
        /// Port to listen on; `0` picks a free one.
        port: u16 = "SERVER_PORT", Kind::Integer { min: 0, max: 65_535 };
        /// HTTP workers; `0` takes one for each core.
        workers: usize = "CMG_SERVER_WORKERS", Kind::Integer { min: 0, max: 1_024 };
        /// Largest request body in bytes; a larger one is answered with 413 `body_too_large`.
        max_body_bytes: usize = "CMG_SERVER_MAX_BODY_BYTES", Kind::Integer { min: 1_024, max: 1 << 30 };
        /// Seconds that a request may take before it is answered with 504 `request_timeout`.
        request_timeout: u64 = "REQUEST_TIMEOUT", Kind::Integer { min: 1, max: 3_600 };
        /// Seconds that a stop waits for requests in flight.
        shutdown_seconds: u64 = "CMG_SERVER_SHUTDOWN_SECONDS", Kind::Integer { min: 0, max: 3_600 };
        /// Origins that browsers may call from; `*` allows all, an empty list none.
        cors_origins: Vec<String> = "CORS_ORIGINS",
            Kind::List { allowed: "origins such as https://app.example.com, or `*`", check: is_origin };
        /// For developers: the log level becomes `debug` unless a file or variable sets one. Production refuses it.
        debug: bool = "DEBUG", Kind::Bool;
    }
}

fn is_host(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
        || ((1..=253).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.'))
}

fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '@', ' ', '?', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host_and_nothing_more() {
        assert!(["*", "http://localhost:3000", "https://a.example"].into_iter().all(is_origin));
        assert!(
            !["a.example", "https://", "https://a.example/", "ftp://a", "https://u:p@a"].into_iter().any(is_origin)
        );
    }

    #[test]
    fn a_host_is_an_address_or_a_name() {
        assert!(["0.0.0.0", "::1", "localhost", "a-b.example"].into_iter().all(is_host));
        assert!(!["", "a b", "http://a", "1.2.3.4:80"].into_iter().any(is_host));
    }
}
