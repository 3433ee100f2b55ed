//! The runbook: a plan as Markdown that a nervous operator can follow at 02:00.
//!
//! One section per question: what happens when, what to paste, which numbers decide, what to do when
//! a step fails, how to go back and until when.

mod failures;
mod hooks;
mod timetable;

use serde::Serialize;
use snapmigrate_models::plan::{Place, Plan, Verdict};
use snapmigrate_models::policy::TransferPath;

use super::table::markdown;
use super::units::{bytes, duration, per_second, percent, time, usd};
use super::words;

/// A runbook, section by section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runbook {
    /// Title.
    pub title: String,
    /// Sections in reading order.
    pub sections: Vec<Section>,
}

/// One section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Heading.
    pub heading: String,
    /// Markdown below it.
    pub body: String,
}

impl Runbook {
    /// The whole document.
    #[must_use]
    pub fn markdown(&self) -> String {
        self.sections
            .iter()
            .fold(format!("# {}\n", self.title), |out, section| {
                out + &format!("\n## {}\n\n{}\n", section.heading, section.body.trim_end())
            })
    }
}

/// The files and flags that the commands to paste name.
struct Names<'a> {
    plan: &'a str,
    plan_name: &'a str,
    journal: String,
}

/// The runbook of `plan`, whose file is called `plan_file` in the commands to paste.
#[must_use]
pub fn runbook(plan: &Plan, plan_file: &str) -> Runbook {
    let stem = plan_file.strip_suffix(".json").unwrap_or(plan_file);
    let names = Names {
        plan: plan_file,
        plan_name: &plan.name,
        journal: format!("{stem}.journal.sqlite"),
    };
    let section = |heading: &str, body: String| Section {
        heading: heading.to_owned(),
        body,
    };
    let mut runbook = Runbook {
        title: format!("Runbook: {}", plan.name),
        sections: vec![
            section("In one minute", summary(plan)),
            section("Who", people(plan)),
            section("Before the first snapshot", before(plan, &names)),
            section("What happens when", timetable::timetable(plan)),
            section("Commands to paste", commands(&names)),
            section("Go or no-go", decision(plan)),
            section("The cutover, step by step", timetable::cutover(plan)),
            section(
                "When a step fails",
                failures::by_phase(plan, &names.journal),
            ),
            section("The way back", way_back(plan, &names)),
            section("Afterwards", afterwards(plan, &names)),
        ],
    };
    if let Some(body) = hooks::hooks(plan) {
        let before = runbook
            .sections
            .iter()
            .position(|s| s.heading == "When a step fails");
        let at = before.unwrap_or(runbook.sections.len());
        runbook.sections.insert(at, section("Hooks", body));
    }
    runbook
}

fn place(place: &Place) -> String {
    let instance = place
        .instance
        .as_ref()
        .map_or_else(String::new, |id| format!(", instance `{id}`"));
    format!("account `{}`, `{}`{instance}", place.account, place.zone)
}

fn summary(plan: &Plan) -> String {
    let downtime = plan.forecast.write_downtime_seconds;
    let freeze = plan.forecast.freeze_seconds;
    let infeasible = if plan.verdict == Verdict::DoesNotConverge {
        "> **Do not execute this plan.** It does not converge to the wanted downtime; \
         `snapmigrate check` refuses it.\n\n"
    } else {
        ""
    };
    format!(
        "{infeasible}- **What:** move {} of `{}` from {} to {}.\n\
         - **Verdict:** {} (confidence {}). {}\n\
         - **Cutover window:** {} to {}.\n\
         - **Writes stop for:** {} in half of all cases, {} in nine of ten, {} in 99 of 100.\n\
         - **File systems frozen for:** {} (p90 {}), never longer than {}.\n\
         - **Point of no return:** step 8 of the cutover, `commit`. Until then the source comes back \
         by itself when its lease ends.\n\
         - **The source is never deleted** and not modified beyond fence and tags.\n",
        volumes(plan),
        plan.name,
        place(&plan.source),
        place(&plan.target),
        words::verdict(plan.verdict),
        percent(plan.confidence),
        plan.binding_constraint,
        time(plan.window.start),
        time(plan.window.end),
        duration(downtime.p50),
        duration(downtime.p90),
        duration(downtime.p99),
        duration(freeze.p50),
        duration(freeze.p90),
        duration(plan.policy.freeze_limit_seconds),
    )
}

