//! On whose behalf a request is carried out: what was verified, in place of what the request says.

use headwater_core::call::RequestMetadata;
use headwater_core::{AggregateId, Failure};

use super::reason::Reason;
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
    let Some(caller) = request.caller() else { return Ok(()) };
    let guard = request.ticket.instance.auth.as_deref();
    let refuse = |why: Reason| match guard {
        Some(guard) => guard.refuse(why, request.subject()),
        None => why.failure(),
    };
    if said.user_id.as_deref().is_some_and(|claimed| claimed != caller.user()) {
        return Err(refuse(Reason::OtherUser));
    }
    if said.tenant_id.is_some() && said.tenant_id.as_deref() != caller.tenant_id() {
        return Err(refuse(Reason::OtherTenant));
    }
    if caller.is_signing() && said.command_id.is_none() && matches!(request.ticket.endpoint.asks, Asks::Command(_)) {
        return Err(Failure::invalid_request("a signed command must carry its `commandId` in `metadata`"));
    }
    said.user_id = Some(caller.user().to_owned());
    said.tenant_id = caller.tenant_id().map(str::to_owned);
    if guard.is_some_and(|guard| guard.tenants) {
        let tenant = caller.tenant_id().ok_or_else(|| refuse(Reason::OtherTenant))?;
        *aggregate = aggregate.clone().in_tenant(tenant).map_err(|_| refuse(Reason::OtherTenant))?;
    }
    Ok(())
}
