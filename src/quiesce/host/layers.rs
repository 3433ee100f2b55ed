//! What lies between a file system's device and the volumes: device mapper and arrays, read from a tree like `/sys`.
//!
//! Only reads, and knows neither commands nor a running system: the tree may be a test's. Formats: the kernel's
//! `sysfs-block-dm`, `md.rst`, and the prefixes that LVM and cryptsetup give `dm/uuid`.

use super::volumes::{Volumes, entries, volume_of};
use snapmigrate_models::step::Layer;
use std::fs;
use std::path::{Path, PathBuf};

/// Characters of each identity in `LVM-...`.
const LVM_ID: usize = 32;

/// Everything below a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Below {
    /// The volumes, each once.
    pub volumes: Vec<String>,
    /// Disks that are no volume: instance stores, the hypervisor's own.
    pub strangers: Vec<String>,
    /// Layers in between, the lowest first.
    pub layers: Vec<Layer>,
    /// Layers of a kind that cannot be brought up elsewhere, in words.
    pub unknown: Vec<String>,
}

impl Volumes {
    /// Everything below a `major:minor`.
    #[must_use]
    pub fn everything_below(&self, device_number: &str) -> Below {
        let device = self.sys.join("dev/block").join(device_number);
        fs::canonicalize(device).map_or_else(|_| Below::default(), |device| below(&device))
    }

    /// The device that a layer is, once it is up.
    #[must_use]
    pub fn device_of(&self, layer: &Layer) -> Option<PathBuf> {
        let mut devices = entries(&self.sys.join("block")).into_iter();
        devices.find(|device| {
            own_layer(device)
                .as_ref()
                .is_some_and(|found| same(found, layer))
        })
    }

    /// The volumes below a device that [`Volumes::device_of`] named.
    #[must_use]
    pub fn volumes_below(&self, device: &Path) -> Vec<String> {
        let device = fs::canonicalize(device);
        device.map_or_else(|_| Vec::new(), |device| below(&device).volumes)
    }
}

/// By identity: names of nodes differ between hosts.
#[must_use]
pub fn same(a: &Layer, b: &Layer) -> bool {
    use Layer::{Luks, Lvm, Raid};
    match (a, b) {
        (Lvm { uuid: a, .. }, Lvm { uuid: b, .. })
        | (Raid { uuid: a, .. }, Raid { uuid: b, .. })
        | (Luks { uuid: a, .. }, Luks { uuid: b, .. }) => a == b,
        _ => false,
    }
}

fn below(device: &Path) -> Below {
    let mut found = Below::default();
    walk(device, &mut found);
    found.volumes.sort();
    found.volumes.dedup();
    found
}

fn walk(device: &Path, found: &mut Below) {
    let members = entries(&device.join("slaves"));
    if members.is_empty() {
        let disk = if device.join("partition").exists() {
            device.parent().unwrap_or(device)
        } else {
            device
        };
        match volume_of(disk) {
            Some(volume) => found.volumes.push(volume),
            None => found.strangers.push(described(disk)),
        }
        return;
    }
    for member in members
        .iter()
        .filter_map(|member| fs::canonicalize(member).ok())
    {
        walk(&member, found);
    }
    match own_layer(device) {
        Some(layer) if !found.layers.contains(&layer) => found.layers.push(layer),
        Some(_) => {}
        None if is_inner_lvm(device) => {}
        None => found.unknown.push(described(device)),
    }
}

/// The layer that a device is itself.
fn own_layer(device: &Path) -> Option<Layer> {
    if device.join("md").is_dir() {
        return Some(Layer::Raid {
            name: name_of(device),
            level: text(device, "md/level")?,
            uuid: hexadecimal(&text(device, "md/uuid").unwrap_or_default()),
        });
    }
    let (name, uuid) = (text(device, "dm/name")?, text(device, "dm/uuid")?);
    if uuid.starts_with("LVM-") && uuid.len() == 4 + 2 * LVM_ID {
        let (group, volume) = lvm_names(&name)?;
        return Some(Layer::Lvm {
            group,
            volume,
            uuid,
        });
    }
    let (kind, rest) = uuid.strip_prefix("CRYPT-")?.split_once('-')?;
    let id = rest.get(..32).filter(|_| kind.starts_with("LUKS"))?;
    Some(Layer::Luks {
        name,
        uuid: hexadecimal(id),
    })
}

/// A part of a logical volume (`-tpool`, `-cdata`, `-real`, ...), which comes up with it.
fn is_inner_lvm(device: &Path) -> bool {
    let uuid = text(device, "dm/uuid").unwrap_or_default();
    uuid.starts_with("LVM-") && uuid.len() > 4 + 2 * LVM_ID
}

/// `GROUP-VOLUME`, in which a hyphen of either name is written twice.
fn lvm_names(name: &str) -> Option<(String, String)> {
    let hidden = name.replace("--", "\u{0}");
    let (group, volume) = hidden.split_once('-')?;
    let plain = |name: &str| name.replace('\u{0}', "-");
    Some((plain(group), plain(volume)))
}

fn hexadecimal(text: &str) -> String {
    let digits = text.chars().filter(char::is_ascii_hexdigit);
    digits.map(|digit| digit.to_ascii_lowercase()).collect()
}

/// A device in words: its name, and what it says it is.
fn described(device: &Path) -> String {
    let model = text(device, "device/model").or_else(|| text(device, "dm/uuid"));
    let model = model.map_or_else(String::new, |model| format!(" ({model})"));
    format!("{}{model}", name_of(device))
}

fn name_of(device: &Path) -> String {
    let name = device.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn text(device: &Path, file: &str) -> Option<String> {
    let text = fs::read_to_string(device.join(file)).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
