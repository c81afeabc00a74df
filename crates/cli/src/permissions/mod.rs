//! `headwater permissions`: what the server has to permit a user, and nothing else.
//!
//! - `rights`: what each role publishes and subscribes to, taken from the protocol's subjects and from what store, service
//!   and client really ask of JetStream. `tests/all/permissions` runs each role on a server that permits no more.
//! - `print`: the same as a configuration block, as `nsc` commands, and as JSON.
//! - `cover`: whether what a user has covers what a role needs, for the doctor.

pub(crate) mod cover;
mod print;
pub(crate) mod rights;

use clap::ValueEnum;
use headwater_core::Name;

use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::world::World;
use rights::{Place, Rights, Role};

/// Print the smallest server permissions for a role
///
/// Put the block into the entry of a user in the server's configuration, or run the nsc command. Each user needs to subscribe
/// to its inbox; with an --inbox-prefix of its own nobody else in the account can read its answers.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Roles:
  service    answers calls, writes its journal and its snapshots
  client     sends commands and queries, and follows live events
  reader     reads the journal, with durable readers or without
  projector  reads the journal with the durable readers named, and keeps a read model in a bucket
  admin      looks after the service's streams: topology, backup, restore, doctor
  discovery  asks which services there are and how they are

Examples:
  headwater permissions --role service --service receipts
  headwater permissions --role client --service receipts --inbox-prefix _INBOX_till --format nsc
  headwater permissions --role projector --service receipts --durable totals --bucket TOTALS
  headwater permissions --role admin --service receipts --stream NOTIFICATIONS --format json")]
pub(crate) struct Args {
    /// What the user is for
    #[arg(long, value_enum, value_name = "ROLE")]
    pub(crate) role: Role,

    /// The service; may be left out for discovery, which is then of all services
    #[arg(long, value_name = "NAME", required_if_eq_any = [("role", "service"), ("role", "client"), ("role", "reader"), ("role", "projector"), ("role", "admin")])]
    pub(crate) service: Option<Name>,

    /// For a reader or projector: a durable reader it has, and no others; may be given more than once
    #[arg(long, value_name = "NAME", required_if_eq("role", "projector"))]
    durable: Vec<Name>,

    /// For a projector: the key-value bucket of its read model; may be given more than once
    #[arg(long, value_name = "BUCKET")]
    bucket: Vec<String>,

    /// For an admin: a further stream, such as one of a topology; may be given more than once, and '*' is all of the account
    #[arg(long, value_name = "STREAM")]
    stream: Vec<String>,

    /// For a service: its streams are made for it, and it only checks that they are right
    #[arg(long)]
    no_create: bool,

    /// How to print them; --json is the same as json
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "conf")]
    format: Format,

    /// For nsc: the account of the user
    #[arg(long, value_name = "ACCOUNT", default_value = "ACCOUNT")]
    account: String,
}

/// How permissions are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A block for the server's configuration
    Conf,
    /// The commands that make such a user
    Nsc,
    /// JSON, each subject with its reason
    Json,
}

pub(crate) fn run(args: &Args, world: &World) -> Result<Exit, Complaint> {
    args.check()?;
    let config = world.config()?;
    let place = Place::of(&config);
    let rights = args.rights(&place)?;
    let format = if world.is_json() { Format::Json } else { args.format };
    match format {
        Format::Conf => world.output.line(print::conf(&rights, &args.title()))?,
        Format::Nsc => world.output.line(print::nsc(&rights, &args.user(), &args.account))?,
        Format::Json => world.output.json(&rights)?,
    }
    Ok(Exit::Done)
}

impl Args {
    fn check(&self) -> Result<(), Complaint> {
        let is_token =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_=/".contains(c));
        if let Some(bad) = self.bucket.iter().find(|name| !is_token(name)) {
            return Err(Complaint::usage(format!("{bad:?} is not the name of a bucket")));
        }
        if let Some(bad) = self.stream.iter().find(|name| *name != "*" && !is_token(name)) {
            return Err(Complaint::usage(format!("{bad:?} is not the name of a stream, nor '*'")));
        }
        Ok(())
    }

    fn rights(&self, place: &Place) -> Result<Rights, Complaint> {
        let needed = || Complaint::usage("--service says which service is meant");
        let service = || self.service.clone().ok_or_else(needed);
        Ok(match self.role {
            Role::Service => Rights::service(&service()?, place, !self.no_create),
            Role::Client => Rights::client(&service()?, place),
            Role::Reader => Rights::reader(&service()?, place, &self.durable),
            Role::Projector => Rights::projector(&service()?, place, &self.durable, &self.bucket),
            Role::Admin => Rights::admin(&service()?, place, &self.stream),
            Role::Discovery => Rights::discovery(self.service.as_ref(), place),
        })
    }

    /// The command line that prints the same, as a comment.
    fn title(&self) -> String {
        let mut title = format!("headwater permissions --role {}", self.role);
        let mut add = |flag: &str, value: &str| title.push_str(&format!(" --{flag} {value}"));
        self.service.iter().for_each(|service| add("service", service.as_str()));
        self.durable.iter().for_each(|durable| add("durable", durable.as_str()));
        self.bucket.iter().for_each(|bucket| add("bucket", bucket));
        self.stream.iter().for_each(|stream| add("stream", stream));
        if self.no_create {
            title.push_str(" --no-create");
        }
        title
    }

    /// What the user is called where a name is needed.
    fn user(&self) -> String {
        match &self.service {
            Some(service) => format!("{service}-{}", self.role),
            None => self.role.to_string(),
        }
    }
}
