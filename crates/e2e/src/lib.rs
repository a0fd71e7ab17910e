//! In-process cluster harness and the tests of promises that need several services.
