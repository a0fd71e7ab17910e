//! Rust client of Fathom: REST and SSE.
