//! Which events are asked for.

use std::num::NonZeroUsize;

use headwater_core::store::EventFilter;
use headwater_core::{AggregateId, Name};

use crate::call::name;
use crate::complaint::Complaint;

/// Which events of which service.
#[derive(Debug, clap::Args)]
pub(super) struct FilterArguments {
    /// The service, such as receipts
    #[arg(value_name = "SERVICE", value_parser = name, required_unless_present = "service_flag")]
    service: Option<Name>,

    /// The same as SERVICE
    #[arg(long = "service", value_name = "SERVICE", value_parser = name, conflicts_with = "service")]
    service_flag: Option<Name>,

    /// Only events of this aggregate type, or of one aggregate: receipt, or receipt/order-1
    #[arg(long, value_name = "TYPE[/ID]")]
    aggregate: Option<String>,

    /// The tenant of the one aggregate, where the service keeps its tenants apart
    #[arg(long, value_name = "TENANT", requires = "aggregate")]
    tenant: Option<String>,

    /// Only events of this name, such as item-added; may be given more than once
    #[arg(long = "type", value_name = "NAME", value_parser = name)]
    types: Vec<Name>,

    /// End after so many events
    #[arg(long, short = 'n', value_name = "N")]
    pub(super) count: Option<NonZeroUsize>,
}

impl FilterArguments {
    /// The service, and which of its events.
    pub(super) fn read(&self) -> Result<(Name, EventFilter), Complaint> {
        let service = self.service.clone().or_else(|| self.service_flag.clone());
        let service = service.ok_or_else(|| Complaint::usage("which service? `headwater services ls` lists them"))?;
        let mut filter = EventFilter { events: self.types.clone(), ..EventFilter::all() };
        if let Some(aggregate) = &self.aggregate {
            filter = self.of(filter, aggregate)?;
        }
        Ok((service, filter))
    }

    fn of(&self, filter: EventFilter, aggregate: &str) -> Result<EventFilter, Complaint> {
        // A type has no slash; an id may have some.
        let (kind, id) = aggregate.split_once('/').map_or((aggregate, None), |(kind, id)| (kind, Some(id)));
        let kind = name(kind).map_err(|error| Complaint::usage(format!("--aggregate: {error}")))?;
        match (id, &self.tenant) {
            (None, None) => Ok(filter.kind(kind)),
            (None, Some(_)) => Err(Complaint::usage("--tenant: one aggregate is needed: --aggregate TYPE/ID")),
            (Some(id), tenant) => {
                let aggregate = AggregateId::of(kind, id).and_then(|aggregate| match tenant {
                    Some(tenant) => aggregate.in_tenant(tenant),
                    None => Ok(aggregate),
                });
                let aggregate = aggregate.map_err(|error| Complaint::usage(format!("--aggregate: {error}")))?;
                Ok(filter.aggregate(aggregate))
            }
        }
    }
}
