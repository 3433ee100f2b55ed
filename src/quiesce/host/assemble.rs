//! Brings layers up on the target and takes them down again: arrays, logical volumes, encrypted devices.
//!
//! By identity, never by name alone: what carries the name and is something else is a collision, and refused. The
//! commands are run by the caller's `run`, so that this is tried without a device mapper. **It has met no kernel with
//! one in the tests of this repository.**

use super::volumes::{Volumes, node};
use crate::quiesce::protocol::{ErrorCode, Refusal};
use snapmigrate_models::step::Layer;
use std::path::{Path, PathBuf};

/// Runs a program to its end and gives what it printed.
pub type Run<'a> = &'a dyn Fn(&[&str]) -> Result<String, Refusal>;

/// What layers are assembled from.
pub struct Assembly<'a> {
    /// The device tree.
    pub volumes: &'a Volumes,
    /// Volume ids that must lie below, and no others.
    pub members: &'a [String],
    /// Opens encrypted devices.
    pub luks_key_file: Option<&'a Path>,
    /// Runs the programs.
    pub run: Run<'a>,
}

impl Assembly<'_> {
    /// Brings up each layer that is not up already; gives the node of the topmost.
    ///
    /// # Errors
    /// `refused` for a collision, `device` when a layer does not come up.
    pub fn up(&self, layers: &[Layer]) -> Result<PathBuf, Refusal> {
        let mut top = None;
        for layer in layers {
            top = Some(self.layer_up(layer)?);
        }
        let top = top.ok_or_else(|| device("there is no layer to bring up"))?;
        let found = self.volumes.volumes_below(&top);
        let mut wanted = self.members.to_vec();
        wanted.sort();
        if found == wanted {
            return Ok(node(&top));
        }
        Err(collision(format!(
            "{} lies on {}, not on {}",
            node(&top).display(),
            found.join(", "),
            wanted.join(", ")
        )))
    }

    /// Takes down what is up, the topmost first.
    ///
    /// # Errors
    /// `device` when one is held.
    pub fn down(&self, layers: &[Layer]) -> Result<(), Refusal> {
        for layer in layers.iter().rev() {
            let Some(up) = self.volumes.device_of(layer) else {
                continue;
            };
            self.require_ours(layer, &up)?;
            let up = node(&up).display().to_string();
            match layer {
                Layer::Lvm { group, .. } => (self.run)(&["vgchange", "--activate", "n", group])?,
                Layer::Raid { .. } => (self.run)(&["mdadm", "--stop", &up])?,
                Layer::Luks { name, .. } => (self.run)(&["cryptsetup", "close", name])?,
            };
        }
        Ok(())
    }

    /// The device tree's own rules may have brought it up when the volumes were attached.
    fn layer_up(&self, layer: &Layer) -> Result<PathBuf, Refusal> {
        if self.volumes.device_of(layer).is_none() {
            match layer {
                Layer::Lvm { group, uuid, .. } => self.activate(group, uuid)?,
                Layer::Raid { name, uuid, .. } => self.assemble(name, uuid)?,
                Layer::Luks { name, uuid } => self.open(name, uuid)?,
            }
        }
        let up = self.volumes.device_of(layer);
        let up = up.ok_or_else(|| device(&format!("{layer} did not come up")))?;
        self.require_ours(layer, &up)?;
        Ok(up)
    }

    fn require_ours(&self, layer: &Layer, up: &Path) -> Result<(), Refusal> {
        let below = self.volumes.volumes_below(up);
        if !below.is_empty() && below.iter().all(|volume| self.members.contains(volume)) {
            return Ok(());
        }
        Err(collision(format!(
            "{layer} of this identity is up on {}, not on {}",
            below.join(", "),
            self.members.join(", ")
        )))
    }

    fn activate(&self, group: &str, uuid: &str) -> Result<(), Refusal> {
        let wanted = uuid.get(4..36).unwrap_or_default();
        let listed = (self.run)(&["vgs", "--noheadings", "--options", "vg_uuid,vg_name"])?;
        let mut ids = Vec::new();
        for line in listed.lines() {
            if let Some((id, name)) = line.trim().split_once(char::is_whitespace)
                && name.trim() == group
            {
                ids.push(id.replace('-', ""));
            }
        }
        match ids.as_slice() {
            [one] if one == wanted => {}
            [] => {
                return Err(device(&format!(
                    "volume group {group} is on none of the attached volumes"
                )));
            }
            _ => {
                return Err(collision(format!(
                    "this host has a volume group {group} of its own: rename that one (vgrename) first"
                )));
            }
        }
        (self.run)(&["vgchange", "--activate", "y", group]).map(|_| ())
    }

    fn assemble(&self, name: &str, uuid: &str) -> Result<(), Refusal> {
        let groups: Vec<&str> = (0..4)
            .filter_map(|part| uuid.get(part * 8..part * 8 + 8))
            .collect();
        let uuid = format!("--uuid={}", groups.join(":"));
        // A name of its own: the source's number may be taken here.
        let path = format!("/dev/md/snapmigrate-{name}");
        (self.run)(&["mdadm", "--assemble", "--no-degraded", &uuid, &path]).map(|_| ())
    }

    fn open(&self, name: &str, uuid: &str) -> Result<(), Refusal> {
        let Some(key) = self.luks_key_file else {
            return Err(Refusal::new(
                ErrorCode::Refused,
                format!("{name} is encrypted, and mount.luks_key_file is not set on this host"),
            ));
        };
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
        let parts: Vec<&str> = parts
            .into_iter()
            .filter_map(|part| uuid.get(part))
            .collect();
        let (source, key) = (
            format!("UUID={}", parts.join("-")),
            key.display().to_string(),
        );
        (self.run)(&[
            "cryptsetup",
            "open",
            "--type",
            "luks",
            "--key-file",
            &key,
            &source,
            name,
        ])
        .map(|_| ())
    }
}

fn device(message: &str) -> Refusal {
    Refusal::new(ErrorCode::Device, message)
}

fn collision(message: String) -> Refusal {
    Refusal::new(ErrorCode::Refused, message)
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
