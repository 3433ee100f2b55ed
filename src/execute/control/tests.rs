//! A socket with an executor behind it that does nothing but listen.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

use snapmigrate_models::control::{Request, Word};
use snapmigrate_models::format::Document;
use snapmigrate_models::plan::Plan;

use super::*;
use crate::journal::Recorded;

const PLAN: &str = include_str!("../../../fixtures/formats/plan.json");

/// A journal in a directory of its own, removed at the end.
struct Scene {
    directory: PathBuf,
    journal: PathBuf,
    plan: Plan,
}

impl Scene {
    fn set(name: &str) -> Self {
        let name = format!("snapmigrate-control-{name}-{}", std::process::id());
        // A path far beyond what the address of a socket holds.
        let long = std::env::temp_dir().join(name).join("x".repeat(120));
        std::fs::create_dir_all(&long).expect("a directory");
        Self {
            journal: long.join("orders.journal.sqlite"),
            directory: long.parent().expect("a parent").to_owned(),
            plan: Plan::from_json(PLAN).expect("the frozen plan"),
        }
    }

    /// Listens until `talk` has ended; the journal as it is then.
    fn listen<T: Send + 'static>(
        &self,
        talk: impl FnOnce(PathBuf) -> T + Send + 'static,
    ) -> (T, Recorded) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut journal = Journal::open(&self.journal, &self.plan).expect("a journal");
            let (_stop, stopped) = watch::channel(false);
            let mut server = Server::open(Executor {
                journal: self.journal.clone(),
                name: self.plan.name.clone(),
                since: Clock::System.now(),
            })
            .expect("a socket");
            let mut control = Control::beside(&self.journal, stopped).over(&mut server);
            let path = self.journal.clone();
            let talk = thread::spawn(move || talk(path));
            while !talk.is_finished() {
                control.hear(&mut journal, Clock::System).expect("it hears");
                let soon = tokio::time::sleep(Duration::from_millis(5));
                tokio::select! { () = control.wait() => {}, () = soon => {} }
            }
            let talked = talk.join().expect("nobody panics");
            (talked, journal.recorded().clone())
        })
    }

    fn socket(journal: &Path) -> (place::Place, UnixStream) {
        let place = place::Place::find(journal).expect("an executor");
        let stream = UnixStream::connect(place.socket()).expect("a socket");
        (place, stream)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

fn said(journal: &Path, word: Word, name: Option<&str>) -> Answer {
    let request = Request::new(word, name.map(str::to_owned));
    speak(journal, &request)
        .expect("an answer")
        .expect("somebody listens")
}

#[test]
fn a_word_is_answered_when_it_is_in_the_journal() {
    let scene = Scene::set("word");
    let name = scene.plan.name.clone();
    let (answers, recorded) = scene.listen(move |journal| {
        let first = said(&journal, Word::Postpone, None);
        let durable = Recorded::read(&journal).expect("a journal").entries.len();
        let unnamed = said(&journal, Word::Cutover, None);
        let misnamed = said(&journal, Word::Cutover, Some("another"));
        let named = said(&journal, Word::Cutover, Some(&name));
        let early = said(&journal, Word::Finalize, Some(&name));
        let status = said(&journal, Word::Status, None);
        (first, durable, unnamed, misnamed, named, early, status)
    });
    let (first, durable, unnamed, misnamed, named, early, status) = answers;
    assert!(
        matches!(first, Answer::Journaled { seq: 1, .. }),
        "{first:?}"
    );
    assert_eq!(durable, 1, "durable before it was answered");
    for refused in [unnamed, misnamed, early] {
        assert!(matches!(refused, Answer::Refused { .. }), "{refused:?}");
    }
    assert!(
        matches!(named, Answer::Journaled { seq: 2, .. }),
        "{named:?}"
    );
    let Answer::Status(status) = status else {
        panic!("{status:?}")
    };
    let pid = status.executor.map(|executor| executor.pid);
    assert_eq!(pid, Some(std::process::id()));
    assert_eq!(recorded.entries.len(), 2, "what is refused is not in it");
}

#[test]
fn limits_are_journaled_with_their_old_values() {
    let scene = Scene::set("limits");
    let old = scene.plan.policy.max_write_downtime_seconds;
    let name = scene.plan.name.clone();
    let (answers, recorded) = scene.listen(move |journal| {
        let limits = |seconds| PolicyLimits {
            max_write_downtime_seconds: Some(seconds),
            ..PolicyLimits::default()
        };
        [1200.0, -1.0].map(|seconds| {
            let request = Request::limiting(limits(seconds), name.clone());
            speak(&journal, &request)
                .expect("an answer")
                .expect("an executor")
        })
    });
    let [moved, impossible] = answers;
    assert!(matches!(moved, Answer::Journaled { .. }), "{moved:?}");
    assert!(
        matches!(impossible, Answer::Refused { .. }),
        "{impossible:?}"
    );
    let Some(Event::Limited { old: was, new }) = recorded.entries.last().map(|e| &e.event) else {
        panic!("no change of limits");
    };
    assert_eq!(was.max_write_downtime_seconds, Some(old));
    assert_eq!(new.max_write_downtime_seconds, Some(1200.0));
}

#[test]
fn garbage_and_silence_do_no_harm() {
    let scene = Scene::set("garbage");
    let (lines, recorded) = scene.listen(|journal| {
        // Somebody who says nothing holds nobody up.
        let silent = Scene::socket(&journal);
        let (_place, mut stream) = Scene::socket(&journal);
        let garbage = b"\xff\xfe\n{}\n{\"format\":\"snapmigrate.control/2\",\"word\":\"abort\"}\n";
        stream.write_all(garbage).expect("written");
        stream.write_all(&vec![b'a'; 32 * 1024]).ok();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).ok();
        let after = said(&journal, Word::Postpone, None);
        drop(silent);
        (answers, after)
    });
    let (answers, after) = lines;
    let refused = answers.lines().filter(|line| line.contains("\"refused\""));
    assert!(refused.count() >= 3, "{answers}");
    assert!(matches!(after, Answer::Journaled { .. }), "{after:?}");
    assert_eq!(recorded.entries.len(), 1);
}

