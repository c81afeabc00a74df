//! What every scenario needs: servers, processes, load, processor time, and the check of the journal afterwards.

pub(crate) mod fill;
pub(crate) mod journal;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod meter;
pub(crate) mod open_loop;
pub(crate) mod pairs;
pub(crate) mod process;
pub(crate) mod reading;
pub(crate) mod sink;
pub(crate) mod world;
