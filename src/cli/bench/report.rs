//! Figures as people and programs read them: percentiles, ratios, aligned columns, one JSON object.

#![expect(clippy::print_stdout, reason = "printing the figures is what the command is for")]

use super::BenchError;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// Nanoseconds up to which a latency is told apart: one hour.
const LONGEST_NANOS: u64 = 3_600_000_000_000;

/// Latencies, each to three digits.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

/// The percentiles of some latencies, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Percentiles {
    /// Requests behind the figures.
    pub(super) count: u64,
    pub(super) mean_us: f64,
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p95_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
}

impl Latencies {
    /// No latencies yet.
    pub(super) fn new() -> Result<Self, BenchError> {
        let made = Histogram::new_with_bounds(1, LONGEST_NANOS, 3);
        made.map(Self).map_err(|error| BenchError::Failed(format!("no histogram: {error}")))
    }

    /// One more.
    pub(super) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NANOS).max(1));
    }

    /// Those of another client too.
    pub(super) fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so there is always room.
        let _ = self.0.add(&other.0);
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency in microseconds below which this share of them, from 0 to 1, lies.
    pub(super) fn at(&self, share: f64) -> f64 {
        micros(self.0.value_at_quantile(share))
    }

    /// The percentiles that are reported.
    pub(super) fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.count(),
            mean_us: round(self.0.mean() / 1e3),
            p50_us: self.at(0.5),
            p90_us: self.at(0.9),
            p95_us: self.at(0.95),
            p99_us: self.at(0.99),
            p999_us: self.at(0.999),
            max_us: micros(self.0.max()),
        }
    }
}

/// Nanoseconds as microseconds, to a tenth.
#[expect(clippy::cast_precision_loss, reason = "no latency has 53 bits")]
fn micros(nanos: u64) -> f64 {
    round(nanos as f64 / 1e3)
}

/// To one digit behind the point.
pub(super) fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// `part` for each `whole`; 0 where there is no whole. To two digits behind the point.
pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole * 100.0).round() / 100.0 } else { 0.0 }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// The header over rows of [`latency_row`].
pub(super) fn latency_header() -> String {
    format!(
        "{:<16}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "latency in µs", "p50", "p90", "p95", "p99", "p99.9", "max", "mean", "requests"
    )
}

/// One line of percentiles.
pub(super) fn latency_row(name: &str, of: &Percentiles) -> String {
    format!(
        "{name:<16}{:>10.1}{:>10.1}{:>10.1}{:>10.1}{:>10.1}{:>10.1}{:>10.1}{:>10}",
        of.p50_us, of.p90_us, of.p95_us, of.p99_us, of.p999_us, of.max_us, of.mean_us, of.count
    )
}

/// A line of a name and what there is to say of it.
pub(super) fn fact(name: &str, value: impl std::fmt::Display) -> String {
    format!("{name:<34}{value}")
}

/// Prints the report: for programs as one JSON object on one line, else as lines for people.
pub(super) fn print(json: bool, report: &impl Serialize, lines: &[String]) {
    if json {
        println!("{}", serde_json::to_string(report).unwrap_or_default());
    } else {
        for line in lines {
            println!("{}", line.trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(micros: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new().expect("sound bounds");
        micros.into_iter().for_each(|one| latencies.record(Duration::from_micros(one)));
        latencies
    }

    fn near(value: f64, expected: f64) -> bool {
        (value - expected).abs() <= expected * 0.002
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let found = latencies(1..=1000).percentiles();

        assert_eq!(found.count, 1000);
        assert!(near(found.p50_us, 500.0) && near(found.p90_us, 900.0) && near(found.p95_us, 950.0), "{found:?}");
        assert!(near(found.p99_us, 990.0) && near(found.p999_us, 999.0) && near(found.max_us, 1000.0), "{found:?}");
        assert!(near(found.mean_us, 500.5), "{found:?}");
    }

    #[test]
    fn merged_clients_count_as_one() {
        let mut both = latencies([10; 50]);
        both.merge(&latencies([30; 50]));

        assert_eq!(both.count(), 100);
        assert!(near(both.at(0.5), 10.0) && near(both.at(0.51), 30.0));
    }

    #[test]
    fn nothing_measured_is_zero_and_not_a_panic() {
        assert_eq!(latencies([]).percentiles().p99_us, 0.0);
        assert_eq!(ratio(3.0, 0.0), 0.0);
    }

    #[test]
    fn ratios_have_two_digits() {
        assert_eq!(ratio(10.0, 3.0), 3.33);
    }
}
