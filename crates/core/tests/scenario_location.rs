//! Where a failing scenario points. Alone in its file: it listens to every panic of its process.
#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

#[path = "all/wallet/mod.rs"]
mod wallet;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use headwater_core::Scenario;
use wallet::{Deposit, Wallet, WalletRejection, deposited};

#[test]
fn a_failure_points_at_the_expectation_in_the_test() {
    let (places, heard) = mpsc::channel();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|place| (place.file().to_owned(), place.line()));
        let _ = places.send(place.unwrap());
    }));
    let deposit = || Scenario::<Wallet>::new("w-1").when(Deposit { amount: 1 });
    let rejection = WalletRejection::InsufficientFunds { balance: 1 };
    let line = line!();
    let _ = catch_unwind(AssertUnwindSafe(|| drop(deposit().then_nothing())));
    let _ = catch_unwind(AssertUnwindSafe(|| drop(deposit().then([deposited(2)]))));
    let _ = catch_unwind(AssertUnwindSafe(|| drop(deposit().then_rejected(rejection))));
    let _ = catch_unwind(AssertUnwindSafe(|| drop(deposit().then_unavailable("anything"))));
    let _ = catch_unwind(AssertUnwindSafe(|| drop(Scenario::<Wallet>::new(""))));
    std::panic::set_hook(before);
    let places: Vec<_> = heard.try_iter().collect();
    assert_eq!(places, (1..=5).map(|below| (file!().to_owned(), line + below)).collect::<Vec<_>>());
}
