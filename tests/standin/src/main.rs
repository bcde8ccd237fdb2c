//! The `cmg-standin` binary: a stand-in that runs until it is ended, for benchmarks and for trying things by hand.
//!
//! `cmg-standin [PORT]` prints its URL and keeps no requests.

use cmg_standin::{Options, StandIn};
use std::error::Error;
use std::io::Write as _;

fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let standin = StandIn::with(Options { port, keep: 0 })?;
    writeln!(std::io::stdout(), "{}", standin.url())?;
    loop {
        std::thread::park();
    }
}
