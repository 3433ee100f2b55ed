use super::*;
use crate::draws::draws;
use crate::fixtures::{now, policy, profile};
use crate::forecast::fit;
use crate::units::{Quantiles, epoch_seconds};

const HOUR: f64 = 3600.0;

fn model(volumes: u32, database: bool) -> FittedModel {
    FittedModel {
        database,
        ..fit(&profile(volumes, 500, 1.0), &policy(1800.0))
    }
}

fn chain(model: &FittedModel) -> Chain {
    Chain::of(model, Circumstances::plain(TransferPath::Copy), at())
}

fn at() -> f64 {
    epoch_seconds(now())
}

/// Median over draws of the cutover an hour after `since`.
fn median(chain: &Chain, since: Since, part: impl Fn(&Cutover) -> f64) -> f64 {
    let all = draws(4, chain.volumes(), 2, 400);
    let ends = all
        .iter()
        .map(|draw| part(&chain.cutover(since, at() + HOUR, 1, draw)));
    Quantiles::of(&mut ends.collect::<Vec<f64>>()).p50
}

#[test]
fn a_checkpoint_before_the_last_round_makes_the_final_delta_smaller() {
    let delta = |chain: &Chain, since| median(chain, since, |end| end.round.delta_bytes);
    let with_database = chain(&model(1, true));
    let start = at() + HOUR - 60.0;
    let flushed = delta(&with_database, Since::flushed(start));
    let unflushed = delta(&with_database, Since::unflushed(start));
    assert!(flushed * 1.5 < unflushed, "{flushed} {unflushed}");
    let volumes_only = chain(&model(1, false));
    let same =
        [Since::flushed(start), Since::unflushed(start)].map(|since| delta(&volumes_only, since));
    assert!((same[0] - same[1]).abs() < 1e-6 && same[0] < flushed);
}

#[test]
fn a_stated_flush_joins_the_final_delta() {
    let plain = model(2, true);
    let stated = FittedModel {
        flush_bytes: Some(3e9),
        ..plain.clone()
    };
    let delta = |model: &FittedModel| {
        median(&chain(model), Since::flushed(at()), |end| {
            end.round.delta_bytes
        })
    };
    assert!((delta(&stated) - delta(&plain) - 3e9).abs() < 1e-3);
}

#[test]
fn the_slowest_of_the_copies_sets_the_clock() {
    let transfer = |volumes| {
        let chain = chain(&model(volumes, false));
        median(&chain, Since::flushed(at()), |end| {
            end.round.transfer_seconds
        })
    };
    assert!(transfer(1) < transfer(4));
}

#[test]
fn a_longer_window_never_holds_less_and_never_moves_sooner() {
    let chain = chain(&model(2, true));
    for draw in draws(8, 2, 3, 40) {
        let mut before = RoundOutcome::default();
        for minutes in [0, 1, 5, 30, 240, 2880] {
            let round = chain.round(
                Since::flushed(at()),
                at() + f64::from(minutes) * 60.0,
                1,
                &draw,
            );
            // The curve itself never falls; its error is read from a table.
            assert!(round.delta_bytes >= 0.99 * before.delta_bytes);
            assert!(round.seconds() >= 0.99 * before.seconds());
            before = round;
        }
    }
}

#[test]
fn rounds_taken_at_once_approach_the_fixed_point_from_above() {
    let model = model(1, false);
    let chain = chain(&model);
    let itinerary = Itinerary {
        base_at: at(),
        rounds: vec![at(); 6],
        fence: at(),
        ..Itinerary::default()
    };
    let all = draws(2, 1, 8, 200);
    let runs: Vec<Run> = all.iter().map(|draw| chain.run(&itinerary, draw)).collect();
    let of_round = |k: usize| {
        Quantiles::of(
            &mut runs
                .iter()
                .map(|run| run.rounds[k].seconds())
                .collect::<Vec<f64>>(),
        )
        .p50
    };
    let each: Vec<f64> = (0..=6).map(of_round).collect();
    assert!(each[1] < each[0] && each[2] <= each[1], "{each:?}");
    // Every round sees other minutes of its path, so the last ones differ a little.
    assert!((each[6] / each[5]).ln().abs() < 0.25, "{each:?}");
    for run in runs {
        for pair in run.rounds.windows(2) {
            assert!(pair[1].at >= pair[0].ready() - 1e-6, "one at a time");
        }
    }
}

#[test]
fn volumes_in_another_order_come_to_the_same() {
    let model = model(3, true);
    let mut turned = model.clone();
    turned.volumes.reverse();
    let (one, other) = (chain(&model), chain(&turned));
    let all = |chain: &Chain| {
        median(chain, Since::flushed(at()), |end| {
            end.write_downtime_seconds
        })
    };
    assert!((all(&one) / all(&other)).ln().abs() < 0.05);
}