#[test]
fn nobody_else_may_connect_and_nothing_stays() {
    let scene = Scene::set("modes");
    let live = |journal: &Path| PathBuf::from(format!("{}.live", journal.display()));
    let (modes, _) = scene.listen(move |journal| {
        let mode = |path: PathBuf| {
            let found = std::fs::metadata(path).expect("it is there");
            found.permissions().mode() & 0o777
        };
        (mode(live(&journal)), mode(live(&journal).join("socket")))
    });
    assert_eq!(modes, (0o700, 0o600));
    assert!(!live(&scene.journal).exists(), "removed at the end");
    let nobody = speak(&scene.journal, &Request::new(Word::Status, None));
    assert!(matches!(nobody, Ok(None)), "{nobody:?}");
}

#[test]
fn the_socket_of_a_killed_executor_is_nobodys_and_is_taken_over() {
    let scene = Scene::set("killed");
    let place = place::Place::make(&scene.journal).expect("a directory");
    drop(std::os::unix::net::UnixListener::bind(place.socket()).expect("a socket"));
    let nobody = speak(&scene.journal, &Request::new(Word::Status, None));
    assert!(matches!(nobody, Ok(None)), "{nobody:?}");
    let (answer, _) = scene.listen(|journal| said(&journal, Word::Postpone, None));
    assert!(matches!(answer, Answer::Journaled { .. }), "{answer:?}");
}

#[test]
fn the_flag_file_holds_the_cutover_for_as_long_as_it_exists() {
    let scene = Scene::set("flag");
    let mut journal = Journal::open(&scene.journal, &scene.plan).expect("a journal");
    let (_stop, stopped) = watch::channel(false);
    let mut control = Control::beside(&scene.journal, stopped);
    let mut hear = |journal: &mut Journal| {
        control.hear(journal, Clock::System).expect("it hears");
        journal.progress().orders
    };
    assert!(!hear(&mut journal).postponed);
    std::fs::write(flag(&scene.journal), "").expect("touched");
    assert!(hear(&mut journal).postponed);
    request(&scene.journal, Verb::Cutover).expect("said");
    assert!(hear(&mut journal).postponed, "as long as it exists");
    std::fs::remove_file(flag(&scene.journal)).expect("removed");
    let orders = hear(&mut journal);
    assert!(!orders.postponed && !orders.cutover, "{orders:?}");
    // The operator's own word is not taken back by a file that was never there.
    request(&scene.journal, Verb::Postpone).expect("said");
    assert!(hear(&mut journal).postponed && hear(&mut journal).postponed);
    assert_eq!(journal.progress().entries, 3);
}
