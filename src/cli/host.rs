//! `host`: the helper on a database host: install it, look at it, take it away.

mod install;
mod leave;

pub use leave::leave_hosts;

use snapmigrate_models::ids::Region;

use super::{CliError, ConnectionArgs, Exit, Ui, channel, execute, runtime};
use crate::quiesce::channel::Channel;
use crate::quiesce::protocol::{Hello, Status};

/// The helper on a database host.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "HOST is a channel as in the policy: unix:PATH on this machine, ssh:[USER@]HOST[:PORT][/SOCKET],
ssm:INSTANCE[/SOCKET], exec:COMMAND ARG...

Examples:
  snapmigrate host install ssh:root@db1 --config db1.toml
  snapmigrate host show ssh:root@db1
  snapmigrate host remove ssh:root@db1"
)]
pub struct Args {
    #[command(subcommand)]
    verb: HostVerb,
}

#[derive(Debug, clap::Subcommand)]
enum HostVerb {
    Install(install::Install),
    /// Show who answers there, its digest, fence, freeze and database.
    Show(Named),
    /// Have the helper remove what was installed, and itself; the record of a permanent fence stays.
    Remove(Named),
}

/// Which host.
#[derive(Debug, clap::Args)]
struct Named {
    /// Channel to the host.
    host: String,
    /// Region of an instance that is reached by SSM [default: the profile's].
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Does what is asked.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    match &args.verb {
        HostVerb::Install(args) => install::run(args, ui),
        HostVerb::Show(named) => runtime::network(show(named, ui))?,
        HostVerb::Remove(named) => runtime::network(leave::run(named, ui))?,
    }
}

impl Named {
    async fn channel(&self) -> Result<Channel, CliError> {
        let mut connection = self.connection.source();
        // Only SSM needs a region; the clients cannot be made without one.
        let region = self.region.as_ref().map(ToString::to_string);
        let fallback = (!self.host.starts_with("ssm:")).then(|| "us-east-1".to_owned());
        connection.region = connection.region.or(region).or(fallback);
        channel::open(&self.host, &execute::reach("host's", connection).await?)
    }
}

async fn show(named: &Named, ui: &Ui) -> Result<Exit, CliError> {
    let channel = named.channel().await?;
    let hello = channel.call(Hello {}).await.map_err(unreachable)?;
    let status = channel.call(Status {}).await.map_err(unreachable)?;
    let shown = serde_json::json!({ "hello": hello, "status": status });
    ui.json(&shown)?;
    Ok(Exit::Done)
}

fn unreachable(error: crate::quiesce::channel::HostError) -> CliError {
    CliError::failed("the helper did not answer as it should").caused_by(error)
}
