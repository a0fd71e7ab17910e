//! The binary fathom: up, one subcommand a role, configuration.
