//! Before a migration: are the helpers on both hosts ours, and do the two hosts go together?
//!
//! Only asks; what the answers mean together is said in `snapmigrate_models::check::hosts`.

use super::channel::{Channel, HostError};
use super::protocol::{Hello, HelloReply, KeptPath, SURVEY_ABILITY, Survey};
use snapmigrate_models::check::{Finding, hosts};

/// Version of this tool, which that of a helper must be.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why the hosts cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One of them did not answer.
    #[error(transparent)]
    Host(#[from] HostError),
    /// One of them runs another helper.
    #[error("{0}")]
    Foreign(String),
}

/// Says who is there, and refuses a helper that is not of this version or, when one is expected, not of this digest.
///
/// # Errors
/// [`CompareError`], with what to do.
pub async fn greet(
    host: &Channel,
    expected_sha256: Option<&str>,
) -> Result<HelloReply, CompareError> {
    let hello = host.call(Hello {}).await?;
    match objection(&hello, expected_sha256) {
        None => Ok(hello),
        Some(objection) => Err(CompareError::Foreign(format!(
            "{} {objection}; nothing was changed: install the helper of this version there (snapmigrate host install {})",
            host.name(),
            host.name()
        ))),
    }
}

fn objection(hello: &HelloReply, expected_sha256: Option<&str>) -> Option<String> {
    let able = hello
        .abilities
        .iter()
        .any(|ability| ability == SURVEY_ABILITY);
    if hello.version != VERSION || !able {
        return Some(format!(
            "runs snapmigrate-host {}, this is {VERSION}",
            hello.version
        ));
    }
    let expected = expected_sha256?;
    let found = hello.sha256.as_deref();
    (found != Some(expected)).then(|| {
        format!(
            "runs a snapmigrate-host of digest {}, expected {expected}",
            found.unwrap_or("unknown")
        )
    })
}

/// All findings about both hosts. `kept` are files of this process that must stay writable, when it runs on the
/// source's host itself.
///
/// # Errors
/// [`CompareError`].
pub async fn compare(
    source: &Channel,
    target: &Channel,
    kept: Vec<KeptPath>,
    expected_sha256: Option<&str>,
) -> Result<Vec<Finding>, CompareError> {
    greet(source, expected_sha256).await?;
    greet(target, expected_sha256).await?;
    let kept_on = |host: &Channel| {
        if host.is_local() {
            kept.clone()
        } else {
            Vec::new()
        }
    };
    let ours = source
        .call(Survey {
            files: Vec::new(),
            mountpoints: Vec::new(),
            kept: kept_on(source),
        })
        .await?;
    let asked = Survey {
        files: ours
            .configuration
            .iter()
            .map(|file| file.path.clone())
            .collect(),
        mountpoints: ours
            .places
            .iter()
            .map(|place| place.mountpoint.clone())
            .collect(),
        kept: kept_on(target),
    };
    Ok(hosts::compare(&ours, &target.call(asked).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: &str, sha256: Option<&str>) -> HelloReply {
        HelloReply {
            version: version.to_owned(),
            protocol: 1,
            host: "db1".to_owned(),
            boot_id: "b".to_owned(),
            now: chrono::DateTime::UNIX_EPOCH,
            abilities: vec![SURVEY_ABILITY.to_owned()],
            sha256: sha256.map(str::to_owned),
        }
    }

    #[test]
    fn another_version_or_digest_is_refused() {
        assert_eq!(objection(&hello(VERSION, None), None), None);
        assert_eq!(objection(&hello(VERSION, Some("aa")), Some("aa")), None);
        let words = |hello: HelloReply, expected| objection(&hello, expected).unwrap_or_default();
        assert!(words(hello("0.0.1", Some("aa")), Some("aa")).contains("0.0.1"));
        assert!(words(hello(VERSION, Some("bb")), Some("aa")).contains("digest bb"));
        assert!(words(hello(VERSION, None), Some("aa")).contains("digest unknown"));
        let mut old = hello(VERSION, None);
        old.abilities.clear();
        assert!(words(old, None).contains("this is"));
    }
}
