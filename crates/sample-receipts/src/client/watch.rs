//! Events as they happen, until enough of them came or somebody asks to stop.

use std::num::NonZeroUsize;

use futures_util::StreamExt as _;
use headwater::client::LiveItem;
use sample_receipts::domain::{ReceiptClient, ReceiptEvent};

use super::report::Report;
use crate::complaint::Complaint;
use crate::output::note;
use crate::signals;

/// Which events, and how many of them.
pub(super) struct Watch {
    pub(super) id: Option<String>,
    pub(super) events: Vec<String>,
    pub(super) count: Option<NonZeroUsize>,
}

impl Watch {
    pub(super) async fn run(self, receipts: &ReceiptClient, report: &mut Report<'_>) -> Result<(), Complaint> {
        let stop = signals::stop_requested().map_err(|error| Complaint::new("signals cannot be caught", &error))?;
        let mut call = receipts.live();
        if let Some(id) = &self.id {
            call = call.aggregate(id);
        }
        for event in &self.events {
            call = call.event(event.as_str());
        }
        let mut feed = call.await.map_err(|error| report.complain(error))?;
        // Standard output holds events and nothing else.
        note("watching; Ctrl-C ends it");
        tokio::pin!(stop);
        let mut left = self.count.map_or(usize::MAX, NonZeroUsize::get);
        while left > 0 {
            let item = tokio::select! {
                item = feed.next() => item,
                _ = &mut stop => return Ok(()),
            };
            let Some(item) = item else {
                return Err(Complaint::Failed("the feed ended: the connection was closed".to_owned()));
            };
            left -= show(item, report)?;
        }
        Ok(())
    }
}

/// Writes one item, and tells how many events that were.
fn show(item: LiveItem<ReceiptEvent>, report: &mut Report<'_>) -> Result<usize, Complaint> {
    match item {
        LiveItem::Event(event) => {
            report.event(&event, true)?;
            Ok(1)
        }
        LiveItem::Gap => {
            note("the connection was lost and is back; events in between are missing here");
            Ok(0)
        }
        LiveItem::Unreadable(failure) => {
            note(&format!("a message on the feed is no event: {}", failure.message));
            Ok(0)
        }
        _ => Ok(0),
    }
}
