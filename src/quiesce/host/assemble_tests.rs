//! Bringing up layers with programs that only change a tree.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::sysfs_tree::Tree;
use super::*;
use std::cell::RefCell;

const LVM: &str = "LVM-Abcdef0123456789Abcdef012345678900000000000000000000000000000001";
const GROUP_LISTED: &str = "Abcdef-0123-4567-89Ab-cdef-0123-456789";
const ARRAY: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn lvm() -> Layer {
    Layer::Lvm {
        group: "vg".into(),
        volume: "pg".into(),
        uuid: LVM.into(),
    }
}

fn raid() -> Layer {
    Layer::Raid {
        name: "md0".into(),
        level: "raid0".into(),
        uuid: ARRAY.replace('-', ""),
    }
}

/// Programs that answer as told and bring up what `brings` does.
struct Programs<'a> {
    said: RefCell<Vec<String>>,
    vgs: String,
    brings: &'a dyn Fn(&str),
}

impl Programs<'_> {
    fn run(&self, argv: &[&str]) -> Result<String, Refusal> {
        self.said.borrow_mut().push(argv.join(" "));
        (self.brings)(argv[0]);
        Ok(if argv[0] == "vgs" {
            self.vgs.clone()
        } else {
            String::new()
        })
    }
}

/// What comes of bringing up `layers` over two volumes, and what was run for it.
fn up(
    tree: &Tree,
    layers: &[Layer],
    vgs: &str,
    brings: &dyn Fn(&str),
) -> (Result<PathBuf, Refusal>, Vec<String>) {
    let programs = Programs {
        said: RefCell::default(),
        vgs: vgs.to_owned(),
        brings,
    };
    let members = ["vol-0bbb".to_owned(), "vol-0aaa".to_owned()];
    let assembly = Assembly {
        volumes: &tree.volumes(),
        members: &members,
        luks_key_file: Some(Path::new("/etc/keys/pg")),
        run: &|argv| programs.run(argv),
    };
    let outcome = assembly.up(layers);
    (outcome, programs.said.into_inner())
}

fn two_disks(name: &str) -> Tree {
    let tree = Tree::new(&format!("assemble-{name}"));
    tree.disk("nvme1n1", "vol0aaa")
        .disk("nvme2n1", "vol0bbb")
        .disk("nvme3n1", "vol0ccc");
    tree
}

#[test]
fn an_array_with_a_logical_volume_comes_up_from_the_bottom() {
    let tree = two_disks("both");
    let brings = |program: &str| match program {
        "mdadm" => {
            tree.array("md127", "raid0", ARRAY, &["nvme1n1", "nvme2n1"]);
        }
        "vgchange" => {
            tree.mapped("dm-3", "vg-pg", LVM, &["md127"]);
        }
        _ => {}
    };
    let vgs = format!("  {GROUP_LISTED} vg\n  Zzzzzz-0 other\n");
    let (top, said) = up(&tree, &[raid(), lvm()], &vgs, &brings);
    assert_eq!(top.unwrap(), PathBuf::from("/dev/dm-3"));
    assert_eq!(
        said,
        [
            "mdadm --assemble --no-degraded --uuid=01234567:89abcdef:01234567:89abcdef /dev/md/snapmigrate-md0",
            "vgs --noheadings --options vg_uuid,vg_name",
            "vgchange --activate y vg",
        ]
    );
    let (again, said) = up(&tree, &[raid(), lvm()], "", &|_| {});
    assert_eq!(
        (again.unwrap(), said.len()),
        (PathBuf::from("/dev/dm-3"), 0),
        "it is up"
    );
}

#[test]
fn what_carries_the_name_and_is_another_is_refused() {
    let tree = two_disks("collision");
    for vgs in [
        "Zzzzzz-0123-4567-89Ab-cdef-0123-456789 vg\n".to_owned(),
        format!("{GROUP_LISTED} vg\nZzzzzz-0123-4567-89Ab-cdef-0123-456789 vg\n"),
    ] {
        let (outcome, said) = up(&tree, &[lvm()], &vgs, &|_| {});
        let refusal = outcome.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Refused);
        assert!(refusal.message.contains("vgrename"), "{}", refusal.message);
        assert_eq!(said.len(), 1, "nothing was activated: {said:?}");
    }
    let (outcome, _) = up(&tree, &[lvm()], "", &|_| {});
    assert_eq!(
        outcome.unwrap_err().code,
        ErrorCode::Device,
        "it is not there"
    );
    tree.array("md0", "raid0", ARRAY, &["nvme1n1", "nvme3n1"]);
    let (outcome, said) = up(&tree, &[raid()], "", &|_| {});
    let refusal = outcome.unwrap_err();
    assert!(refusal.code == ErrorCode::Refused && refusal.message.contains("vol-0ccc"));
    assert!(said.is_empty());
}

#[test]
fn a_layer_over_fewer_volumes_or_that_does_not_come_up_is_an_error() {
    let tree = two_disks("fewer");
    let (outcome, _) = up(&tree, &[raid()], "", &|_| {});
    assert_eq!(outcome.unwrap_err().code, ErrorCode::Device);
    tree.array("md0", "raid0", ARRAY, &["nvme1n1"]);
    let (outcome, _) = up(&tree, &[raid()], "", &|_| {});
    assert!(
        outcome
            .unwrap_err()
            .message
            .contains("not on vol-0aaa, vol-0bbb")
    );
}

#[test]
fn encrypted_devices_need_a_key_file_and_everything_goes_down_from_the_top() {
    let tree = two_disks("luks");
    let luks = Layer::Luks {
        name: "open".into(),
        uuid: "fedcba9876543210fedcba9876543210".into(),
    };
    let crypt = "CRYPT-LUKS2-fedcba9876543210fedcba9876543210-open";
    tree.array("md0", "raid0", ARRAY, &["nvme1n1", "nvme2n1"]);
    let (top, said) = up(&tree, &[raid(), luks.clone()], "", &|_| {
        tree.mapped("dm-0", "open", crypt, &["md0"]);
    });
    assert_eq!(top.unwrap(), PathBuf::from("/dev/dm-0"));
    let open = "cryptsetup open --type luks --key-file /etc/keys/pg UUID=fedcba98-7654-3210-fedc-ba9876543210 open";
    assert_eq!(said, [open]);
    let said = RefCell::new(Vec::new());
    let members = ["vol-0aaa".to_owned(), "vol-0bbb".to_owned()];
    let assembly = Assembly {
        volumes: &tree.volumes(),
        members: &members,
        luks_key_file: None,
        run: &|argv| {
            said.borrow_mut().push(argv.join(" "));
            Ok(String::new())
        },
    };
    assembly.down(&[raid(), luks]).unwrap();
    assert_eq!(
        said.take(),
        ["cryptsetup close open", "mdadm --stop /dev/md0"]
    );
    let other = Layer::Luks {
        name: "other".into(),
        uuid: "0".repeat(32),
    };
    let refusal = assembly.up(&[other]).unwrap_err();
    assert!(
        refusal.message.contains("luks_key_file"),
        "{}",
        refusal.message
    );
}
