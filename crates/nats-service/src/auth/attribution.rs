//! On whose behalf a request is carried out: what was verified, in place of what the request says.

use headwater_core::call::RequestMetadata;
use headwater_core::{AggregateId, Failure};
use headwater_nats::auth::Reason;

use crate::edge::Request;
use crate::endpoint::Asks;

/// Puts the caller's verified identity in place of what the request says of its user and tenant, and the aggregate into the
/// caller's tenant where tenants are kept apart. Nothing happens when nobody has verified who is calling.
///
/// # Errors
/// 403 when the request claims another user or tenant; 400 for a signed command without a `commandId`.
pub(crate) fn attribute(
    request: &Request,
    aggregate: &mut AggregateId,
    said: &mut RequestMetadata,
) -> Result<(), Failure> {
    try_attribute(request, aggregate, said).map_err(|wrong| match (wrong, &request.ticket.instance.auth) {
        (Wrong::Claims(why), Some(guard)) => guard.refuse(why, request.subject()),
        (Wrong::Claims(why), None) => why.failure(),
        (Wrong::NoCommandId, _) => {
            Failure::invalid_request("a signed command must carry its `commandId` in `metadata`")
        }
    })
}

/// What is wrong with what a request says of itself.
pub(crate) enum Wrong {
    /// It claims to be somebody else's.
    Claims(Reason),
    /// A signed command that another instance could not tell from its repeat.
    NoCommandId,
}

/// The same for whoever looks a second time when something is wrong: nothing is counted.
pub(crate) fn try_attribute(
    request: &Request,
    aggregate: &mut AggregateId,
    said: &mut RequestMetadata,
) -> Result<(), Wrong> {
    let Some(caller) = request.caller() else { return Ok(()) };
    let instance = &request.ticket.instance;
    if said.user_id.as_deref().is_some_and(|claimed| claimed != caller.user()) {
        return Err(Wrong::Claims(Reason::OtherUser));
    }
    if said.tenant_id.is_some() && said.tenant_id.as_deref() != caller.tenant_id() {
        return Err(Wrong::Claims(Reason::OtherTenant));
    }
    if caller.is_signing() && said.command_id.is_none() && matches!(request.ticket.endpoint.asks, Asks::Command(_)) {
        return Err(Wrong::NoCommandId);
    }
    said.user_id = Some(caller.user().to_owned());
    said.tenant_id = caller.tenant_id().map(str::to_owned);
    if instance.auth.as_ref().is_some_and(|guard| guard.tenants) {
        let other = || Wrong::Claims(Reason::OtherTenant);
        let tenant = caller.tenant_id().ok_or_else(other)?;
        *aggregate = aggregate.clone().in_tenant(tenant).map_err(|_| other())?;
    }
    Ok(())
}
