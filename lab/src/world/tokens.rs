//! Client tokens: the same token and parameters answer with the same resource.
//! It must not know what is created.

use std::collections::BTreeMap;

use crate::caller::Caller;

/// What was created under which token, per account and region.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens {
    used: BTreeMap<(String, String, String), (String, String)>,
}

/// What a token says about a request.
pub(crate) enum Seen {
    /// It is new.
    New,
    /// It made this resource with the same parameters.
    Same(String),
    /// It was used with other parameters.
    Different,
}

impl Tokens {
    /// Looks a token up; `parameters` is any text that is equal exactly for equal requests.
    pub(crate) fn look(&self, caller: &Caller, token: &str, parameters: &str) -> Seen {
        match self.used.get(&key(caller, token)) {
            None => Seen::New,
            Some((known, id)) if known == parameters => Seen::Same(id.clone()),
            Some(_) => Seen::Different,
        }
    }

    /// Remembers what was created under a token.
    pub(crate) fn remember(&mut self, caller: &Caller, token: &str, parameters: String, id: &str) {
        self.used
            .insert(key(caller, token), (parameters, id.to_owned()));
    }
}

fn key(caller: &Caller, token: &str) -> (String, String, String) {
    (
        caller.account.clone(),
        caller.region.clone(),
        token.to_owned(),
    )
}
