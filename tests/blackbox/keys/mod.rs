//! Keys: who may do what, and that nobody reaches what is another's.

mod admin;
mod cli;
mod isolation;
mod secrets;
