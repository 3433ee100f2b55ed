//! The stage of a migration: a lab with real volumes, a database on them, a helper on each host, the operator's tool.

use super::database::Database;
use super::disks::Disks;
use super::helper::Helper;
use super::lab::LabServer;
use super::postgres::Cluster;
use super::source::until;
use super::sshd::Sshd;
use super::tool::{Running, Tool};
use super::{require_machine, text};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The account and region the database leaves.
pub const SOURCE: (&str, &str) = ("111111111111", "us-east-1");
/// The account and region it goes to.
pub const TARGET: (&str, &str) = ("222222222222", "eu-west-1");
/// The volume with the data.
pub const DATA: &str = "vol-0da7a000000000001";
/// The volume with the write-ahead log, where it has one of its own.
pub const WAL: &str = "vol-03a10000000000002";
/// The longest freeze that the policy allows.
pub const FREEZE_LIMIT_SECONDS: f64 = 10.0;

const SOURCE_INSTANCE: &str = "i-0db00000000000001";
const TARGET_INSTANCE: &str = "i-0db00000000000002";
const SIZE_GIB: u64 = 2;

/// Everything a migration needs. Fields drop in this order.
pub struct Stage<D: Database = Cluster> {
    /// The operator's tool.
    pub tool: Tool,
    /// The helper on the target's host: another mount namespace.
    pub target: Helper,
    /// The helper on the source's host.
    pub source: Helper,
    /// The database: on the source, and once it is activated at the same address on the target.
    pub cluster: D,
    /// The simulated AWS.
    pub lab: LabServer,
    /// Mount points of the volumes, in their order.
    pub mounts: Vec<PathBuf>,
    /// Source volumes.
    pub volumes: Vec<&'static str>,
    /// How long a host may take to hear and answer.
    pub message_seconds: i64,
    /// The way to both hosts, when it is one.
    pub sshd: Option<Sshd>,
    disks: Disks,
}

