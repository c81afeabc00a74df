//! The `headwater` command: services, commands, events and streams from the shell.
//!
//! Each verb is a module with its `Args` and a `run` that takes them and the [`World`](world::World): the connection,
//! the output, and what the flags of every verb say. A verb is named in [`arguments::Verb`] and nowhere else.

mod aggregate;
mod arguments;
mod backup;
mod call;
mod command;
mod complaint;
mod completions;
mod doctor;
mod events;
mod exit;
mod output;
mod permissions;
mod query;
mod services;
mod show;
mod signals;
mod topology;
mod world;

use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser as _;
use world::World;

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { settings, verb } = Arguments::parse();
    let world = World::new(settings);
    match verb.run(&world).await {
        Ok(exit) => exit.into(),
        Err(complaint) => complaint.report(world.is_json()),
    }
}
