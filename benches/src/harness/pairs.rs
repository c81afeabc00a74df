//! Fairness in time: the programs of a comparison run in turn, and who goes first changes with every round.

use super::reading::Reading;
use crate::Fallible;

/// Runs all `contenders` in each of `rounds` rounds; the readings of each, in the order of the contenders.
pub(crate) async fn alternate<T>(
    rounds: u32,
    contenders: &[T],
    mut run: impl AsyncFnMut(u32, &T) -> Fallible<Reading>,
) -> Fallible<Vec<Vec<Reading>>> {
    let mut readings: Vec<Vec<Reading>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for place in order(round, contenders.len()) {
            readings[place].push(run(round, &contenders[place]).await?);
        }
    }
    Ok(readings)
}

/// Who runs when in a round: the usual order, then the reverse, so that a drift of the machine favours nobody.
fn order(round: u32, contenders: usize) -> Vec<usize> {
    let usual = 0..contenders;
    if round.is_multiple_of(2) { usual.collect() } else { usual.rev().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_always_goes_first() {
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [2, 1, 0]);
    }
}
