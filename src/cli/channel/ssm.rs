//! The helper of an instance through SSM RunCommand: one command a request, for hosts that nobody can log in to.

use std::sync::Arc;
use std::time::Duration;

use snapmigrate_models::step::FailureClass;

use crate::cloud::{Cloud, CloudError, CommandOutput};
use crate::quiesce::channel::{Carrier, CarryError, Channel};
use crate::quiesce::host::config::DEFAULT_SOCKET;
use crate::quiesce::parcel::{pack, unpack};

/// The longest operation of the protocol, a checkpoint, takes two hours.
const LIMIT: Duration = Duration::from_secs(7500);

/// Exit code of a helper that could not be asked: nothing was done.
const NOT_ASKED: i32 = 69;

/// Opens `INSTANCE[/SOCKET]` over the clients of its account and region.
pub fn open(address: &str, cloud: &Cloud, client: String) -> Result<Channel, String> {
    let (instance, socket) = match address.find('/') {
        Some(at) => address.split_at(at),
        None => (address, DEFAULT_SOCKET),
    };
    let plain = |text: &str, more: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    if !(instance.starts_with("i-") || instance.starts_with("mi-")) || !plain(instance, "-") {
        return Err(format!("{instance:?} is no instance"));
    }
    if !plain(socket, "/._-") {
        return Err(format!("{socket:?} is no path to a socket"));
    }
    let way = Arc::new(Way {
        cloud: cloud.clone(),
        instance: instance.to_owned(),
        socket: socket.to_owned(),
    });
    let carrier: Carrier = Arc::new(move |line| {
        let way = Arc::clone(&way);
        Box::pin(async move { way.carry(&line).await })
    });
    Ok(Channel::carried(format!("ssm:{address}"), client, carrier))
}

struct Way {
    cloud: Cloud,
    instance: String,
    socket: String,
}

impl Way {
    async fn carry(&self, line: &str) -> Result<String, CarryError> {
        let request = pack(line).map_err(|error| never_sent(error.to_string()))?;
        let command = format!(
            "PATH=$PATH:/usr/local/sbin; exec snapmigrate-host ask --socket {} {request}",
            self.socket
        );
        match self
            .cloud
            .run_command(&self.instance, &command, LIMIT)
            .await
        {
            Ok(ended) => read(&ended),
            Err(error) => Err(lost(&error)),
        }
    }
}

fn read(ended: &CommandOutput) -> Result<String, CarryError> {
    if ended.code == 0 {
        return unpack(&ended.output).map_err(|error| CarryError {
            reason: error.to_string(),
            sent: true,
            passes: false,
        });
    }
    let reason = format!(
        "the command ended with {} ({}): {}",
        ended.code,
        ended.status,
        ended.error.trim()
    );
    // 127: the shell found no helper.
    if matches!(ended.code, NOT_ASKED | 127) || !ended.may_have_run() {
        return Err(never_sent(reason));
    }
    Err(CarryError {
        reason,
        sent: true,
        passes: true,
    })
}

fn never_sent(reason: String) -> CarryError {
    CarryError {
        reason,
        sent: false,
        passes: false,
    }
}

fn lost(error: &CloudError) -> CarryError {
    CarryError {
        reason: error.to_string(),
        sent: error.class == FailureClass::Unknown,
        passes: matches!(error.class, FailureClass::Unknown | FailureClass::Transient),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn ended(code: i32, status: &str, output: &str) -> CommandOutput {
        CommandOutput {
            code,
            status: status.to_owned(),
            output: output.to_owned(),
            error: "e".to_owned(),
        }
    }

    #[test]
    fn an_answer_is_unpacked_and_an_end_says_whether_anything_was_done() {
        assert_eq!(
            read(&ended(0, "Success", &pack("{}").unwrap())).unwrap(),
            "{}"
        );
        let error = |code, status| read(&ended(code, status, "")).unwrap_err();
        assert!(!error(NOT_ASKED, "Failed").sent);
        assert!(!error(127, "Failed").sent);
        assert!(!error(-1, "Undeliverable").sent);
        assert!(error(-1, "Execution Timed Out").sent);
        assert!(error(1, "Failed").sent && error(1, "Failed").passes);
        let cut = read(&ended(0, "Success", "H4sI")).unwrap_err();
        assert!(cut.sent && !cut.passes, "{cut:?}");
    }
}