impl<D: Database> Stage<D> {
    /// A database on one volume, or with its log on a second one.
    pub fn set(volumes: &[&'static str], lease_seconds: f64) -> Self {
        Self::on_path("copy", volumes, lease_seconds)
    }

    /// The same, planned for one transfer path.
    pub fn on_path(path: &str, volumes: &[&'static str], lease_seconds: f64) -> Self {
        let stage = Self::built(volumes, |cluster| cluster);
        stage.write_policy(path, lease_seconds, |helper| {
            format!("unix:{}", text(&helper.socket))
        });
        stage
    }

    /// With a relay to each host, as over ssh, that can be killed.
    pub fn over_relays(volumes: &[&'static str], lease_seconds: f64) -> Self {
        let stage = Self::built(volumes, |cluster| cluster);
        let relay = env!("CARGO_BIN_EXE_snapmigrate-host");
        stage.write_policy("copy", lease_seconds, |helper| {
            format!("exec:{relay} relay --socket {}", text(&helper.socket))
        });
        stage
    }

    /// With SSM RunCommand to both hosts.
    pub fn over_ssm(volumes: &[&'static str], lease_seconds: f64) -> Self {
        let mut stage = Self::built(volumes, |cluster| cluster);
        // 0.3 s until a command is seen, up to 1.2 until the agent has it, and the looks at it in between.
        stage.message_seconds = 5;
        let [source, target] = [
            (SOURCE_INSTANCE, &stage.source),
            (TARGET_INSTANCE, &stage.target),
        ]
        .map(|(instance, helper)| format!("ssm:{instance}{}", text(&helper.socket)));
        stage.write_policy_for("copy", lease_seconds, [source, target]);
        stage
    }

    /// With logins to both hosts through a real ssh.
    pub fn over_ssh(volumes: &[&'static str], lease_seconds: f64) -> Self {
        let mut stage = Self::built(volumes, |cluster| cluster);
        let sshd = Sshd::start(&stage.disks.root.join("sshd"));
        stage.tool.set("PATH", &sshd.path());
        stage.write_policy("copy", lease_seconds, |helper| sshd.address(&helper.socket));
        stage.sshd = Some(sshd);
        stage
    }

    /// With the database as `with` wants it.
    pub fn set_with(volumes: &[&'static str], lease_seconds: f64, with: impl Fn(D) -> D) -> Self {
        let stage = Self::built(volumes, with);
        stage.write_policy("copy", lease_seconds, |helper| {
            format!("unix:{}", text(&helper.socket))
        });
        stage
    }

    fn write_policy(&self, path: &str, lease_seconds: f64, channel: impl Fn(&Helper) -> String) {
        let channels = [channel(&self.source), channel(&self.target)];
        self.write_policy_for(path, lease_seconds, channels);
    }

    fn write_policy_for(&self, path: &str, lease_seconds: f64, channels: [String; 2]) {
        let policy = policy([D::ENGINE, path], channels, lease_seconds);
        fs::write(self.tool.file("policy.toml"), policy).expect("the policy can be written");
    }

    fn built(volumes: &[&'static str], with: impl Fn(D) -> D) -> Self {
        require_machine();
        let disks = Disks::new(64);
        let scenario = disks.root.join("scenario.toml");
        fs::write(&scenario, scenario_of(D::ENGINE, volumes)).expect("the scenario can be written");
        let directory = disks.root.join("volumes/lab");
        let agent = super::lab::agent(&disks.root);
        let mut lab = LabServer::start(&directory, &scenario, time_scale(), &agent);
        let mounts: Vec<PathBuf> = ["pg", "wal"]
            .iter()
            .map(|name| disks.root.join(name))
            .take(volumes.len())
            .collect();
        for (volume, mountpoint) in volumes.iter().zip(&mounts) {
            lab.format_and_mount(volume, mountpoint);
        }
        let cluster = with(D::start_on(&mounts, &disks.root));
        let source = Helper::source(&disks.root.join("source-host"), &cluster);
        let target = Helper::elsewhere(&disks.root.join("target-host"), &cluster, mounts.clone());
        let tool = tool(&disks, &lab);
        Self {
            tool,
            target,
            source,
            cluster,
            lab,
            mounts,
            volumes: volumes.to_vec(),
            message_seconds: 1,
            sshd: None,
            disks,
        }
    }

    /// Adds a hook that files what it is told, one line per run, and ends with `status`.
    pub fn add_hook(&self, name: &str, when: &str, status: u8) {
        let file = text(&self.hook_file(name));
        let command = format!("cat >> {file}; echo >> {file}; exit {status}");
        self.add_command_hook(name, when, &command);
    }

    /// Adds a hook that runs a shell command.
    pub fn add_command_hook(&self, name: &str, when: &str, command: &str) {
        let (when, phase) = when.split_once(' ').expect("a time and a phase");
        let hook = format!(
            "\n[[hooks]]\nname = \"{name}\"\nphase = \"{phase}\"\nwhen = \"{when}\"\n\
             command = [\"/bin/sh\", \"-c\", \"{command}\"]\n"
        );
        let policy = self.tool.read("policy.toml") + &hook;
        fs::write(self.tool.file("policy.toml"), policy).expect("the policy can be written");
    }

    /// What a hook was told, run by run.
    pub fn told(&self, name: &str) -> Vec<Value> {
        let told = fs::read_to_string(self.hook_file(name)).unwrap_or_default();
        let lines = told.lines().map(serde_json::from_str);
        lines
            .map(|line| line.expect("a hook is told JSON"))
            .collect()
    }

    fn hook_file(&self, name: &str) -> PathBuf {
        self.tool.file(&format!("hook-{name}.jsonl"))
    }

    /// From the account to a plan and its runbook.
    pub fn plan(&self) {
        let region = ["--source-region", SOURCE.1];
        let measure = [
            "measure",
            "--instance",
            SOURCE_INSTANCE,
            "-o",
            "profile.json",
        ];
        self.tool.run(&[&measure[..], &region].concat());
        let plan = [
            "plan",
            "--profile",
            "profile.json",
            "--policy",
            "policy.toml",
        ];
        self.tool.run(&[&plan[..], &["-o", "plan.json"]].concat());
        self.tool.run(&["check", "plan.json"]);
        let runbook = self.tool.run(&["runbook", "plan.json"]);
        assert!(
            runbook.contains("Point of no return") || runbook.contains("point of no return"),
            "{runbook}"
        );
    }

    /// Tries a restore on the target: what `try` prints as JSON.
    pub fn try_restore(&self) -> Value {
        let role = self.target_role();
        let arguments = ["try", "plan.json", "--journal", JOURNAL, "--json"];
        let side = ["--target-role-arn", &role];
        let printed = self.tool.run(&[&arguments[..], &side].concat());
        serde_json::from_str(&printed).expect("a trial is JSON")
    }

    /// Starts the executor, always with the same command.
    pub fn execute(&self, run: &str) -> Running {
        let role = self.target_role();
        let execute = ["execute", "plan.json", "--cutover"];
        let files = ["--journal", JOURNAL, "-o", "report.json"];
        let side = ["--target-role-arn", &role];
        self.tool
            .start(run, &[&execute[..], &files, &side].concat())
    }

    /// The role that reaches the target's account.
    pub fn target_role(&self) -> String {
        format!("arn:aws:iam::{}:role/migrate", TARGET.0)
    }

    /// The operator does not wait for the planned window.
    pub fn cut_over_now(&self) {
        self.tool.run(&["cutover", JOURNAL, "--confirm", "orders"]);
    }

    /// Events of the journal, oldest first; none before there is a journal.
    pub fn events(&self) -> Vec<Value> {
        if !self.tool.file(JOURNAL).exists() {
            return Vec::new();
        }
        let lines = self.tool.try_text(&["journal", "export", JOURNAL]);
        let lines = lines.unwrap_or_default();
        let entries = lines.lines().skip(1).map(serde_json::from_str::<Value>);
        entries
            .map(|entry| entry.expect("an entry is JSON")["event"].clone())
            .collect()
    }

    /// Whether the journal holds such an event (`started`, `finished`) of such an action.
    pub fn happened(&self, event: &str, action: &str) -> bool {
        self.events()
            .iter()
            .any(|entry| entry["event"] == event && entry["action"]["action"] == action)
    }

    /// The volumes that path `direct` prepared, in the order of their sources.
    pub fn prepared(&self) -> Vec<String> {
        let events = self.events();
        let made = events.iter().find(|entry| {
            entry["event"] == "finished" && entry["action"]["action"] == "prepare_volumes"
        });
        let volumes = made.and_then(|made| made["result"]["volumes"].as_array());
        let volumes = volumes.expect("the volumes were prepared").iter();
        let target = |pair: &Value| pair["target"].as_str().map(str::to_owned);
        volumes.filter_map(target).collect()
    }

    /// The report of the last run.
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.tool.read("report.json")).expect("a report is JSON")
    }

    /// Waits until the journal holds an event while the executor runs.
    pub fn await_event(&self, executor: &mut Running, event: &str, action: &str) {
        until(
            &format!("{action} {event}"),
            Duration::from_secs(180),
            || {
                let happened = self.happened(event, action);
                let [_, err] = executor.said();
                assert!(happened || executor.runs(), "the executor ended:\n{err}");
                happened
            },
        );
    }
}

/// The journal's file.
pub const JOURNAL: &str = "orders.journal.sqlite";

/// What the lab's service times are divided by: `SNAPMIGRATE_TEST_TIME_SCALE`, for a demo at AWS's pace 1.
fn time_scale() -> f64 {
    let scale = std::env::var("SNAPMIGRATE_TEST_TIME_SCALE").ok();
    scale.map_or(30.0, |scale| {
        scale
            .parse()
            .expect("SNAPMIGRATE_TEST_TIME_SCALE is a number")
    })
}

fn tool(disks: &Disks, lab: &LabServer) -> Tool {
    let environment = [
        ("AWS_ACCESS_KEY_ID", SOURCE.0),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_ENDPOINT_URL", &lab.url),
    ];
    Tool::new(&disks.root.join("operator"), &environment)
}

fn scenario_of(name: &str, volumes: &[&str]) -> String {
    let place = |side: &str, (account, region): (&str, &str), instance: &str| {
        format!(
            "[{side}]\naccount = \"{account}\"\nregion = \"{region}\"\nzone = \"{region}a\"\n\
             instance = \"{instance}\"\n\n"
        )
    };
    let volume = |(volume, device): (&&str, &str)| {
        format!(
            "[[volumes]]\nid = \"{volume}\"\ndevice = \"{device}\"\nsize_gib = {SIZE_GIB}\n\
             written_gib = 0.0\n\n"
        )
    };
    let head = format!(
        "format = \"snapmigrate.scenario/1\"\nname = \"{name}\"\nseed = 7\n\
                start = \"2026-11-02T08:00:00Z\"\n\n"
    );
    let places =
        place("source", SOURCE, SOURCE_INSTANCE) + &place("target", TARGET, TARGET_INSTANCE);
    let devices = ["/dev/sdf", "/dev/sdg"];
    let volumes: String = volumes.iter().zip(devices).map(volume).collect();
    format!("{head}{places}{volumes}")
}

fn policy([engine, path]: [&str; 2], [source, target]: [String; 2], lease_seconds: f64) -> String {
    let (account, region) = TARGET;
    let owner = SOURCE.0;
    format!(
        "format = \"snapmigrate.policy/1\"\nname = \"orders\"\nmax_write_downtime_seconds = 1200\n\
         confidence = 0.9\npaths = [\"{path}\"]\nlease_seconds = {lease_seconds:?}\n\
         freeze_limit_seconds = {FREEZE_LIMIT_SECONDS:?}\n\n\
         [target]\naccount = \"{account}\"\nregion = \"{region}\"\nzone = \"{region}a\"\n\
         instance = \"{TARGET_INSTANCE}\"\n\n\
         [direct]\nreader_role_arn = \"arn:aws:iam::{owner}:role/reader\"\n\n\
         [database]\nengine = \"{engine}\"\nsource_host = \"{source}\"\ntarget_host = \"{target}\"\n"
    )
}
