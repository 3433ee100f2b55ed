//! Sharing snapshots with other accounts. It must not know any wire format.

use crate::caller::Caller;
use crate::error::ApiError;

use super::keys::is_aws_managed;
use super::{Snapshot, World};

/// Most changes in one ModifySnapshotAttribute (EC2 API reference).
const MAX_CHANGES: usize = 500;

/// ModifySnapshotAttribute of createVolumePermission. `all` among the accounts means everyone.
#[derive(Debug, Clone, Default)]
pub struct ShareRequest {
    /// The snapshot.
    pub snapshot: String,
    /// Accounts to add.
    pub add: Vec<String>,
    /// Accounts to remove.
    pub remove: Vec<String>,
}

impl World {
    /// Whether ModifySnapshotAttribute would be accepted now.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`, `UnauthorizedOperation`, `InvalidParameterCombination`,
    /// `InvalidParameterValue`, `InvalidParameter` (encrypted with the AWS managed key, or public and
    /// encrypted).
    pub fn check_share(&self, caller: &Caller, request: &ShareRequest) -> Result<(), ApiError> {
        let snapshot = self.own_snapshot(caller, &request.snapshot)?;
        if !request.add.is_empty() && !request.remove.is_empty() {
            let message = "You can't add and remove permissions in the same request.";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        let changed = || request.add.iter().chain(&request.remove);
        if changed().count() == 0 || changed().count() > MAX_CHANGES {
            let message = "Name between 1 and 500 accounts to add or to remove.";
            return Err(ApiError::client("InvalidParameterValue", message));
        }
        let known = |id: &String| id == "all" || (id.len() == 12 && digits(id));
        if let Some(bad) = changed().find(|id| !known(id)) {
            let message = format!("The user ID '{bad}' is malformed.");
            return Err(ApiError::client("InvalidUserID.Malformed", message));
        }
        check_key(snapshot, request)
    }

    /// Adds or removes accounts that may create volumes from a snapshot.
    ///
    /// # Errors
    /// As [`World::check_share`].
    pub fn share_snapshot(
        &mut self,
        caller: &Caller,
        request: &ShareRequest,
    ) -> Result<(), ApiError> {
        self.check_share(caller, request)?;
        let snapshot = self
            .snapshots
            .get_mut(&request.snapshot)
            .expect("checked before");
        snapshot.permissions.extend(request.add.iter().cloned());
        for account in &request.remove {
            snapshot.permissions.remove(account);
        }
        Ok(())
    }
}

fn check_key(snapshot: &Snapshot, request: &ShareRequest) -> Result<(), ApiError> {
    let Some(key) = snapshot.kms_key.as_deref() else {
        return Ok(());
    };
    if request.add.is_empty() {
        return Ok(());
    }
    if is_aws_managed(key) {
        let message = "Encrypted snapshots with EBS default key cannot be shared";
        return Err(ApiError::client("OperationNotPermitted", message));
    }
    if request.add.iter().any(|account| account == "all") {
        let message = "Encrypted snapshots cannot be public.";
        return Err(ApiError::client("OperationNotPermitted", message));
    }
    Ok(())
}

fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
