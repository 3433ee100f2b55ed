//! Each verdict with what binds it, the what-if table, and what would serve better.

use super::*;

fn changes(plan: &Plan) -> String {
    let rows = plan.what_if.iter().map(|row| row.change.as_str());
    rows.collect::<Vec<_>>().join("\n")
}

/// The search's downtimes at the best and the worst start time.
fn extremes(profile: &Profile) -> (f64, f64) {
    let demand = demand::Demand::of(profile, &policy(1e6), now()).unwrap();
    let model = fit_with(profile, &policy(1e6), &History::default());
    let search = Search::new(&model, &demand, now(), 1).unwrap();
    let windows = search.comparable(&search.best().unwrap());
    let seconds = windows.iter().map(|window| window.1);
    seconds.fold((f64::INFINITY, 0.0), |(least, most), one| {
        (least.min(one), most.max(one))
    })
}

#[test]
fn a_busy_day_leaves_only_the_night() {
    let profile = profile(1, 2560, 1.0);
    let (best, worst) = extremes(&profile);
    assert!(worst > 1.1 * best, "{best} {worst}");
    let limit = (best * worst).sqrt();
    let plan = planned(&profile, &policy(limit));
    assert_eq!(plan.verdict, Verdict::ConvergesInWindow, "{limit}");
    let words = &plan.binding_constraint;
    assert!(
        words.contains("the start time: the limit holds when it starts"),
        "{words}"
    );
}

#[test]
fn the_table_has_every_change_that_applies() {
    let plan = planned(&profile(1, 500, 0.5), &policy(1800.0));
    let told = changes(&plan);
    for part in [
        "throttled to half",
        "twice the copy rate",
        "time-based copy",
        "one round at a time",
        "direct path",
        "io2",
        "cutover at",
    ] {
        assert!(told.contains(part), "{part} is missing in\n{told}");
    }
}

#[test]
fn the_promise_of_a_time_based_copy_only_bounds() {
    let plan = planned(&with_deltas(profile(1, 2560, 8.0), 6), &policy(1800.0));
    let row = plan
        .what_if
        .iter()
        .find(|row| row.change.contains("time-based"))
        .unwrap();
    let downtime = plan.forecast.write_downtime_seconds;
    // Another number of draws: a few percent of luck.
    assert!(
        row.write_downtime_seconds.p99 <= downtime.p99 * 1.25,
        "{row:?} {downtime:?}"
    );
}

#[test]
fn where_seconds_are_wanted_better_tools_are_named() {
    let names = |plan: &Plan| -> Vec<String> {
        plan.alternatives
            .iter()
            .map(|way| way.name.clone())
            .collect()
    };
    let plan = planned(&with_deltas(profile(1, 500, 0.2), 4), &policy(5.0));
    assert_eq!(
        names(&plan),
        [
            "the database's own replication",
            "AWS Elastic Disaster Recovery"
        ]
    );
    assert!(plan.alternatives.iter().all(|way| !way.source.is_empty()));
    let fits = planned(&with_deltas(profile(1, 500, 0.2), 4), &policy(3600.0));
    assert!(fits.alternatives.is_empty());
    let mut near = policy(3600.0);
    near.target.account = "444455556666".parse().unwrap();
    near.target.region = "eu-west-1".parse().unwrap();
    near.target.zone = "eu-west-1a".parse().unwrap();
    let near = planned(&profile(1, 100, 0.2), &near);
    assert_eq!(names(&near), ["CopyVolumes in the same zone"]);
}
