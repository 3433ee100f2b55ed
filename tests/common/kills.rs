//! Who can be killed in a migration, when, and what must hold afterwards: one side serves everything acknowledged.

use super::database::Database;
use super::say;
use super::scene::{PATIENCE, Scene};
use super::source::until;
use super::stage::{DATA, Stage};
use super::tool::Running;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use snapmigrate::quiesce::protocol::{DatabaseState, FenceState, Status};
use std::fs;
use std::time::{Duration, Instant};

/// What is killed with SIGKILL. Helpers are started again at once, as a supervisor would, and so is the database where it
/// serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The process that carries the plan out; the operator says the same command again.
    Executor,
    /// The relays to both hosts.
    Channel,
    /// The helper on the source's host.
    SourceHelper,
    /// The helper on the target's host.
    TargetHelper,
    /// Every server process of the database, on either side.
    Database,
    /// Helper and database of the source's host; a new boot.
    SourceReboot,
    /// Helper, database and mounts of the target's host; a new boot.
    TargetReboot,
}

/// Phases of the cutover as the journal shows them: an event, and of which action.
pub const PHASES: [(&str, &str); 13] = [
    ("started", "gate"),
    ("started", "checkpoint"),
    ("started", "fence"),
    // Lands in the freeze, which comes right after it.
    ("finished", "fence"),
    ("finished", "freeze_snapshot"),
    ("started", "await_copies"),
    ("started", "create_volumes"),
    ("started", "attach_volumes"),
    ("started", "bring_up"),
    ("started", "prove"),
    ("started", "commit"),
    ("started", "activate"),
    ("finished", "activate"),
];

/// Positions in [`PHASES`].
pub const GATE: usize = 0;
pub const CHECKPOINT: usize = 1;
pub const FENCE: usize = 2;
pub const FENCED: usize = 3;
pub const THAWED: usize = 4;
pub const COPIES: usize = 5;
pub const VOLUMES: usize = 6;
pub const BRING_UP: usize = 8;
pub const PROVE: usize = 9;
pub const COMMIT: usize = 10;
pub const ACTIVATE: usize = 11;
pub const ACTIVATED: usize = 12;

/// The cases that `SNAPMIGRATE_TEST_KILLS` asks for: `sample` without it, `all` with `all`, else the one of that name.
pub fn asked_for(sample: Vec<Case>, all: Vec<Case>) -> Vec<Case> {
    let asked = std::env::var("SNAPMIGRATE_TEST_KILLS").unwrap_or_default();
    let mut cases = match asked.as_str() {
        "" => return sample,
        "all" => return all,
        _ => sample,
    };
    cases.extend(all);
    cases.retain(|case| case.name == asked);
    assert!(!cases.is_empty(), "no case is called {asked:?}");
    cases
}

/// Runs cases one after the other and says what came of them.
pub fn migrate_through_all<D: Database>(cases: &[Case]) {
    let (mut killed, mut ends) = (0, [0, 0]);
    for case in cases {
        let (code, count) = migrate_through::<D>(case);
        killed += count;
        ends[usize::from(code != 0)] += 1;
        assert!(
            code == 0 || !case.recovers,
            "{} does not recover",
            case.name
        );
    }
    let [cut_over, stopped] = ends;
    say(&format!(
        "{} migrations, {killed} kills: {cut_over} cut over, {stopped} stopped safely; no commit lost, one writer",
        cases.len()
    ));
}

/// One migration, and who is killed in which of its phases.
pub struct Case {
    /// Its name.
    pub name: String,
    /// Phase and victim, in order.
    pub kills: Vec<(usize, Victim)>,
    /// Whether it must end with a cutover; otherwise it may also stop safely.
    pub recovers: bool,
}

impl Case {
    /// The same victim in each of `phases`, in one migration.
    pub fn through(victim: Victim, phases: &[usize]) -> Self {
        Self {
            name: format!("{victim:?} in {} phases", phases.len()),
            kills: phases.iter().map(|&phase| (phase, victim)).collect(),
            recovers: true,
        }
    }

    /// A victim in one phase.
    pub fn at(phase: usize, victim: Victim) -> Self {
        let (event, action) = PHASES[phase];
        Self {
            name: format!("{victim:?} when {action} has {event}"),
            kills: vec![(phase, victim)],
            recovers: false,
        }
    }
}

/// How long a file system may have been blocked beyond the limit of a freeze: the watchdog's poll, a helper's start
/// and a busy machine.
const THAW_MARGIN: Duration = Duration::from_secs(5);

/// Migrates a database while `case` happens to it; proves what must hold, and gives the executor's last exit code and
/// how many were killed.
pub fn migrate_through<D: Database>(case: &Case) -> (i32, usize) {
    migrate_on(Stage::<D>::over_relays(&[DATA], 600.0), case, |_, _| {})
}

