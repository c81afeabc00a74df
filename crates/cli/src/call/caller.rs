//! Who calls, for a service that asks. The credentials of the connection are another matter: those are the server's.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use headwater_core::call::RequestMetadata;
use headwater_core::{AggregateId, Name};
use headwater_nats::signature::Signer;
use headwater_nats_client::Credentials;

use crate::complaint::Complaint;

/// Who calls, and in what connection.
#[derive(Args)]
#[command(next_help_heading = "Caller")]
pub(crate) struct CallerArguments {
    /// A bearer token that says who calls; others see command lines, so a variable or a file is safer
    #[arg(long, value_name = "JWT", env = "HEADWATER_TOKEN", hide_env_values = true)]
    bearer: Option<String>,

    /// A file with such a token; it goes before --bearer
    #[arg(long, value_name = "FILE", conflicts_with = "sign_with")]
    bearer_file: Option<PathBuf>,

    /// Sign each request with the NKey seed in this file; it goes before --bearer
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,

    /// The tenant, where the service keeps its tenants apart
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,

    /// The user on whose behalf the call is made; a service with auth on goes by its own finding
    #[arg(long, value_name = "USER")]
    user_id: Option<String>,

    /// The conversation that the call belongs to
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
}

/// Without the token.
impl fmt::Debug for CallerArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerArguments").field("bearer_file", &self.bearer_file).finish_non_exhaustive()
    }
}

impl CallerArguments {
    /// How the caller proves who they are, if they do.
    pub(crate) fn credentials(&self) -> Result<Option<Credentials>, Complaint> {
        if let Some(path) = &self.sign_with {
            let signer = Signer::from_file(path);
            let signer = signer.map_err(|error| Complaint::because(&path.display().to_string(), &error))?;
            return Ok(Some(Credentials::nkey(signer)));
        }
        if let Some(path) = &self.bearer_file {
            let read = |error| Complaint::because(&format!("{} cannot be read", path.display()), &error);
            return Ok(Some(Credentials::bearer(std::fs::read_to_string(path).map_err(read)?)));
        }
        Ok(self.bearer.as_ref().map(Credentials::bearer))
    }

    /// The aggregate of this type and id, in the tenant that was named.
    pub(crate) fn aggregate(&self, kind: Name, id: &str) -> Result<AggregateId, Complaint> {
        let aggregate = AggregateId::of(kind, id);
        let aggregate = aggregate.and_then(|aggregate| match &self.tenant {
            Some(tenant) => aggregate.in_tenant(tenant),
            None => Ok(aggregate),
        });
        aggregate.map_err(|error| Complaint::usage(error.to_string()))
    }

    /// What the request says of itself.
    pub(crate) fn metadata(&self) -> RequestMetadata {
        RequestMetadata {
            user_id: self.user_id.clone(),
            correlation_id: self.correlation_id.clone(),
            ..RequestMetadata::default()
        }
    }
}
