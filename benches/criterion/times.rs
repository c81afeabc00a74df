//! Where a command's own microseconds go: `cargo bench -p headwater-benches --bench criterion`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a program for its developers: a panic is its report")]

mod steps;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for steps::Step { name, mut run } in steps::all() {
        criterion.bench_function(name, |bencher| bencher.iter(&mut run));
    }
    criterion.final_summary();
}
