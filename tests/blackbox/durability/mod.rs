//! What was acknowledged stays: crashes, stops, wrong keys, two servers on one folder.

mod crash;
mod restart;
mod start;
mod sync;
