//! A volume of the lab, written byte by byte beside a plain map that says what must be in it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use rustix::fs::{FallocateFlags, SeekFrom};
use snapmigrate_lab::Lab;

pub const BLOCK: u64 = 524_288;
const BLOCK_LEN: usize = 524_288;
pub const ACCOUNT: &str = "111111111111";
pub const REGION: &str = "us-east-1";

/// What must be in a volume: block to bytes; a block that is absent is zeros.
pub type Image = BTreeMap<u64, Vec<u8>>;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A directory of its own, in memory where there is such a place.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = base.join(format!("snapmigrate-sync-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory can be made");
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One EC2 call as a plain form; the named ids in the answer, in order.
pub fn ids(answer: &str, prefix: &str) -> Vec<String> {
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
    answer
        .split(|c| !is_id(c))
        .filter(|word| word.starts_with(prefix) && word.len() > prefix.len() + 4)
        .map(str::to_owned)
        .collect()
}

/// The header that says who calls.
pub fn authorization() -> String {
    authorization_in(REGION)
}

/// The header that says who calls where.
pub fn authorization_in(region: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261102/{region}/ec2/aws4_request, SignedHeaders=host, \
         Signature=0"
    )
}

/// One EC2 call of a lab in this process.
pub async fn ec2(lab: &Lab, form: &str) -> String {
    let request = http::Request::post("/")
        .header("authorization", authorization())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(format!("{form}&Version=2016-11-15")))
        .expect("a well-formed request");
    let answer = lab.http(request).await;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(answer.status().is_success(), "{form}: {text}");
    text
}

/// A volume's image file and what must be in it.
pub struct Volume {
    file: File,
    pub image: Image,
}

impl Volume {
    pub fn open(path: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(path);
        Self {
            file: file.expect("the lab made the image"),
            image: Image::new(),
        }
    }

    /// Takes what the image holds now for what must be in it.
    pub fn load(&mut self, path: &Path) {
        let bytes = fs::read(path).expect("1 GiB of memory");
        self.image.clear();
        for (block, data) in (0..).zip(bytes.chunks(BLOCK_LEN)) {
            if data.iter().any(|byte| *byte != 0) {
                self.image.insert(block, data.to_vec());
            }
        }
    }

    /// Writes `len` bytes of `fill` at `at` within a block.
    pub fn write(&mut self, block: u64, at: u64, fill: u8, len: usize) {
        let len = len.min(usize::try_from(BLOCK - at).expect("small"));
        self.file
            .write_all_at(&vec![fill; len], block * BLOCK + at)
            .expect("the image can be written");
        let bytes = self
            .image
            .entry(block)
            .or_insert_with(|| vec![0; BLOCK_LEN]);
        let at = usize::try_from(at).expect("small");
        bytes[at..at + len].fill(fill);
    }

    /// Makes a block a hole: the next snapshot does not hold it.
    pub fn punch(&mut self, block: u64) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&self.file, flags, block * BLOCK, BLOCK).expect("a hole");
        self.image.remove(&block);
    }
}

/// Whether a file of `blocks` blocks holds exactly the image; the first block that does not otherwise.
pub fn differs(path: &Path, image: &Image, blocks: u64) -> Option<u64> {
    let file = File::open(path).expect("the target is there");
    let mut data = vec![0; BLOCK_LEN];
    let mut check = |block: u64| {
        data.fill(0);
        let mut filled = 0;
        while filled < data.len() {
            match file
                .read_at(&mut data[filled..], block * BLOCK + filled as u64)
                .expect("it can be read")
            {
                0 => break,
                read => filled += read,
            }
        }
        match image.get(&block) {
            Some(bytes) => *bytes == data,
            None => data.iter().all(|byte| *byte == 0),
        }
    };
    if let Some(wrong) = image.keys().find(|block| !check(**block)) {
        return Some(*wrong);
    }
    let mut at = 0;
    while let Ok(data) = rustix::fs::seek(&file, SeekFrom::Data(at)) {
        let block = data / BLOCK;
        if block >= blocks {
            break;
        }
        if !check(block) {
            return Some(block);
        }
        at = (block + 1) * BLOCK;
    }
    None
}
