//! What the client can be asked to do.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use headwater::nats::connect::HumanDuration;
use headwater::{CommandId, Revision};
use sample_receipts::domain::{AddItem, Price};

use super::{NatsArguments, items};

#[derive(Debug, Args)]
pub(crate) struct ClientArguments {
    #[command(flatten)]
    pub(crate) nats: NatsArguments,

    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// How long to wait for the answer, such as 2s or 500ms
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration, global = true)]
    pub(crate) timeout: Duration,

    #[command(flatten)]
    pub(crate) caller: CallerArguments,

    #[command(subcommand)]
    pub(crate) action: ClientAction,
}

/// Who calls, for a service that asks. The server's own credentials are another matter.
#[derive(Args)]
pub(crate) struct CallerArguments {
    /// A bearer token that says who calls; safer in HEADWATER_TOKEN or a file, since others see command lines
    #[arg(
        long,
        value_name = "JWT",
        env = "HEADWATER_TOKEN",
        hide_env_values = true,
        global = true,
        help_heading = "Caller"
    )]
    pub(crate) token: Option<String>,

    /// A file with such a token; it goes before --token
    #[arg(long, value_name = "FILE", global = true, help_heading = "Caller")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Without the token.
impl std::fmt::Debug for CallerArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallerArguments").field("token_file", &self.token_file).finish_non_exhaustive()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientAction {
    /// Put an item on a receipt
    AddItem {
        /// The receipt, such as order-1001
        id: String,
        /// What the item is called: 1 to 200 characters
        #[arg(long)]
        name: String,
        /// What one piece costs: a decimal with at most two decimals
        #[arg(long, allow_hyphen_values = true)]
        price: Price,
        /// How many pieces: 1 to 10000
        #[arg(long, default_value = "1")]
        quantity: u32,
        #[command(flatten)]
        options: CommandOptions,
    },
    /// Put several items on a receipt: all of them, or none
    AddItems {
        /// The receipt, such as order-1001
        id: String,
        /// An item, such as Coffee=5.99x2; may be given more than once
        #[arg(long = "item", value_name = "NAME=PRICExQUANTITY", value_parser = items::parse)]
        items: Vec<AddItem>,
        /// A JSON file with {"items": [{"name", "price", "quantity"}, …]}; - reads standard input
        #[arg(long, value_name = "FILE", conflicts_with = "items", required_unless_present = "items")]
        file: Option<PathBuf>,
        #[command(flatten)]
        options: CommandOptions,
    },
    /// Take all lines of one name off a receipt
    RemoveItem {
        /// The receipt, such as order-1001
        id: String,
        /// The name of the lines
        #[arg(long)]
        name: String,
        #[command(flatten)]
        options: CommandOptions,
    },
    /// Close a receipt
    Finalize {
        /// The receipt, such as order-1001
        id: String,
        #[command(flatten)]
        options: CommandOptions,
    },
    /// Void a receipt, open or closed
    Void {
        /// The receipt, such as order-1001
        id: String,
        /// Why, for the books
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        options: CommandOptions,
    },
    /// Show a receipt as it is, or as it was
    Get {
        /// The receipt, such as order-1001
        id: String,
        #[command(flatten)]
        options: ReadOptions,
    },
    /// Show a receipt in four numbers
    Summary {
        /// The receipt, such as order-1001
        id: String,
    },
    /// List what happened to a receipt
    History {
        /// The receipt, such as order-1001
        id: String,
        /// Only what happened after this revision
        #[arg(long, value_name = "REVISION", default_value = "0")]
        after: Revision,
        /// At most so many events [default: all of them]
        #[arg(long, value_name = "N")]
        limit: Option<NonZeroUsize>,
    },
    /// Show events as they happen, until Ctrl-C
    Watch {
        /// Only those of this receipt [default: of all]
        id: Option<String>,
        /// Only events of this name, such as item-added; may be given more than once
        #[arg(long = "event", value_name = "NAME")]
        events: Vec<String>,
        /// End after so many events
        #[arg(long, value_name = "N")]
        count: Option<NonZeroUsize>,
    },
    /// List the running instances and what they have served
    Discover {
        /// Wait for so many instances, at most for --timeout [default: whoever answers in a moment]
        #[arg(long, value_name = "N")]
        expect: Option<NonZeroUsize>,
    },
}

/// What every command takes.
#[derive(Debug, Default, Args)]
pub(crate) struct CommandOptions {
    /// Refuse the command if the receipt has another revision; 0: if it has any
    #[arg(long, value_name = "REVISION")]
    pub(crate) expected_revision: Option<Revision>,

    /// The command's id: sent again with the same one, it takes effect once [default: a new one]
    #[arg(long, value_name = "ID", value_parser = command_id)]
    pub(crate) command_id: Option<CommandId>,
}

/// Which state of a receipt is asked for.
#[derive(Debug, Default, Args)]
pub(crate) struct ReadOptions {
    /// As it was at this revision
    #[arg(long, value_name = "REVISION", conflicts_with = "at_time")]
    pub(crate) at_revision: Option<Revision>,

    /// As it was at this time, such as 2026-11-20T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) at_time: Option<DateTime<Utc>>,

    /// Wait until it has at least this revision: read your own writes
    #[arg(long, value_name = "REVISION")]
    pub(crate) min_revision: Option<Revision>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration: HumanDuration =
        text.parse().map_err(|error: headwater::nats::connect::BadDuration| error.to_string())?;
    Some(duration.get()).filter(|duration| !duration.is_zero()).ok_or_else(|| "at least some time is needed".to_owned())
}

fn command_id(text: &str) -> Result<CommandId, String> {
    CommandId::new(text).map_err(|error| error.to_string())
}
