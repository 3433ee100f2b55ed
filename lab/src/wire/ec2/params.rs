//! Reads EC2's form parameters: flattened lists and nested names. Must not know any action.

use std::str::FromStr;

use crate::error::ApiError;
use crate::wire::form::Form;
use crate::world::Tags;

/// The parameters of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Params<'a> {
    form: &'a Form,
}

impl<'a> Params<'a> {
    pub(super) fn new(form: &'a Form) -> Params<'a> {
        Params { form }
    }

    /// A text, when it is there and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.form.get(name).filter(|text| !text.is_empty())
    }

    /// An owned text, when it is there.
    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name).ok_or_else(|| {
            let message = format!("The request must contain the parameter {name}");
            ApiError::client("MissingParameter", message)
        })
    }

    /// A number or other parsed value, when it is there.
    pub(super) fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| invalid(name, text))
    }

    /// A boolean, when it is there.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(text) => Err(invalid(name, text)),
        }
    }

    /// The list `NAME.1`, `NAME.2`, ...
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let items = (1..).map(|number| self.form.get(&format!("{name}.{number}")));
        items.map_while(|item| item.map(str::to_owned)).collect()
    }

    /// The prefixes `NAME.1.`, `NAME.2.`, ... of a list of structures.
    pub(super) fn structures(&self, name: &str) -> Vec<String> {
        let prefixes = (1..).map(|number| format!("{name}.{number}."));
        prefixes
            .take_while(|prefix| self.form.has_prefix(prefix))
            .collect()
    }

    /// The tags `NAME.N.Key` and `NAME.N.Value`.
    pub(super) fn tags(&self, name: &str) -> Tags {
        let tag = |prefix: String| {
            let value = self.form.get(&format!("{prefix}Value")).unwrap_or_default();
            Some((self.owned(&format!("{prefix}Key"))?, value.to_owned()))
        };
        self.structures(name).into_iter().filter_map(tag).collect()
    }

    /// The tags of `TagSpecification.N` for a type of resource; tags for another type are refused.
    pub(super) fn tag_specification(&self, resource_type: &str) -> Result<Tags, ApiError> {
        let mut tags = Tags::new();
        for prefix in self.structures("TagSpecification") {
            let found = self
                .text(&format!("{prefix}ResourceType"))
                .unwrap_or_default();
            if found != resource_type {
                let message = format!("'{found}' is not a valid taggable resource type here.");
                return Err(ApiError::client("InvalidParameterValue", message));
            }
            tags.extend(self.tags(&format!("{prefix}Tag")));
        }
        Ok(tags)
    }
}

fn invalid(name: &str, text: &str) -> ApiError {
    let message = format!("Value ({text}) for parameter {name} is invalid.");
    ApiError::client("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_structures_and_tags() {
        let form = Form::from_body(
            b"VolumeId.1=a&VolumeId.2=b&TagSpecification.1.ResourceType=snapshot\
              &TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v\
              &TagSpecification.1.Tag.2.Key=empty",
        );
        let params = Params::new(&form);
        assert_eq!(params.list("VolumeId"), ["a", "b"]);
        let tags = params.tag_specification("snapshot").expect("well formed");
        assert_eq!(tags.get("k").map(String::as_str), Some("v"));
        assert_eq!(tags.get("empty").map(String::as_str), Some(""));
        assert!(params.tag_specification("volume").is_err());
    }
}
