//! How far long work is: a bar on a terminal, a line for each tenth elsewhere; always on the error output, so that what
//! is printed for programs stays clean.

#![expect(clippy::print_stderr, reason = "telling the user how far it is, is what this module is for")]

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

/// The progress of one piece of work with a known end. May be told of from several threads.
#[derive(Debug)]
pub(super) struct Progress {
    label: &'static str,
    unit: &'static str,
    total: u64,
    done: AtomicU64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Work of `total` units, named by `label`.
    pub(super) fn new(label: &'static str, total: u64, unit: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(label, total, unit));
        if bar.is_none() {
            eprintln!("{label}: {total} {unit} …");
        }
        Self { label, unit, total, done: AtomicU64::new(0), bar }
    }

    /// `count` more units are done.
    pub(super) fn add(&self, count: u64) {
        let before = self.done.fetch_add(count, Ordering::Relaxed);
        let now = before.saturating_add(count);
        match &self.bar {
            Some(bar) => bar.set_position(now.min(self.total)),
            None if tenth(now, self.total) > tenth(before, self.total) => {
                eprintln!("{}: {} of {} {}", self.label, now.min(self.total), self.total, self.unit);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Says one thing about the work, once.
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

fn bar(label: &'static str, total: u64, unit: &'static str) -> ProgressBar {
    let template = format!("{{msg:>12}} {{bar:40}} {{pos}}/{{len}} {unit} ({{eta}} left)");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(label)
}

/// How many tenths of the work are done.
fn tenth(done: u64, total: u64) -> u64 {
    done.min(total).saturating_mul(10).checked_div(total).unwrap_or(10)
}

#[cfg(test)]
mod tests {
    use super::tenth;

    #[test]
    fn tenths_are_counted_up_to_ten_and_without_dividing_by_nothing() {
        assert_eq!([tenth(0, 20), tenth(1, 20), tenth(2, 20), tenth(20, 20), tenth(99, 20)], [0, 0, 1, 10, 10]);
        assert_eq!(tenth(0, 0), 10);
    }
}
