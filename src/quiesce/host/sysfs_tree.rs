//! A directory like `/sys` for tests: disks, partitions, arrays and mapped devices.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::volumes::Volumes;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The tree; removed on drop. A device's number is the driver's and its name: `253:dm-0`.
pub struct Tree {
    sys: PathBuf,
}

impl Tree {
    pub fn new(name: &str) -> Self {
        let process = std::process::id();
        let sys = std::env::temp_dir().join(format!("snapmigrate-layers-{process}-{name}"));
        let _ = fs::remove_dir_all(&sys);
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        Self { sys }
    }

    pub fn volumes(&self) -> Volumes {
        Volumes {
            sys: self.sys.clone(),
        }
    }

    pub fn put(&self, path: &str, text: &str) -> &Self {
        let path = self.sys.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub fn disk(&self, name: &str, serial: &str) -> &Self {
        self.put(
            &format!("block/{name}/device/serial"),
            &format!("{serial}\n"),
        );
        self.number("259", name, name)
    }

    pub fn partition(&self, disk: &str, name: &str) -> &Self {
        self.put(&format!("block/{disk}/{name}/partition"), "1\n");
        self.number("259", name, &format!("{disk}/{name}"))
    }

    pub fn mapped(&self, node: &str, name: &str, uuid: &str, members: &[&str]) -> &Self {
        self.put(&format!("block/{node}/dm/name"), &format!("{name}\n"));
        self.put(&format!("block/{node}/dm/uuid"), &format!("{uuid}\n"));
        self.members(node, members).number("253", node, node)
    }

    pub fn array(&self, node: &str, level: &str, uuid: &str, members: &[&str]) -> &Self {
        self.put(&format!("block/{node}/md/level"), &format!("{level}\n"));
        self.put(&format!("block/{node}/md/uuid"), &format!("{uuid}\n"));
        self.members(node, members).number("9", node, node)
    }

    fn members(&self, node: &str, members: &[&str]) -> &Self {
        let slaves = self.sys.join("block").join(node).join("slaves");
        fs::create_dir_all(&slaves).unwrap();
        for member in members {
            let name = Path::new(member).file_name().unwrap();
            symlink(self.sys.join("block").join(member), slaves.join(name)).unwrap();
        }
        self
    }

    fn number(&self, major: &str, name: &str, device: &str) -> &Self {
        let number = self.sys.join("dev/block").join(format!("{major}:{name}"));
        symlink(self.sys.join("block").join(device), number).unwrap();
        self
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.sys);
    }
}
