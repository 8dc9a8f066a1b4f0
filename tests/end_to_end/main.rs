//! Tests that drive the command, in one binary.

mod align;
mod cli;
mod common;
mod crash;
mod delta;
mod faults;
mod import;
mod inputs;
mod nothing_lost;
mod outputs;
mod printing;
mod real_data;
mod real_model;
mod show;
mod writing;