/// The same on a stage of the caller's, with proofs of the caller's after a cutover.
pub fn migrate_on<D: Database>(
    stage: Stage<D>,
    case: &Case,
    check: impl Fn(&Stage<D>, &Value),
) -> (i32, usize) {
    let mut scene = Scene::on(stage);
    let mut executor = scene.execute();
    let mut killed = 0;
    for &(phase, victim) in &case.kills {
        if !reaches(&scene, &mut executor, phase) {
            break;
        }
        executor = kill(&mut scene, executor, victim);
        killed += 1;
    }
    let code = finish(&mut scene, executor);
    say(&format!("{}: {killed} killed, exit {code}", case.name));
    let longest = scene.longest_write();
    let limit = Duration::from_secs_f64(super::stage::FREEZE_LIMIT_SECONDS) + THAW_MARGIN;
    assert!(
        longest < limit,
        "{}: a write was blocked for {longest:?}",
        case.name
    );
    if code == 0 {
        // The last of the killed may be the target's own server or host, after everything was confirmed.
        until("the target serves", PATIENCE, || {
            scene.stage.cluster.serves()
        });
        scene.prove_with(check);
    } else {
        prove_that_the_source_serves(scene);
    }
    (code, killed)
}

/// Waits for a phase; false when the executor ended first.
fn reaches<D: Database>(scene: &Scene<D>, executor: &mut Running, phase: usize) -> bool {
    let (event, action) = PHASES[phase];
    let begun = Instant::now();
    loop {
        if scene.stage.happened(event, action) {
            return true;
        }
        if !executor.runs() {
            return scene.stage.happened(event, action);
        }
        assert!(begun.elapsed() < PATIENCE, "{action} has not {event}");
    }
}

/// Runs the same command until it says that it is over.
fn finish<D: Database>(scene: &mut Scene<D>, executor: Running) -> i32 {
    let (mut executor, mut asked) = (executor, Vec::new());
    for attempt in 0..4 {
        let (status, said) = executor.wait(PATIENCE);
        match status.code() {
            Some(code @ (0 | 4)) => return code,
            Some(5) => executor = scene.stage.execute(&format!("again-{attempt}")),
            _ => panic!("{status}: {said:?}"),
        }
        asked.push(said.concat());
    }
    panic!(
        "the operator was asked again and again:\n{}",
        asked.join("\n\n")
    );
}

fn kill<D: Database>(scene: &mut Scene<D>, executor: Running, victim: Victim) -> Running {
    let stage = &mut scene.stage;
    match victim {
        Victim::Executor => {
            executor.kill();
            let number = stage.tool.count("killed-");
            return stage.execute(&format!("killed-{number}"));
        }
        Victim::Channel => kill_all(&relays(stage)),
        Victim::SourceHelper => {
            stage.source.kill();
            stage.source.restart();
        }
        Victim::TargetHelper => {
            stage.target.kill();
            stage.target.restart();
        }
        Victim::Database => {
            let of_source = on_source(stage);
            kill_all(&stage.cluster.servers());
            if !of_source.is_empty() {
                stage.cluster.start_by_hand();
            } else if stage.happened("finished", "activate") {
                stage.cluster.start_on_target(stage.target.pid());
            }
        }
        Victim::SourceReboot => {
            stage.source.kill();
            kill_all(&on_source(stage));
            stage.source.boot_anew();
            // As its unit would at boot, fenced or not.
            stage.cluster.start_by_hand();
            stage.source.restart();
        }
        Victim::TargetReboot => {
            let of_target = on_target(stage);
            stage.target.kill();
            kill_all(&of_target);
            stage.target.boot_anew();
            stage.target.restart();
        }
    }
    executor
}

fn relays<D: Database>(stage: &Stage<D>) -> Vec<Pid> {
    let sockets = [&stage.source.socket, &stage.target.socket];
    let found = sockets
        .map(|socket| super::postgres::servers_of("/snapmigrate-host", &super::text(socket)));
    let serve = |pid: &Pid| {
        let pid = pid.as_raw_nonzero();
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("relay"))
    };
    found.concat().into_iter().filter(serve).collect()
}

fn on_target<D: Database>(stage: &Stage<D>) -> Vec<Pid> {
    let namespace = |pid: String| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let targets = namespace(stage.target.pid().to_string());
    let mut servers = stage.cluster.servers();
    servers.retain(|pid| namespace(pid.as_raw_nonzero().to_string()) == targets);
    servers
}

fn on_source<D: Database>(stage: &Stage<D>) -> Vec<Pid> {
    let of_target = on_target(stage);
    let mut servers = stage.cluster.servers();
    servers.retain(|pid| !of_target.contains(pid));
    servers
}

/// An error is a process that has just ended.
fn kill_all(processes: &[Pid]) {
    for process in processes {
        let _ = kill_process(*process, Signal::KILL);
    }
}

/// The fence is gone, the target does not write, and nothing acknowledged is missing.
fn prove_that_the_source_serves<D: Database>(scene: Scene<D>) {
    let Scene { stage, load, .. } = scene;
    until("the source serves", PATIENCE, || stage.cluster.serves());
    until("the helper has recorded it", PATIENCE, || {
        let status = stage.source.call(Status {});
        (status.fence, status.frozen, status.database)
            == (FenceState::None, false, DatabaseState::Running)
    });
    let target = stage.target.call(Status {}).database;
    assert_ne!(target, DatabaseState::Running, "one writer");
    assert_eq!(on_target(&stage).len(), 0, "nothing runs on the target");
    let before = load.count();
    until("the clients commit", PATIENCE, || {
        load.count() > before + 50
    });
    let acknowledged = load.finish();
    let missing = stage.cluster.clients().missing(&acknowledged);
    assert_eq!(missing, Vec::<i64>::new());
}
