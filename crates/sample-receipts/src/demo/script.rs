//! The script of the demo, the same with a server and without.

use super::play::Play;
use super::{asking, closing, refusing, watching, writing};
use crate::complaint::Complaint;

/// Plays every step; ends at the first that does not come out as it should.
pub(super) async fn play(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    writing::put_an_item(play).await?;
    writing::put_several(play).await?;
    writing::take_one_off(play).await?;
    refusing::a_rejection(play).await?;
    refusing::an_invalid_payload(play).await?;
    refusing::a_stale_revision(play).await?;
    writing::repeat_a_command(play).await?;
    closing::finalize(play).await?;
    closing::void(play).await?;
    asking::now(play).await?;
    asking::earlier(play).await?;
    asking::summary(play).await?;
    asking::history(play).await?;
    watching::the_feed(play).await?;
    watching::the_instances(play).await
}
