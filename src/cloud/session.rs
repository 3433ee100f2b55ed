//! Credentials that somebody else obtained: kept in memory, renewed while calls go on.

use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};

use super::Session;

/// A session that can be replaced by a newer one at any time; every call signs with the newest.
#[derive(Clone, Debug)]
pub struct SharedSession(Arc<Mutex<Session>>);

impl SharedSession {
    /// Begins with `session`.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self(Arc::new(Mutex::new(session)))
    }

    /// Signs with `session` from now on.
    pub fn renew(&self, session: Session) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }

    fn credentials(&self) -> Credentials {
        let session = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Credentials::new(
            session.access_key_id.clone(),
            session.secret_access_key.clone(),
            Some(session.session_token.clone()),
            Some(session.expires_at.into()),
            "handed",
        )
    }
}

impl ProvideCredentials for SharedSession {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Ok(self.credentials()))
    }
}