fn volumes(plan: &Plan) -> String {
    let names: Vec<String> = plan
        .volumes
        .iter()
        .map(|volume| format!("`{}` ({})", volume.volume, volume.device))
        .collect();
    names.join(", ")
}

fn people(plan: &Plan) -> String {
    let row = |role: &str, does: &str| vec![role.to_owned(), does.to_owned(), "______".to_owned()];
    let mut rows = vec![
        row("Operator", "runs the commands below"),
        row("Decides go or no-go", "present for the whole window"),
        row(
            "Application owner",
            "stops and redirects the application, tests the target",
        ),
        row(
            "Source AWS account",
            &format!("account {}", plan.source.account),
        ),
        row(
            "Target AWS account",
            &format!("account {}", plan.target.account),
        ),
    ];
    if let Some(database) = &plan.policy.database {
        rows.push(row("Database", &format!("{}: both hosts", database.engine)));
    }
    markdown(&["Role", "For", "Name and telephone"], &rows)
}

fn before(plan: &Plan, names: &Names<'_>) -> String {
    let hosts = plan.policy.database.as_ref().map_or_else(String::new, |database| {
        format!(
            "- [ ] `snapmigrate-host` runs on both database hosts and answers: source `{}`, target \
             `{}`.\n",
            database.source_host, database.target_host
        )
    });
    let hosts = match &plan.policy.direct {
        Some(direct) if plan.rounds.iter().any(|r| r.path == TransferPath::Direct) => format!(
            "{hosts}- [ ] Role `{}` reads snapshots of this migration and nothing else (`snapmigrate policy \
             {} --side reader`); the source role may assume it.\n- [ ] Nothing on the target host mounts or \
             probes new disks by itself (automounters, backup agents).\n",
            direct.reader_role_arn, names.plan
        ),
        _ => hosts,
    };
    format!(
        "- [ ] Roles exist in both accounts: `snapmigrate policy {plan}`.\n\
         - [ ] The plan still fits what stands in the account: `snapmigrate check {plan}`, exit \
         code 0.\n{hosts}\
         - [ ] Target instance {instance} runs, with devices {devices} free.\n\
         - [ ] The names in the table above are filled in.\n\
         - [ ] How clients are redirected to the target is written down and was tried.\n\
         - [ ] Snapshot lifecycle policies leave snapshots tagged `snapmigrate:migration = {name}` alone.\n",
        plan = names.plan,
        instance = plan
            .target
            .instance
            .as_ref()
            .map_or("(none named)", |id| id.as_str()),
        devices = plan
            .volumes
            .iter()
            .map(|v| format!("`{}`", v.device))
            .collect::<Vec<_>>()
            .join(", "),
        name = plan.name,
    )
}

fn commands(names: &Names<'_>) -> String {
    let (plan, journal) = (names.plan, &names.journal);
    format!(
        "Start the chain and cut over in the window. Every command may be run again: it continues \
         where the journal ends.\n\n\
         ```sh\nsnapmigrate check {plan}\n\
         snapmigrate execute {plan} --cutover --journal {journal}\n```\n\n\
         Only bring the chain to the target, decide about the cutover later:\n\n\
         ```sh\nsnapmigrate execute {plan} --journal {journal}\n```\n\n\
         From another terminal:\n\n\
         ```sh\nsnapmigrate status {journal}      # where it stands, what is waited for\n\
         snapmigrate postpone {journal}    # hold the cutover\n\
         touch {journal}.postpone          # the same, for as long as the file exists\n\
         snapmigrate cutover {journal} --confirm {name}     # go as soon as the bounds allow\n\
         snapmigrate limits {journal} --max-write-downtime 20m --confirm {name}     # up to the fence\n\
         snapmigrate abort {journal}       # stop; the source serves\n```\n\n\
         Exit codes of `execute`: 0 done, 1 failed, 3 refused by a check, 4 stopped safely (the \
         source serves), 5 waiting for you.\n",
        name = names.plan_name,
    )
}

