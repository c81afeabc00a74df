//! The program of the receipts example: a demo, the service, its client and a server to try them on.

mod arguments;
mod client;
mod complaint;
mod configuration;
mod connect;
mod demo;
mod nats_server;
mod output;
mod schema_lock;
mod serve;
mod service;
mod show;
mod signals;
mod telemetry;

use std::process::ExitCode;

use arguments::{Action, Arguments};
use clap::Parser as _;
use complaint::Complaint;
use demo::Way;
use output::Output;

/// Requests are many small buffers that one thread makes and another gives back; this saves a fifth of a command's processor
/// time over the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut output = Output::stdout();
    match run(arguments, &mut output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => complaint.report(),
    }
}

async fn run(Arguments { in_process, telemetry, action }: Arguments, output: &mut Output) -> Result<(), Complaint> {
    match action {
        None => demo::run(Way { in_process, telemetry }, output).await,
        Some(Action::Serve(arguments)) => serve::run(arguments, output).await,
        Some(Action::Client(arguments)) => client::run(arguments, output).await,
        Some(Action::NatsServer(arguments)) => nats_server::run(arguments, output).await,
        Some(Action::ConfigSchema) => configuration::print_schema(output),
        Some(Action::SchemaLock(arguments)) => schema_lock::run(&arguments, output),
    }
}
