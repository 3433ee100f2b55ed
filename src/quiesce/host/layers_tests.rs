//! Layers on trees as Linux shows them.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::sysfs_tree::Tree;
use super::*;

const GROUP: &str = "Abcdef0123456789Abcdef0123456789";

fn lvm(volume: &str) -> String {
    format!("LVM-{GROUP}{volume:0>32}")
}

fn lvm_layer(group: &str, volume: &str, id: &str) -> Layer {
    Layer::Lvm {
        group: group.into(),
        volume: volume.into(),
        uuid: lvm(id),
    }
}

#[test]
fn a_logical_volume_over_two_volumes_linear_or_striped_is_one_layer() {
    let tree = Tree::new("linear");
    tree.disk("nvme1n1", "vol0aaa").disk("nvme2n1", "vol0bbb");
    tree.mapped(
        "dm-0",
        "data--vg-pg--main",
        &lvm("1"),
        &["nvme1n1", "nvme2n1"],
    );
    let found = tree.volumes().everything_below("253:dm-0");
    assert_eq!(found.volumes, ["vol-0aaa", "vol-0bbb"]);
    assert_eq!(found.layers, [lvm_layer("data-vg", "pg-main", "1")]);
    assert!(found.strangers.is_empty() && found.unknown.is_empty());
}

#[test]
fn a_logical_volume_with_inner_parts_on_a_partition_is_one_layer() {
    let tree = Tree::new("thin");
    tree.disk("nvme1n1", "vol0aaa")
        .partition("nvme1n1", "nvme1n1p1");
    let part = |kind: &str| format!("{}-{kind}", lvm("9"));
    tree.mapped(
        "dm-0",
        "vg-pool_tdata",
        &part("tdata"),
        &["nvme1n1/nvme1n1p1"],
    );
    tree.mapped("dm-1", "vg-pool-tpool", &part("tpool"), &["dm-0"]);
    tree.mapped("dm-2", "vg-pg", &lvm("1"), &["dm-1"]);
    let found = tree.volumes().everything_below("253:dm-2");
    assert_eq!(found.volumes, ["vol-0aaa"]);
    assert_eq!(found.layers, [lvm_layer("vg", "pg", "1")]);
    assert!(found.unknown.is_empty(), "{found:?}");
}

#[test]
fn layers_stand_upon_each_other() {
    let tree = Tree::new("luks");
    tree.disk("nvme1n1", "vol0aaa").disk("nvme2n1", "vol0bbb");
    tree.array(
        "md0",
        "raid0",
        "01234567-89AB-cdef-0123-456789abcdef",
        &["nvme1n1", "nvme2n1"],
    );
    tree.mapped("dm-0", "vg-pg", &lvm("1"), &["md0"]);
    let crypt = "CRYPT-LUKS2-fedcba9876543210fedcba9876543210-pg_open";
    tree.mapped("dm-1", "pg_open", crypt, &["dm-0"]);
    let volumes = tree.volumes();
    let found = volumes.everything_below("253:dm-1");
    assert_eq!(found.volumes, ["vol-0aaa", "vol-0bbb"]);
    let raid = Layer::Raid {
        name: "md0".into(),
        level: "raid0".into(),
        uuid: "0123456789abcdef0123456789abcdef".into(),
    };
    let luks = Layer::Luks {
        name: "pg_open".into(),
        uuid: "fedcba9876543210fedcba9876543210".into(),
    };
    assert_eq!(found.layers, [raid, lvm_layer("vg", "pg", "1"), luks]);
    let renamed = Layer::Raid {
        name: "md127".into(),
        level: "raid0".into(),
        uuid: "0123456789abcdef0123456789abcdef".into(),
    };
    let up = volumes.device_of(&renamed).unwrap();
    assert!(up.ends_with("block/md0"));
    assert_eq!(volumes.volumes_below(&up), ["vol-0aaa", "vol-0bbb"]);
}

#[test]
fn instance_stores_and_unknown_mappings_are_named() {
    let tree = Tree::new("store");
    tree.disk("nvme1n1", "vol0aaa").disk("nvme2n1", "AWS1234");
    tree.put(
        "block/nvme2n1/device/model",
        "Amazon EC2 NVMe Instance Storage\n",
    );
    tree.mapped("dm-0", "vg-pg", &lvm("1"), &["nvme1n1", "nvme2n1"]);
    tree.mapped("dm-1", "mpatha", "mpath-3600", &["dm-0"]);
    let found = tree.volumes().everything_below("253:dm-1");
    assert_eq!(found.volumes, ["vol-0aaa"]);
    assert_eq!(
        found.strangers,
        ["nvme2n1 (Amazon EC2 NVMe Instance Storage)"]
    );
    assert_eq!(found.unknown, ["dm-1 (mpath-3600)"]);
    assert_eq!(tree.volumes().everything_below("1:1"), Below::default());
}
