//! A reflink file system with image files on it: the images are volumes, their clones snapshots.

use super::{run, text, try_run};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A temporary directory with a reflink xfs mounted below it.
pub struct Disks {
    /// Readable by everyone, as the database's user must get through.
    pub root: PathBuf,
    mounts: Vec<PathBuf>,
    loops: Vec<String>,
}

impl Disks {
    /// An empty pool for images of `gib` GiB in all; sparse.
    pub fn new(gib: u64) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root =
            std::env::temp_dir().join(format!("snapmigrate-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&root).expect("a temporary directory can be made");
        let mut disks = Self {
            root: root.clone(),
            mounts: Vec::new(),
            loops: Vec::new(),
        };
        let pool = root.join("pool.xfs");
        File::create(&pool)
            .and_then(|file| file.set_len(gib << 30))
            .expect("the pool can be made");
        run(&["mkfs.xfs", "-q", "-m", "reflink=1", &text(&pool)]);
        let device = disks.attach(&pool);
        disks.mount(&device, &root.join("volumes"));
        disks
    }

    /// Where a volume's image is.
    pub fn image(&self, volume: &str) -> PathBuf {
        self.root.join("volumes").join(format!("{volume}.img"))
    }

    /// A volume with an empty ext4, attached as a loop device, which is returned.
    pub fn create_ext4(&mut self, volume: &str, mib: u64) -> String {
        let image = self.image(volume);
        File::create(&image)
            .and_then(|file| file.set_len(mib << 20))
            .expect("the image can be made");
        run(&["mkfs.ext4", "-q", "-E", "nodiscard", &text(&image)]);
        self.attach(&image)
    }

    /// Clones a volume's image at once, as a snapshot does.
    pub fn clone_volume(&self, from: &str, to: &str) {
        run(&[
            "cp",
            "--reflink=always",
            &text(&self.image(from)),
            &text(&self.image(to)),
        ]);
    }

    /// Attaches an image; detached on drop.
    pub fn attach(&mut self, image: &Path) -> String {
        let device = run(&["losetup", "--find", "--show", &text(image)]);
        self.loops.push(device.clone());
        device
    }

    /// Mounts a device; unmounted on drop.
    pub fn mount(&mut self, device: &str, mountpoint: &Path) {
        fs::create_dir_all(mountpoint).expect("a mount point can be made");
        run(&["mount", device, &text(mountpoint)]);
        self.mounts.push(mountpoint.to_owned());
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        for mountpoint in self.mounts.iter().rev() {
            try_run(&["fsfreeze", "--unfreeze", &text(mountpoint)]);
            try_run(&["umount", "--lazy", &text(mountpoint)]);
        }
        for device in self.loops.iter().rev() {
            try_run(&["losetup", "--detach", device]);
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}
