//! The executor is killed at entries of its journal and taken up again: the same end, nothing made
//! twice, nothing lost.
//!
//! By default every eighth entry; `SNAPMIGRATE_KILL_STRIDE=1 cargo test --test resume` takes all.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use snapmigrate::cloud::Tags;
use snapmigrate::execute::{
    Audited, Claimant, Comparison, Control, Ended, Hooks, Run, Sides, execute, take_over,
};
use snapmigrate::journal::{Entry, Journal};
use snapmigrate::quiesce::channel::Channel;
use snapmigrate::rehearse::Stage;
use snapmigrate_lab::{Lab, Scenario};
use snapmigrate_models::decide::Goal;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::progress::Progress;
use snapmigrate_models::report::RunOutcome;
use snapmigrate_models::schedule::make_plan;
use tokio::sync::Notify;

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scenarios");

/// What is left in both accounts at the end.
#[derive(Debug, PartialEq, Eq)]
struct World {
    source_snapshots: usize,
    copies: usize,
    volumes: usize,
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

fn scenario(name: &str) -> Scenario {
    Scenario::load(&Path::new(SCENARIOS).join(name)).unwrap()
}

fn host(lab: &Lab, instance: &str) -> Channel {
    let (lab, instance) = (lab.clone(), instance.to_owned());
    Channel::in_process(Arc::new(move |request| {
        let (lab, instance) = (lab.clone(), instance.clone());
        Box::pin(async move { lab.host(&instance, request).await })
    }))
}

fn sides(stage: &Stage, scenario: &Scenario) -> Sides {
    let lab = stage.lab.clone();
    Sides {
        source: stage.source.clone(),
        target: stage.target.clone(),
        source_host: Some(host(&stage.lab, &scenario.source.instance)),
        target_host: Some(host(&stage.lab, &scenario.target.instance)),
        hooks: Hooks::Named,
        comparison: Comparison::Audit(Box::new(move |pairs, _| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|p| (p.source.to_string(), p.target.to_string()))
                .collect();
            let audit = lab.audit(&pairs).map_err(|error| error.to_string())?;
            Ok(Audited {
                blocks_compared: audit.blocks_compared,
                mismatches: audit.mismatches,
                digest: audit.digest,
            })
        })),
    }
}

fn claimant(machine: &str) -> Claimant {
    Claimant {
        host: machine.to_owned(),
        machine: machine.to_owned(),
        journal: "/journal".to_owned(),
    }
}

/// Runs until the end, or until `kill_at` entries are durable; true when it was killed.
async fn run(
    stage: &Stage,
    sides: &Sides,
    journal: &mut Journal,
    kill_at: Option<u64>,
) -> Option<Ended> {
    run_on("a", stage, sides, journal, kill_at).await
}

async fn run_on(
    machine: &str,
    stage: &Stage,
    sides: &Sides,
    journal: &mut Journal,
    kill_at: Option<u64>,
) -> Option<Ended> {
    let (killed, now) = (Notify::new(), Cell::new(false));
    let mut watcher = |entry: &Entry, _: &Progress| {
        if kill_at.is_some_and(|at| entry.seq >= at) && !now.replace(true) {
            killed.notify_one();
        }
    };
    let run = Run {
        clock: stage.clock,
        claimant: claimant(machine),
        goal: Goal { cutover: true },
        control: Control::none(),
        notice: &|_| {},
        watcher: &mut watcher,
    };
    tokio::select! {
        biased;
        () = killed.notified() => None,
        ended = execute(sides, journal, run) => Some(ended.unwrap()),
    }
}

async fn world(stage: &Stage, plan: &Plan) -> World {
    let digest: String = plan.digest.chars().take(16).collect();
    let tags = Tags::from([("snapmigrate:plan".to_owned(), digest)]);
    World {
        source_snapshots: stage.source.snapshots_tagged(&tags).await.unwrap().len(),
        copies: stage.target.snapshots_tagged(&tags).await.unwrap().len(),
        volumes: stage.target.volumes_tagged(&tags).await.unwrap().len(),
    }
}

struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        for suffix in ["", ".lock"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.0.display()));
        }
    }
}

const fn is_cut_over(ended: Option<&Ended>) -> bool {
    matches!(
        ended,
        Some(Ended::Closed {
            outcome: RunOutcome::CutOver,
            ..
        })
    )
}

