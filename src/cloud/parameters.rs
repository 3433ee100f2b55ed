//! Parameters of SSM: creating one without overwriting is atomic, so of two that try one succeeds.

use super::error::classify;
use super::{Cloud, CloudError};

impl Cloud {
    /// Creates a parameter; false when there is one of that name.
    ///
    /// A lost answer is tried again by the SDK and may then read false for what this call made: compare the value.
    ///
    /// # Errors
    /// [`CloudError`], `Permanent` when the role may not.
    pub async fn create_parameter(&self, name: &str, value: &str) -> Result<bool, CloudError> {
        let request = self.ssm.put_parameter().name(name).value(value);
        let request = request
            .r#type(aws_sdk_ssm::types::ParameterType::String)
            .overwrite(false);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match classify("PutParameter", name, &error) {
                exists if exists.code == "ParameterAlreadyExists" => Ok(false),
                other => Err(other),
            },
        }
    }

    /// Value of a parameter, when there is one.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn parameter(&self, name: &str) -> Result<Option<String>, CloudError> {
        const CALL: &str = "GetParameter";
        match self.ssm.get_parameter().name(name).send().await {
            Ok(answer) => {
                let value = answer.parameter().and_then(|found| found.value());
                let value = value.ok_or_else(|| CloudError::incomplete(CALL, name, "value"))?;
                Ok(Some(value.to_owned()))
            }
            Err(error) => match classify(CALL, name, &error) {
                absent if is_absent(&absent) => Ok(None),
                other => Err(other),
            },
        }
    }

    /// Deletes a parameter; one that is not there is as good.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn delete_parameter(&self, name: &str) -> Result<(), CloudError> {
        match self.ssm.delete_parameter().name(name).send().await {
            Ok(_) => Ok(()),
            Err(error) => match classify("DeleteParameter", name, &error) {
                absent if is_absent(&absent) => Ok(()),
                other => Err(other),
            },
        }
    }
}

fn is_absent(error: &CloudError) -> bool {
    error.code == "ParameterNotFound"
}
