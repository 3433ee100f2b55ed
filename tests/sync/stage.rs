//! A lab in this process, and the tool beside it as a library.

use std::path::{Path, PathBuf};
use std::time::Duration;

use snapmigrate::clock::Clock;
use snapmigrate::cloud::{Cloud, Connection, Transport, Wire, connect};
use snapmigrate::transfer::sync::{Request, SyncError, sync};
use snapmigrate_lab::{Lab, ServeOptions};
use snapmigrate_models::sync::SyncReport;

use crate::oracle::{ACCOUNT, REGION, Scratch, ec2, ids};

pub struct Stage {
    pub scratch: Scratch,
    lab: Lab,
    pub cloud: Cloud,
}

impl Stage {
    pub async fn new() -> Self {
        Self::through(Wire::to).await
    }

    /// With something between the tool and the lab; the stage's own calls go straight to the lab.
    pub async fn through(wire: impl FnOnce(Lab) -> Wire) -> Self {
        let scratch = Scratch::new();
        let options = ServeOptions {
            dir: scratch.0.join("lab"),
            scenario: None,
            latency_ms: 0,
            quota: false,
            time_scale: 1e6,
            seed: 1,
            loop_devices: false,
            traced: false,
        };
        let lab = Lab::open(&options).expect("a lab in an empty directory");
        let connection = Connection {
            region: Some(REGION.to_owned()),
            ..Connection::default()
        };
        let account = ACCOUNT.parse().expect("an account");
        let transport = Transport::Lab {
            wire: wire(lab.clone()),
            account,
        };
        let cloud = connect(&connection, &transport, Clock::System).await;
        Self {
            scratch,
            lab,
            cloud: cloud.expect("the lab answers"),
        }
    }

    pub fn volume(&self, id: &str) -> PathBuf {
        self.scratch.0.join(format!("lab/volumes/{id}.img"))
    }

    pub async fn made(&self, form: &str, prefix: &str) -> String {
        let answer = ec2(&self.lab, form).await;
        ids(&answer, prefix).swap_remove(0)
    }

    pub async fn snapshot(&self, volume: &str) -> String {
        let form = format!("Action=CreateSnapshot&VolumeId={volume}");
        self.made(&form, "snap-").await
    }

    pub async fn sync(
        &self,
        from: Option<&str>,
        to: &str,
        target: &Path,
        listers: u64,
    ) -> SyncReport {
        let report = self.tried(from, to, target, listers).await;
        report.unwrap_or_else(|error| panic!("{from:?} to {to}: {error:?}"))
    }

    pub async fn tried(
        &self,
        from: Option<&str>,
        to: &str,
        target: &Path,
        listers: u64,
    ) -> Result<SyncReport, SyncError> {
        let request = Request {
            from: from.map(|id| id.parse().expect("a snapshot id")),
            to: to.parse().expect("a snapshot id"),
            target: target.to_owned(),
            state_dir: target.with_extension("sync"),
            undo: true,
            read_back: true,
            listers,
            patience: Duration::from_secs(5),
            forget: false,
        };
        sync(&self.cloud, &request, &mut |_| {}).await
    }
}
