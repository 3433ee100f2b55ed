//! Where an executor can die: every call that changes something, before it, when the answer is lost and after the
//! answer; each kind of question once in a step, before it and when the answer is lost; every entry of the journal.
//!
//! It must not know what a call does beyond its name.

use std::collections::BTreeSet;

/// Where an executor dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillPoint {
    /// At this call, counted from 1.
    Call(u64, Moment),
    /// As soon as this entry of the journal is durable, counted from 1.
    Entry(u64),
}

/// When something happens to an executor that calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The call is not sent.
    Before,
    /// It has its effect, and the answer is lost.
    During,
    /// It is answered, and the executor has not done anything with the answer.
    After,
}

/// One of the places of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number among all, from 1.
    pub number: u64,
    /// What it is, for people.
    pub what: String,
}

/// The places that a run has passed so far.
#[derive(Debug, Default)]
pub struct Places {
    passed: u64,
    calls: u64,
    entries: u64,
    step: String,
    asked: BTreeSet<(String, String)>,
}

/// A call that is a place.
#[derive(Clone, Debug)]
pub struct Call {
    number: u64,
    what: String,
    moments: &'static [Moment],
}

impl Places {
    /// A call is about to be made; nothing when nobody need die of it.
    pub fn call(&mut self, name: &str) -> Option<Call> {
        self.calls += 1;
        let moments: &[Moment] = if is_question(name) {
            &[Moment::Before, Moment::During]
        } else {
            &[Moment::Before, Moment::During, Moment::After]
        };
        let known = is_question(name) && !self.asked.insert((name.to_owned(), self.step.clone()));
        (!known).then(|| Call {
            number: self.calls,
            what: format!("{name} in {}", self.step),
            moments,
        })
    }

    /// The place of this moment of a call.
    pub fn moment(&mut self, call: &Call, moment: Moment) -> Option<Place> {
        let passes = call.moments.contains(&moment);
        passes.then(|| self.place(KillPoint::Call(call.number, moment), &call.what))
    }

    /// An entry is durable; it may begin a step.
    pub fn entry(&mut self, what: &str, step: Option<String>) -> Place {
        self.entries += 1;
        if let Some(step) = step {
            self.step = step;
        }
        self.place(KillPoint::Entry(self.entries), what)
    }

    fn place(&mut self, point: KillPoint, what: &str) -> Place {
        self.passed += 1;
        Place {
            number: self.passed,
            what: point.name(what),
        }
    }
}

impl Place {
    /// Number and words.
    pub fn name(&self) -> String {
        format!("{}: {}", self.number, self.what)
    }

    /// Whether this is its number or its name.
    pub fn is_called(&self, wanted: &str) -> bool {
        self.number.to_string() == wanted || self.what == wanted || self.name() == wanted
    }
}

impl KillPoint {
    /// For people.
    pub fn name(self, what: &str) -> String {
        match self {
            Self::Call(call, moment) => format!("call {call}, {what}, {}", moment.words()),
            Self::Entry(entry) => format!("journal entry {entry}, {what}"),
        }
    }
}

impl Moment {
    const fn words(self) -> &'static str {
        match self {
            Self::Before => "before it was sent",
            Self::During => "after its effect, before the answer",
            Self::After => "after its answer",
        }
    }
}

/// Asking changes nothing, so a second death at the same question of a step would show nothing new.
fn is_question(name: &str) -> bool {
    const QUESTIONS: [&str; 8] = [
        "Describe",
        "Get",
        "List",
        "GET ",
        "hello",
        "status",
        "inspect",
        "sync_status",
    ];
    QUESTIONS.iter().any(|asked| name.starts_with(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_count_once_a_step_and_changes_always() {
        let mut places = Places::default();
        let first = places.entry("started a", Some("a".to_owned()));
        assert_eq!(first.name(), "1: journal entry 1, started a");
        assert!(first.is_called("1") && first.is_called("journal entry 1, started a"));
        let asked = places.call("DescribeVolumes").expect("the first");
        let before = places.moment(&asked, Moment::Before).expect("a place");
        assert_eq!(
            before.what,
            "call 1, DescribeVolumes in a, before it was sent"
        );
        assert!(places.moment(&asked, Moment::After).is_none());
        assert!(places.call("DescribeVolumes").is_none(), "asked before");
        let made = places.call("CreateVolume").expect("a change");
        assert!(places.call("CreateVolume").is_some(), "another change");
        let after = places.moment(&made, Moment::After).expect("a place");
        assert_eq!(after.number, 3);
        places.entry("started b", Some("b".to_owned()));
        assert!(places.call("DescribeVolumes").is_some(), "another step");
    }
}
