//! The pool and the migrations over real databases, of both kinds.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod migrations;
mod pool;
