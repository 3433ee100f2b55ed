//! Parameters of the Systems Manager store: one atomic create, read, overwrite and delete.
//! It must not know what they are used for.

use chrono::{DateTime, Utc};

use crate::caller::Caller;
use crate::error::ApiError;

use super::World;

/// A stored parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
    /// 1 at creation, one more with every overwrite.
    pub version: u64,
    /// When it was last written.
    pub last_modified: DateTime<Utc>,
}

impl World {
    /// Writes a parameter of the caller's account and region; returns its version.
    ///
    /// # Errors
    /// `ParameterAlreadyExists` when it exists and `overwrite` is off: the one that is told so did not
    /// create it.
    pub fn put_parameter(
        &mut self,
        caller: &Caller,
        name: &str,
        value: &str,
        kind: &str,
        overwrite: bool,
    ) -> Result<u64, ApiError> {
        let known = self.parameters.get(&key(caller, name));
        if known.is_some() && !overwrite {
            return Err(ApiError::client(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option \
                 in the request to true.",
            ));
        }
        let version = known.map_or(1, |parameter| parameter.version + 1);
        let parameter = Parameter {
            name: name.to_owned(),
            value: value.to_owned(),
            kind: kind.to_owned(),
            version,
            last_modified: self.now,
        };
        self.parameters.insert(key(caller, name), parameter);
        Ok(version)
    }

    /// Reads a parameter.
    ///
    /// # Errors
    /// `ParameterNotFound`.
    pub fn parameter(&self, caller: &Caller, name: &str) -> Result<&Parameter, ApiError> {
        self.parameters
            .get(&key(caller, name))
            .ok_or_else(not_found)
    }

    /// Deletes a parameter.
    ///
    /// # Errors
    /// `ParameterNotFound`.
    pub fn delete_parameter(&mut self, caller: &Caller, name: &str) -> Result<(), ApiError> {
        self.parameters
            .remove(&key(caller, name))
            .map(|_| ())
            .ok_or_else(not_found)
    }
}

fn key(caller: &Caller, name: &str) -> (String, String, String) {
    (
        caller.account.clone(),
        caller.region.clone(),
        name.to_owned(),
    )
}

fn not_found() -> ApiError {
    ApiError::client("ParameterNotFound", "The parameter was not found.")
}
