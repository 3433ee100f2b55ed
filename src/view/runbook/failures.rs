//! What to do when a step fails, by phase: state, what the tool does, what the operator does.

use snapmigrate_models::plan::Plan;
use snapmigrate_models::policy::TransferPath;

use super::super::table::markdown;
use super::super::units::duration;

/// The table of failures.
pub fn by_phase(plan: &Plan, journal: &str) -> String {
    let lease = duration(plan.policy.lease_seconds);
    let freeze = duration(plan.policy.freeze_limit_seconds);
    let row = |phase: &str, state: &str, tool: &str, you: &str| {
        [phase, state, tool, you].map(str::to_owned).to_vec()
    };
    let mut rows = vec![
        row(
            "Checks before the first snapshot",
            "Nothing was changed. The source serves.",
            "stops with exit code 3 or 5 and names what is missing",
            "do what the message says, run the same command again",
        ),
        row(
            "A round (snapshot, copy)",
            "The source serves. Nothing is lost.",
            "tries passing errors again; a set with a failed member is discarded and taken again",
            "nothing; look at `status`. For exit code 5 do what it says and run the command again",
        ),
        row(
            "Gate says no",
            "The source serves.",
            "waits, or takes another round, and says which number is too high",
            "lower the write load (stop batch jobs), or `postpone`",
        ),
        row(
            "Fence, freeze, final snapshot",
            &format!(
                "Nobody serves, for at most {lease}. The freeze ends by itself after {freeze}."
            ),
            "gives up, unfences the source, ends with exit code 4",
            "check that the application writes again on the source; run the command again for the \
             next attempt",
        ),
        row(
            "Transfer, volumes, attach",
            &format!("Nobody serves, for at most {lease}."),
            "tries again while the lease allows; else goes the way back, exit code 4",
            &format!("if it will not fit: `snapmigrate abort {journal}`"),
        ),
        row(
            "Standby does not start, or the proof fails",
            "Nobody serves. The target was not promoted.",
            "never tries a failed proof again: goes the way back, exit code 4",
            "check the source; keep the journal and the target's log for the analysis",
        ),
        row(
            "No answer to the commit (exit code 5, in doubt)",
            "Neither side serves until it is known.",
            "stops and prints both ways out",
            "make the source host reachable and run the same command again: it asks the host. Never \
             promote the target by hand before the host answered",
        ),
        row(
            "Activation fails after the commit",
            "Nobody serves. The source stays fenced.",
            "tries again; exit code 5 when it cannot",
            "repair the target, run the same command again; if it cannot be repaired, go back by hand (`docs/operating.md`; nothing is lost)",
        ),
        row(
            "Comparison finds a mismatch",
            "The target serves. This is an integrity failure.",
            "exit code 1, names the blocks",
            "do not finalize; decide about `snapmigrate revert` with the database owner",
        ),
        row(
            "The tool itself dies, or its host",
            "As the journal's last entry says. Lease and freeze limits hold without it.",
            "continues from the journal: looks up what it made before it makes anything",
            "run the same command again on this host; from another one, with the journal and `--take-over --confirm NAME`, when this one certainly runs no more",
        ),
    ];
    if plan.rounds.iter().any(|r| r.path == TransferPath::Direct) {
        rows.insert(2, row(
            "Path direct: a volume is no base any more (written to, mounted, replaced)",
            "The source serves. Nothing is lost.",
            "asks once more, then writes every block of the volume again from the last round; behind the \
             fence it goes the way back, exit code 4",
            "find out what touched the device on the target host; nothing may mount it before the cutover",
        ));
    }
    format!(
        "First: `snapmigrate status {journal}`. It says who serves and what is waited for.\n\n{}",
        markdown(&["Phase", "State", "The tool", "You"], &rows)
    )
}
