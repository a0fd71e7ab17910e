//! Clients and API keys as operators see and change them.

mod clients;
mod keys;
