#![expect(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;

use super::*;
use crate::content::BLOCK_LEN;
use crate::content::Content;

/// Where the tests keep images; set `SNAPMIGRATE_TEST_DIR` to a directory on xfs or btrfs to test shared extents too.
fn store(name: &str) -> Arc<ImageStore> {
    let base =
        std::env::var_os("SNAPMIGRATE_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = base.join(format!(
        "snapmigrate-lab-image-{}-{name}",
        std::process::id()
    ));
    fs::create_dir_all(&dir).unwrap();
    ImageStore::open(&dir).unwrap()
}

fn block(byte: u8) -> Vec<u8> {
    vec![byte; BLOCK_LEN]
}

fn as_image(content: &Content) -> &Image {
    match content {
        Content::Real(image) => image,
        Content::Traced(_) => unreachable!("the tests hold images"),
    }
}

fn blocks(set: &BlockSet) -> Vec<u64> {
    set.iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn clones_are_points_in_time_and_deltas_rebuild_them(
        first in proptest::collection::vec((0u64..40, 1u8..9), 1..12),
        then in proptest::collection::vec((0u64..40, 1u8..9), 0..12),
    ) {
        let store = store("laws");
        let mut volume = Content::Real(Image::create_volume(&store, "vol-a", 1).unwrap());
        let write = |volume: &mut Content, writes: &[(u64, u8)]| {
            writes.iter().for_each(|(at, byte)| volume.write_block(*at, &block(*byte)).unwrap());
        };
        write(&mut volume, &first);
        let old = volume.freeze_clone("snap-old").unwrap();
        prop_assert_eq!(blocks(&old.changed_since(&volume).unwrap()), Vec::<u64>::new());
        write(&mut volume, &then);
        let new = volume.freeze_clone("snap-new").unwrap();
        let delta = new.changed_since(&old).unwrap();
        let bytes = as_image(&new).changed_bytes_since(as_image(&old)).unwrap();
        prop_assert_eq!(bytes.difference(&delta), BlockSet::new(), "a changed block was missed");
        let touched = then.iter().map(|(at, _)| *at).collect::<BlockSet>();
        prop_assert_eq!(delta.difference(&touched), BlockSet::new(), "an untouched block is listed");
        let copy = old.overlay("snap-copy", &delta, &new).unwrap();
        prop_assert!(as_image(&copy).changed_bytes_since(as_image(&new)).unwrap().is_empty());
        prop_assert_eq!(copy.written_blocks().unwrap(), new.written_blocks().unwrap());
        [volume, old, new, copy].into_iter().for_each(|content| content.discard().unwrap());
    }
}

#[test]
fn a_restored_volume_is_grown_and_apart_from_its_snapshot() {
    let store = store("restore");
    let mut volume = Content::Real(Image::create_volume(&store, "vol-a", 1).unwrap());
    volume.write_block(3, &block(7)).unwrap();
    let snapshot = volume.freeze_clone("snap-a").unwrap();
    let mut restored = snapshot.to_volume("vol-b", 2).unwrap();
    assert_eq!(
        (
            restored.blocks(),
            blocks(&restored.written_blocks().unwrap())
        ),
        (4096, vec![3])
    );
    assert_eq!(as_image(&restored).path(), store.volume_path("vol-b"));
    restored.write_block(3, &block(8)).unwrap();
    restored.write_block(4000, &block(9)).unwrap();
    assert_eq!(snapshot.read_block(3).unwrap(), block(7));
    assert_eq!(snapshot.read_block(4).unwrap(), block(0));
    assert_eq!(
        blocks(&restored.changed_since(&snapshot).unwrap()),
        vec![3, 4000]
    );
    assert!(matches!(
        restored.to_volume("vol-c", 1),
        Err(ContentError::TooSmall { .. })
    ));
    let copied = snapshot
        .overlay("snap-b", &[3].into_iter().collect(), &volume)
        .unwrap();
    let emptied = restored
        .overlay(
            "snap-c",
            &[3, 4000].into_iter().collect(),
            &Content::Real(Image::create_snapshot(&store, "snap-empty", 1).unwrap()),
        )
        .unwrap();
    assert_eq!(
        emptied.written_blocks().unwrap(),
        BlockSet::new(),
        "a hole in the newer content is a hole"
    );
    [volume, snapshot, restored, copied, emptied]
        .into_iter()
        .for_each(|content| content.discard().unwrap());
}

#[test]
fn images_are_found_again_and_missing_ones_named() {
    let store = store("reopen");
    let mut volume = Content::Real(Image::create_volume(&store, "vol-a", 1).unwrap());
    volume.write_block(9, &block(4)).unwrap();
    let again = Content::Real(Image::open_volume(&store, "vol-a").unwrap());
    assert_eq!(
        (again.blocks(), again.read_block(9).unwrap()),
        (2048, block(4).into())
    );
    let error = Image::open_snapshot(&store, "snap-none")
        .unwrap_err()
        .to_string();
    assert!(error.contains("snap-none.img"), "{error}");
    again.discard().unwrap();
}
