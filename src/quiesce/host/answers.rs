//! The last answer to each client that may ask again because it did not get it: nothing is done twice for that.
//!
//! In memory only: after a restart of the helper a repeated request is carried out as a new one, which each operation
//! bears, as it names its epoch or freeze. It must not know what the operations do.

use crate::quiesce::protocol::{ErrorCode, Op, Refusal, Request};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Clients remembered; each run of an executor is one per host.
const MOST_CLIENTS: usize = 64;

type Answer = Result<Value, Refusal>;

/// The last request of a client.
struct Last {
    id: u64,
    /// None while it is being carried out.
    answer: Option<Answer>,
    /// Orders clients by their last request.
    number: u64,
}

#[derive(Default)]
struct Known {
    clients: BTreeMap<String, Last>,
    requests: u64,
}

/// Answers by client.
#[derive(Default)]
pub struct Answers {
    known: Mutex<Known>,
    answered: Condvar,
}

impl Answers {
    /// Carries a request out, unless it was carried out before: then its answer is said again, once it is there.
    ///
    /// # Errors
    /// What `carry_out` says, or `bad_request` for a request that a later one of the same client has overtaken.
    pub fn once(&self, request: Request, carry_out: impl FnOnce(Op) -> Answer) -> Answer {
        let Some(client) = request.client else {
            return carry_out(request.op);
        };
        if let Some(before) = self.begin(&client, request.id) {
            return before;
        }
        let answer = carry_out(request.op);
        if let Some(last) = self
            .known()
            .clients
            .get_mut(&client)
            .filter(|last| last.id == request.id)
        {
            last.answer = Some(answer.clone());
        }
        self.answered.notify_all();
        answer
    }

    /// The answer that was given before; none when the request is a new one, which is then noted.
    fn begin(&self, client: &str, id: u64) -> Option<Answer> {
        let mut known = self.known();
        loop {
            match known.clients.get(client) {
                Some(last) if last.id > id => return Some(Err(overtaken(id, last.id))),
                Some(last) if last.id == id => match &last.answer {
                    Some(answer) => return Some(answer.clone()),
                    None => {
                        known = self
                            .answered
                            .wait(known)
                            .unwrap_or_else(PoisonError::into_inner)
                    }
                },
                _ => break,
            }
        }
        known.note(client, id);
        None
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn note(&mut self, client: &str, id: u64) {
        self.requests += 1;
        let last = Last {
            id,
            answer: None,
            number: self.requests,
        };
        self.clients.insert(client.to_owned(), last);
        if self.clients.len() > MOST_CLIENTS {
            let oldest = self
                .clients
                .iter()
                .min_by_key(|(_, last)| last.number)
                .map(|(name, _)| name.clone());
            if let Some(name) = oldest {
                self.clients.remove(&name);
            }
        }
    }
}

/// It was late on its way; whoever sent it has given it up and gone on.
fn overtaken(id: u64, last: u64) -> Refusal {
    let message = format!(
        "request {id} came after request {last} of the same executor: it is not carried out"
    );
    Refusal::new(ErrorCode::BadRequest, message)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::quiesce::protocol::Status;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::thread;

    fn request(client: Option<&str>, id: u64) -> Request {
        Request {
            id,
            op: Op::from(Status {}),
            client: client.map(str::to_owned),
            epoch: None,
        }
    }

    fn counting(count: &AtomicU64) -> Answer {
        Ok(Value::from(count.fetch_add(1, Ordering::SeqCst) + 1))
    }

    #[test]
    fn a_request_that_comes_again_is_answered_and_not_carried_out_again() {
        let (answers, count) = (Answers::default(), AtomicU64::new(0));
        let ask = |client, id| answers.once(request(client, id), |_| counting(&count));
        assert_eq!(ask(Some("a"), 1).unwrap(), 1);
        assert_eq!(ask(Some("a"), 1).unwrap(), 1);
        assert_eq!(
            ask(Some("b"), 1).unwrap(),
            2,
            "another client's numbers are its own"
        );
        assert_eq!(ask(Some("a"), 2).unwrap(), 3);
        assert_eq!(
            ask(Some("a"), 1).unwrap_err().code,
            ErrorCode::BadRequest,
            "overtaken"
        );
        assert_eq!(ask(None, 1).unwrap(), 4);
        assert_eq!(
            ask(None, 1).unwrap(),
            5,
            "a connection that is kept never asks again"
        );
    }

    #[test]
    fn a_request_that_comes_again_while_it_is_carried_out_waits_for_its_answer() {
        let (answers, count) = (Arc::new(Answers::default()), Arc::new(AtomicU64::new(0)));
        let (begun, wait_begun) = mpsc::channel();
        let (go_on, wait_go_on) = mpsc::channel::<()>();
        let first = {
            let (answers, count) = (Arc::clone(&answers), Arc::clone(&count));
            thread::spawn(move || {
                answers.once(request(Some("a"), 7), |_| {
                    begun.send(()).unwrap();
                    wait_go_on.recv().unwrap();
                    counting(&count)
                })
            })
        };
        wait_begun.recv().unwrap();
        let second = {
            let (answers, count) = (Arc::clone(&answers), Arc::clone(&count));
            thread::spawn(move || answers.once(request(Some("a"), 7), |_| counting(&count)))
        };
        go_on.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap(), 1);
        assert_eq!(second.join().unwrap().unwrap(), 1);
    }

    #[test]
    fn old_clients_are_forgotten() {
        let (answers, count) = (Answers::default(), AtomicU64::new(0));
        for client in 0..MOST_CLIENTS + 8 {
            answers
                .once(request(Some(&client.to_string()), 1), |_| counting(&count))
                .unwrap();
        }
        assert_eq!(answers.known().clients.len(), MOST_CLIENTS);
        assert!(!answers.known().clients.contains_key("0"));
    }
}
