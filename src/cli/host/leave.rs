//! Taking the helpers away, by hand or when a migration is final.

use snapmigrate_models::plan::Plan;

use super::super::{CliError, ConnectionArgs, Exit, Ui, channel, execute};
use super::Named;
use crate::quiesce::channel::{Channel, HostError};
use crate::quiesce::protocol::{Leave, LeaveReply};

/// `host remove`.
pub async fn run(named: &Named, ui: &Ui) -> Result<Exit, CliError> {
    let channel = named.channel().await?;
    let reply = channel
        .call(Leave {})
        .await
        .map_err(|error| CliError::failed("the helper was not removed").caused_by(error))?;
    ui.note(&said(&channel, &Ok(reply)));
    Ok(Exit::Done)
}

/// Has the helpers on both hosts of a migration that is final take themselves away. What does not work is told, and
/// changes nothing about the end.
pub async fn leave_hosts(plan: &Plan, connection: &ConnectionArgs, ui: &Ui) {
    if let Err(error) = leave_both(plan, connection, ui).await {
        ui.note(&format!("the helpers on the hosts stay: {error}"));
    }
}

async fn leave_both(plan: &Plan, connection: &ConnectionArgs, ui: &Ui) -> Result<(), CliError> {
    let Some(database) = &plan.policy.database else {
        return Ok(());
    };
    let source = execute::reach("source", connection.source_in(&plan.source.region)).await?;
    let target = execute::reach("target", connection.target(&plan.target.region)).await?;
    for (address, cloud) in [
        (&database.source_host, &source),
        (&database.target_host, &target),
    ] {
        let channel = channel::open(address, cloud)?;
        let reply = channel.call(Leave {}).await;
        ui.note(&said(&channel, &reply));
    }
    Ok(())
}

fn said(channel: &Channel, reply: &Result<LeaveReply, HostError>) -> String {
    let host = channel.name();
    match reply {
        Ok(reply) if reply.kept.is_empty() => format!("the helper on {host} has removed itself"),
        Ok(reply) => format!(
            "the helper on {host} has removed itself; kept: {}",
            reply.kept.join(", ")
        ),
        Err(error) => format!("the helper on {host} stays: {error}"),
    }
}
