//! `headwater completions`: what a shell needs to complete this command.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::world::World;

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater completions bash > ~/.local/share/bash-completion/completions/headwater
  headwater completions zsh > ~/.zfunc/_headwater
  headwater completions fish > ~/.config/fish/completions/headwater.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, world: &World) -> Result<Exit, Complaint> {
    // Not straight to standard output: what generates them panics where nobody reads any more.
    let mut completions = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "headwater", &mut completions);
    world.output.bytes(&completions)?;
    Ok(Exit::Done)
}
