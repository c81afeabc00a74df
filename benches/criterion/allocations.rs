//! How often the steps of a command's way allocate, and how much:
//! `cargo bench -p headwater-benches --bench allocations`.
//!
//! A program of its own, because the allocator that counts is slower than the usual one.

mod steps;

/// How often each step is run, for the mean.
const RUNS: u64 = 1000;

#[expect(clippy::print_stdout, reason = "the result of the program")]
fn main() {
    println!("{:<40} {:>12} {:>12}", "step", "allocations", "bytes");
    for steps::Step { name, mut run } in steps::all() {
        // The first runs fill caches and grow tables.
        (0..RUNS).for_each(|_| run());
        let counted = allocation_counter::measure(|| (0..RUNS).for_each(|_| run()));
        let mean = |total: u64| total as f64 / RUNS as f64;
        println!("{name:<40} {:>12.1} {:>12.0}", mean(counted.count_total), mean(counted.bytes_total));
    }
}
