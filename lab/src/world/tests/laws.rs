//! Whatever is snapshotted, copied and deleted in whatever order: a copy holds what its source held.

use proptest::prelude::*;

use super::*;

/// One step; picks are taken modulo what there is, so that shrinking works.
#[derive(Debug, Clone)]
enum Op {
    Write { from: u64, blocks: u64 },
    Snapshot,
    Copy { pick: usize, to: usize, key: usize },
    CopyCopy { pick: usize },
    Delete { pick: usize },
    DeleteCopy { pick: usize },
    Wait { seconds: i64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..90_u64, 1..12_u64).prop_map(|(from, blocks)| Op::Write { from, blocks }),
        3 => Just(Op::Snapshot),
        5 => (any::<usize>(), 0..2_usize, 0..3_usize)
            .prop_map(|(pick, to, key)| Op::Copy { pick, to, key: key / 2 }),
        1 => any::<usize>().prop_map(|pick| Op::CopyCopy { pick }),
        1 => any::<usize>().prop_map(|pick| Op::Delete { pick }),
        1 => any::<usize>().prop_map(|pick| Op::DeleteCopy { pick }),
        3 => (1..400_i64).prop_map(|seconds| Op::Wait { seconds }),
    ]
}

/// The world, and an obviously right account of what everything must hold.
struct Model {
    world: World,
    volume: String,
    now: BTreeMap<u64, u32>,
    version: u32,
    sources: Vec<String>,
    copies: Vec<(Caller, String)>,
    must_hold: BTreeMap<String, BTreeMap<u64, u32>>,
}

impl Model {
    fn new() -> Model {
        let mut world = world("");
        let volume = volume(&mut world, "gp3");
        let (now, must_hold) = (BTreeMap::new(), BTreeMap::new());
        Model {
            world,
            volume,
            now,
            version: 1,
            sources: Vec::new(),
            copies: Vec::new(),
            must_hold,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Write { from, blocks } => {
                self.version += 1;
                write(
                    &mut self.world,
                    &self.volume,
                    *from..from + blocks,
                    self.version,
                );
                self.now
                    .extend((*from..from + blocks).map(|block| (block, self.version)));
            }
            Op::Snapshot => {
                if let Ok(id) = snap(&mut self.world, &self.volume) {
                    self.must_hold.insert(id.clone(), self.now.clone());
                    self.sources.push(id);
                }
            }
            Op::Copy { pick, to, key } => {
                let Some(source) = picked(&self.sources, *pick).cloned() else {
                    return;
                };
                let to = [away(), caller(ME, "eu-central-1")][*to].clone();
                let key = ["alias/one", "alias/two"][*key];
                self.copy(&source, HOME, &to, Some(key));
            }
            Op::CopyCopy { pick } => {
                let Some((owner, source)) = picked(&self.copies, *pick).cloned() else {
                    return;
                };
                self.copy(&source, &owner.region, &caller(ME, "us-west-2"), None);
            }
            Op::Delete { pick } => {
                if let Some(id) = picked(&self.sources, *pick) {
                    let _ = self.world.delete_snapshot(&me(), id);
                }
            }
            Op::DeleteCopy { pick } => {
                if let Some((owner, id)) = picked(&self.copies, *pick) {
                    let _ = self.world.delete_snapshot(owner, id);
                }
            }
            Op::Wait { seconds } => pass(&mut self.world, *seconds),
        }
    }

    fn copy(&mut self, source: &str, region: &str, to: &Caller, key: Option<&str>) {
        let request = CopyRequest {
            source_region: region.to_owned(),
            source: source.to_owned(),
            encrypted: key.map(|_| true),
            kms_key: key.map(str::to_owned),
            ..CopyRequest::default()
        };
        if let Ok(id) = self.world.copy_snapshot(to, &request) {
            self.must_hold
                .insert(id.clone(), self.must_hold[source].clone());
            self.copies.push((to.clone(), id));
        }
    }
}

fn picked<T>(items: &[T], pick: usize) -> Option<&T> {
    (!items.is_empty()).then(|| &items[pick % items.len()])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_holds_what_its_source_held(ops in prop::collection::vec(op(), 1..70)) {
        let mut model = Model::new();
        ops.iter().for_each(|op| model.apply(op));
        pass(&mut model.world, 1_000_000);
        for (id, expected) in &model.must_hold {
            let snapshot = model.world.snapshot(id).unwrap();
            if snapshot.exists() {
                prop_assert_eq!(snapshot.status(model.world.now()).state, State::Completed);
                prop_assert_eq!(&held(snapshot.content.as_ref().unwrap()), expected, "{}", id);
                prop_assert!(snapshot.delta_bytes <= 110 * 524_288);
            }
        }
    }
}