/// One migration on a fresh lab, killed once; entries of the journal and what is left.
fn migrate(scenario: &Scenario, plan: &Plan, kill_at: Option<u64>) -> (u64, World) {
    let process = std::process::id();
    let name = format!("snapmigrate-resume-{}-{process}-{kill_at:?}", scenario.name);
    let file = File(std::env::temp_dir().join(name));
    paused(async {
        let stage = Stage::set(scenario, scenario.seed).await.unwrap();
        let sides = sides(&stage, scenario);
        if kill_at.is_some() {
            let mut journal = Journal::open(&file.0, plan).unwrap();
            assert_eq!(
                run(&stage, &sides, &mut journal, kill_at).await,
                None,
                "killed"
            );
        }
        let mut journal = Journal::open(&file.0, plan).unwrap();
        let ended = run(&stage, &sides, &mut journal, None).await;
        assert!(
            is_cut_over(ended.as_ref()),
            "killed at {kill_at:?}: {ended:?}\n{}",
            journal.recorded().export()
        );
        let verification = journal.progress().verification.clone().unwrap();
        assert_eq!(verification.mismatches, 0, "killed at {kill_at:?}");
        assert_eq!(verification.changed_blocks, verification.written_blocks);
        assert_eq!(verification.changed_blocks, verification.read_back_blocks);
        (journal.progress().entries, world(&stage, plan).await)
    })
}

/// Kills it at its journal's entries; each time the same world must be left as without.
fn killed(name: &str, expected: &World) {
    let scenario = scenario(name);
    let plan = planned(&scenario);
    let (entries, whole) = migrate(&scenario, &plan, None);
    assert_eq!(whole, *expected);
    let stride = std::env::var("SNAPMIGRATE_KILL_STRIDE")
        .ok()
        .and_then(|s| s.parse().ok());
    // Between the last two entries nothing is awaited: there is no moment to be killed in.
    for kill_at in (1..entries - 1).step_by(stride.unwrap_or(8)) {
        let (_, left) = migrate(&scenario, &plan, Some(kill_at));
        assert_eq!(left, whole, "killed at {kill_at}");
    }
}

#[test]
fn killed_at_its_journals_entries_it_ends_the_same() {
    killed(
        "tiny.toml",
        &World {
            source_snapshots: 2,
            copies: 2,
            volumes: 1,
        },
    );
}

#[test]
fn killed_on_the_direct_path_it_ends_the_same() {
    // Of either volume one snapshot from before it was mounted.
    killed(
        "direct.toml",
        &World {
            source_snapshots: 4,
            copies: 2,
            volumes: 2,
        },
    );
}

fn planned(scenario: &Scenario) -> Plan {
    paused(async {
        let stage = Stage::set(scenario, scenario.seed).await.unwrap();
        let profile = stage.measure(scenario).await.unwrap();
        make_plan(&profile, &stage.policy, scenario.start, scenario.seed).unwrap()
    })
}

fn file(name: &str) -> File {
    let process = std::process::id();
    File(std::env::temp_dir().join(format!("snapmigrate-resume-{name}-{process}")))
}

/// A journal that was copied is another executor's until that one gives up or is taken over.
#[test]
fn of_two_machines_one_runs() {
    let scenario = scenario("tiny.toml");
    let plan = planned(&scenario);
    let (first, second) = (file("first"), file("second"));
    paused(async {
        let stage = Stage::set(&scenario, scenario.seed).await.unwrap();
        let sides = sides(&stage, &scenario);
        let mut journal = Journal::open(&first.0, &plan).unwrap();
        let killed = run_on("a", &stage, &sides, &mut journal, Some(9)).await;
        assert_eq!(killed, None, "killed");
        drop(journal);
        std::fs::copy(&first.0, &second.0).unwrap();
        let mut copy = Journal::open(&second.0, &plan).unwrap();
        let before = copy.progress().entries;
        let refused = run_on("b", &stage, &sides, &mut copy, None).await;
        let told = matches!(&refused, Some(Ended::AwaitingOperator { reason }) if reason.contains("executor on a"));
        assert!(told, "{refused:?}");
        assert_eq!(copy.progress().entries, before, "nothing was done");
        take_over(&sides.source, &plan).await.unwrap();
        let ended = run_on("b", &stage, &sides, &mut copy, None).await;
        assert!(is_cut_over(ended.as_ref()), "{ended:?}");
        // The source is fenced for good: an old journal is no way to it.
        let mut journal = Journal::open(&first.0, &plan).unwrap();
        let late = run_on("a", &stage, &sides, &mut journal, None).await;
        let held = matches!(&late, Some(Ended::AwaitingOperator { reason }) if reason.contains("executor on b"));
        assert!(held, "{late:?}");
    });
}
