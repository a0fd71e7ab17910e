//! The public port, set upon by clients that were written for it.

mod attack;
mod bodies;
mod files;
mod readers;
mod tls;
mod upstream;
