//! Wiring: the map of the running program, from start to stop.

pub mod admin_socket;