fn decision(plan: &Plan) -> String {
    let bounds = &plan.bounds;
    let row =
        |number: String, go: String| vec![number, go, "wait, or take another round".to_owned()];
    let rows = vec![
        row(
            format!(
                "Write downtime, forecast at the gate ({})",
                percent(plan.policy.confidence)
            ),
            format!("at most {}", duration(bounds.max_write_downtime_seconds)),
        ),
        row(
            "Fresh write rate of all volumes".to_owned(),
            format!("at most {}", per_second(bounds.max_write_bytes_per_second)),
        ),
        row("Final delta, as planned".to_owned(), {
            let delta = plan.forecast.final_delta_bytes;
            format!("about {} (p90 {})", bytes(delta.p50), bytes(delta.p90))
        }),
        vec![
            "Time".to_owned(),
            format!("fence by {}", time(bounds.latest_fence)),
            "postpone to the next window".to_owned(),
        ],
        vec![
            "Refusals at the gate".to_owned(),
            "none".to_owned(),
            "do what the message says".to_owned(),
        ],
    ];
    let table = markdown(&["Number", "Go", "No-go"], &rows);
    format!(
        "The executor checks these itself right before the fence and writes the answer into the \
         journal; `snapmigrate status` shows it. A person decides only whether to `postpone`.\n\n{table}"
    )
}

fn way_back(plan: &Plan, names: &Names<'_>) -> String {
    let lease = duration(plan.policy.lease_seconds);
    format!(
        "| Until | How to go back | What is lost |\n| --- | --- | --- |\n\
         | the fence | `snapmigrate abort {journal}` | nothing |\n\
         | the commit (step 8), and no later than {lease} after the fence | `snapmigrate abort \
         {journal}`, or do nothing: the host of the source unfences by itself when the lease of \
         {lease} ends | nothing |\n\
         | `finalize` | `snapmigrate revert {journal} --confirm {name}` | every write the target accepted; it \
         says how many, and goes on only with `--discard-target-writes` |\n\n\
         **Deadline:** fence time + {lease}. With the fence at {start}, that is {deadline}.\n\n\
         After the activation, in this order:\n\n\
         1. Keep clients away from both sides; save what the target accepted (a dump, or its WAL from the \
         promotion on), if it matters.\n\
         2. Run `revert`. Nobody writes from the stop of the target's database to the start of the source's.\n\
         3. Exit code 5 names what is missing. A target host that does not answer: stop its instance, then \
         say it again with `--discard-target-writes`.\n\
         4. Redirect the clients to the source. Apply what was saved in step 1, if it can be.\n",
        journal = names.journal,
        name = plan.name,
        start = time(plan.window.start),
        deadline = time(plan.window.start + seconds(plan.policy.lease_seconds)),
    )
}

/// A span as chrono counts it; whole seconds are enough on a runbook.
fn seconds(seconds: f64) -> chrono::TimeDelta {
    chrono::TimeDelta::try_milliseconds(to_millis(seconds)).unwrap_or(chrono::TimeDelta::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates, and a century is far enough"
)]
const fn to_millis(seconds: f64) -> i64 {
    (seconds.clamp(0.0, 3.2e9) * 1000.0) as i64
}

fn afterwards(plan: &Plan, names: &Names<'_>) -> String {
    let total = plan.forecast.cost_usd;
    let rows: Vec<Vec<String>> = plan
        .cost
        .iter()
        .map(|line| {
            vec![
                line.item.clone(),
                usd(line.usd.p50),
                usd(line.usd.p90),
                line.basis.clone(),
            ]
        })
        .collect();
    format!(
        "- [ ] The comparison of the final snapshots ended without a mismatch: `snapmigrate status \
         {journal}` says so.\n\
         - [ ] The application was tested on the target by its owner.\n\
         - [ ] Backups of the target are scheduled and the first one is done.\n\
         - [ ] `snapmigrate finalize {journal} --confirm {name}`: gives up the way back.\n\n\
         What stays until you remove it, and costs money as long as it does:\n\n\
         - the source instance and its volumes, fenced: {volumes};\n\
         - per volume the last two snapshots of the chain at the source, and their copies in the \
         target, all tagged `snapmigrate:migration = {name}`.\n\n\
         Cost of the whole migration as planned: {p50} (p90 {p90}).\n\n{table}",
        journal = names.journal,
        volumes = volumes(plan),
        name = plan.name,
        p50 = usd(total.p50),
        p90 = usd(total.p90),
        table = markdown(&["Item", "p50", "p90", "Basis"], &rows),
    )
}
