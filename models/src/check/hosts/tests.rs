#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::hosts::*;
use proptest::prelude::*;

fn host() -> HostFacts {
    HostFacts {
        helper_version: "0.1.0".into(),
        helper_sha256: Some("a".repeat(64)),
        architecture: "x86_64".into(),
        glibc: Some("2.36".into()),
        icu: Some("72".into()),
        locales: vec!["C".into(), "en_US.utf8".into()],
        engine: EngineFacts {
            name: "postgres".into(),
            version: "15.14".into(),
            accepts_collation_change: false,
        },
        server_user: ServerUser {
            name: "postgres".into(),
            uid: 101,
            gid: 103,
        },
        uses: Some(Uses {
            libc_locales: vec!["en_US.UTF-8".into()],
            icu: false,
            libraries: vec!["pg_stat_statements".into()],
        }),
        libraries: vec!["pg_stat_statements".into(), "plpgsql".into()],
        configuration: vec![FileFact {
            path: "/etc/postgresql/15/main/pg_hba.conf".into(),
            sha256: Some("1".into()),
        }],
        places: Vec::new(),
        kept: vec![KeptFact {
            what: "the helper's record".into(),
            path: "/var/lib/snapmigrate".into(),
            mountpoint: "/".into(),
            frozen: false,
        }],
        storage: StorageFacts {
            file_systems_of_database: vec![named("/data", "u-1")],
            volume_groups_of_database: vec![named("vg0", "g-1")],
            arrays_of_database: vec![named("md0", "m-1")],
            encrypted: vec!["l-1".into()],
            can_decrypt: true,
            ..StorageFacts::default()
        },
    }
}

fn named(name: &str, uuid: &str) -> NamedId {
    NamedId {
        name: name.into(),
        uuid: uuid.into(),
    }
}

/// What is found after a change of either host, without notes.
fn found(change: impl FnOnce(&mut HostFacts, &mut HostFacts)) -> Vec<(Severity, String)> {
    let (mut source, mut target) = (host(), host());
    target.uses = None;
    change(&mut source, &mut target);
    compare(&source, &target)
        .into_iter()
        .filter(|f| f.severity != Severity::Note)
        .map(|f| (f.severity, format!("{}: {}", f.subject, f.message)))
        .collect()
}

#[track_caller]
fn only(severity: Severity, part: &str, change: impl FnOnce(&mut HostFacts, &mut HostFacts)) {
    let found = found(change);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].0 == severity && found[0].1.contains(part),
        "{found:?} without {part}"
    );
}

#[test]
fn hosts_that_are_alike_are_no_finding() {
    assert_eq!(found(|_, _| {}), []);
}

#[test]
fn each_difference_is_named_once() {
    use Severity::{Refuse, Warn};
    only(Refuse, "aarch64", |_, t| t.architecture = "aarch64".into());
    only(Refuse, "postgres 16.1", |_, t| {
        t.engine.version = "16.1".into();
    });
    only(Warn, "15.2", |_, t| t.engine.version = "15.2".into());
    only(Refuse, "pg_stat_statements", |_, t| t.libraries.clear());
    only(Refuse, "en_US.UTF-8", |_, t| t.locales.clear());
    only(Refuse, "glibc 2.31", |_, t| t.glibc = Some("2.31".into()));
    only(Refuse, "101:103", |_, t| t.server_user.uid = 999);
    only(Refuse, "lacks /etc", |_, t| {
        t.configuration[0].sha256 = None;
    });
    only(Warn, "another /etc", |_, t| {
        t.configuration[0].sha256 = Some("2".into());
    });
    only(Refuse, "LUKS", |_, t| t.storage.can_decrypt = false);
    only(Refuse, "source host: would freeze", |s, _| {
        s.kept[0].frozen = true;
    });
    only(Refuse, "target host: would freeze", |_, t| {
        t.kept[0].frozen = true;
    });
    only(Warn, "snapmigrate-host", |s, _| {
        s.helper_sha256 = Some("b".into());
    });
    only(Warn, "no server runs", |s, _| s.uses = None);
}

#[test]
fn names_and_identities_collide() {
    let refused = |change: fn(&mut StorageFacts)| found(|_, target| change(&mut target.storage));
    for change in [
        |s: &mut StorageFacts| s.other_volume_groups = vec![named("vg0", "g-9")],
        |s: &mut StorageFacts| s.other_volume_groups = vec![named("vg9", "g-1")],
        |s: &mut StorageFacts| s.other_arrays = vec![named("md0", "")],
        |s: &mut StorageFacts| s.other_file_systems = vec![named("/backup", "u-1")],
        |s: &mut StorageFacts| s.other_file_systems = vec![named("/data", "u-9")],
    ] {
        assert_eq!(refused(change).len(), 1);
    }
    assert_eq!(
        refused(|s| s.other_file_systems = vec![named("/backup", "")]),
        []
    );
}

#[test]
fn an_order_of_text_matters_when_it_is_used_and_can_be_accepted() {
    only(Severity::Refuse, "ICU 63", |s, t| {
        s.uses.as_mut().unwrap().icu = true;
        t.icu = Some("63".into());
    });
    assert_eq!(found(|_, t| t.icu = Some("63".into())), []);
    only(Severity::Warn, "glibc", |_, t| {
        t.glibc = Some("2.31".into());
        t.engine.accepts_collation_change = true;
    });
}

#[test]
fn the_other_engines_must_be_of_one_release() {
    let both = |name: &'static str, version: &'static str| {
        found(move |s, t| {
            for host in [&mut *s, &mut *t] {
                host.engine.name = name.into();
                host.engine.version = "10.11.19".into();
            }
            t.engine.version = version.into();
        })
    };
    assert_eq!(both("mariadb", "10.11.19"), []);
    assert_eq!(both("mariadb", "10.11.18")[0].0, Severity::Warn);
    assert_eq!(both("mariadb", "11.4.2")[0].0, Severity::Refuse);
    assert_eq!(both("mysql", "10.11.18")[0].0, Severity::Refuse);
}

#[test]
fn facts_of_an_older_or_newer_helper_are_read() {
    let sparse: HostFacts = serde_json::from_str(r#"{"architecture":"x86_64","new":1}"#).unwrap();
    assert_eq!(sparse.architecture, "x86_64");
}

proptest! {
    /// Whatever the target lacks is named; what it has besides is not.
    #[test]
    fn a_library_is_missed_exactly_when_it_is_not_there(
        uses in proptest::collection::btree_set("[a-d]", 0..4),
        has in proptest::collection::btree_set("[a-f]", 0..6),
    ) {
        let refused = found(|s, t| {
            s.uses.as_mut().unwrap().libraries = uses.iter().cloned().collect();
            t.libraries = has.iter().cloned().collect();
        });
        prop_assert_eq!(refused.is_empty(), uses.is_subset(&has));
    }
}
