//! The account by hand and the account with macros are the same to everybody outside.
#![cfg(feature = "macros")]

use headwater::{Contract, Described as _, Name};

#[path = "../examples/by_hand.rs"]
#[allow(dead_code, reason = "an example has a `main` too")]
mod by_hand;
#[path = "../examples/with_macros.rs"]
#[allow(dead_code, reason = "an example has a `main` too")]
mod with_macros;

const STORY: [&str; 7] = [
    "ann has 50",
    "0 events, still at revision 1",
    "refused: Some(NotEnough { missing: 20 })",
    "withdrawn at revision 2",
    "21 more: false",
    "1: Some(Deposited(Deposited { amount: 50 }))",
    "2: Some(Withdrawn(Withdrawn { amount: 30 }))",
];

#[tokio::test]
async fn both_accounts_tell_the_same_story() {
    let by_hand = by_hand::play(&by_hand::AccountClient::new(by_hand::dispatcher())).await.unwrap();
    let with_macros = with_macros::play(&with_macros::AccountClient::new(with_macros::dispatcher())).await.unwrap();
    assert_eq!(by_hand, STORY);
    assert_eq!(with_macros, STORY);
}

#[tokio::test]
async fn each_client_is_served_by_the_others_account() {
    let crossed = by_hand::play(&by_hand::AccountClient::new(with_macros::dispatcher())).await.unwrap();
    assert_eq!(crossed, STORY);
    let crossed = with_macros::play(&with_macros::AccountClient::new(by_hand::dispatcher())).await.unwrap();
    assert_eq!(crossed, STORY);
}

#[test]
fn both_accounts_have_the_same_contract() {
    let service = Name::new("accounts").unwrap();
    let by_hand = by_hand::Account::describe(().into()).build().unwrap();
    let with_macros = with_macros::Account::describe(().into()).build().unwrap();
    let contracts = [by_hand, with_macros].map(|account| Contract::of(&service, "1.0.0", &[account]));
    assert_eq!(contracts[0].part("/aggregates"), contracts[1].part("/aggregates"));
    assert_eq!(contracts[0].fingerprint(), contracts[1].fingerprint());
}
