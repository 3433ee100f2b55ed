//! Tags and the rules for them. It must not know what is tagged.

use std::collections::BTreeMap;

use crate::caller::Caller;
use crate::error::ApiError;

use super::World;

/// Tags of one resource.
pub type Tags = BTreeMap<String, String>;

/// Most tags on one resource (EC2 user guide, tag restrictions).
const MAX_TAGS: usize = 50;

/// Checks tags against EC2's restrictions: at most 50, keys to 127 and values to 255 characters, no
/// `aws:` prefix.
pub(crate) fn check(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > MAX_TAGS {
        let message = format!("Maximum number of tags, {MAX_TAGS}, exceeded.");
        return Err(ApiError::client("TagLimitExceeded", message));
    }
    for (key, value) in tags {
        if key.is_empty() || key.starts_with("aws:") {
            let message = format!("Tag keys starting with 'aws:' are reserved: '{key}'.");
            return Err(ApiError::client("InvalidParameterValue", message));
        }
        if key.chars().count() > 127 || value.chars().count() > 255 {
            let message = format!("Tag '{key}' exceeds the maximum length.");
            return Err(ApiError::client("InvalidParameterValue", message));
        }
    }
    Ok(())
}

impl World {
    /// Adds or overwrites tags of the caller's volumes, snapshots or instances.
    ///
    /// # Errors
    /// `Invalid*.NotFound`, `TagLimitExceeded`, `InvalidParameterValue`.
    pub fn create_tags(
        &mut self,
        caller: &Caller,
        ids: &[String],
        tags: &Tags,
    ) -> Result<(), ApiError> {
        self.check_tags(caller, ids, tags)?;
        for id in ids {
            self.tags_mut(caller, id)?.extend(tags.clone());
        }
        Ok(())
    }

    /// Whether CreateTags would be accepted now.
    ///
    /// # Errors
    /// As [`World::create_tags`].
    pub fn check_tags(&self, caller: &Caller, ids: &[String], tags: &Tags) -> Result<(), ApiError> {
        for id in ids {
            let mut merged = self.tags_of(caller, id)?.clone();
            merged.extend(tags.clone());
            check(&merged)?;
        }
        Ok(())
    }

    fn tags_of(&self, caller: &Caller, id: &str) -> Result<&Tags, ApiError> {
        match id.split_once('-').map(|(kind, _)| kind) {
            Some("snap") => self.own_snapshot(caller, id).map(|snapshot| &snapshot.tags),
            Some("vol") => self.own_volume(caller, id).map(|volume| &volume.tags),
            _ => self.own_instance(caller, id).map(|instance| &instance.tags),
        }
    }

    fn tags_mut(&mut self, caller: &Caller, id: &str) -> Result<&mut Tags, ApiError> {
        if id.starts_with("snap-") {
            self.own_snapshot(caller, id)?;
            return Ok(&mut self.snapshots.get_mut(id).expect("found just before").tags);
        }
        if id.starts_with("vol-") {
            self.own_volume(caller, id)?;
            return Ok(&mut self.volumes.get_mut(id).expect("found just before").tags);
        }
        self.own_instance(caller, id)?;
        Ok(&mut self.instances.get_mut(id).expect("found just before").tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_tags_are_enough() {
        let tags: Tags = (0..51).map(|n| (format!("k{n}"), String::new())).collect();
        assert_eq!(check(&tags).expect_err("51 tags").code, "TagLimitExceeded");
        let tags = Tags::from([("aws:x".to_owned(), String::new())]);
        assert_eq!(
            check(&tags).expect_err("reserved").code,
            "InvalidParameterValue"
        );
    }
}
