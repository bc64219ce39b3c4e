//! The arguments of `certmint agent`; the agent carries them out.

use std::path::PathBuf;

/// Arguments of `certmint agent`.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AgentArgs {
    #[command(subcommand)]
    pub command: Option<AgentCommand>,

    #[command(flatten)]
    pub run: AgentRunArgs,
}

/// Arguments of the agent itself.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentRunArgs {
    /// The configuration file of the agent
    #[arg(long, value_name = "FILE", env = "CERTMINT_AGENT_CONFIG", default_value = "agent.toml")]
    pub config: PathBuf,

    /// Install every certificate once and exit; fails where one could not be installed in time (--timeout, or
    /// initial_sync_timeout of the file)
    #[arg(long)]
    pub once: bool,

    /// End with an error if not every certificate could be installed after the start, within initial_sync_timeout
    #[arg(long)]
    pub require_initial_sync: bool,
}

/// What can be asked of an agent that runs on this machine.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum AgentCommand {
    /// Have the running agent install a certificate now, and its reload run, even if nothing has changed
    Refresh {
        /// The certificate, as the configuration names it; VAULT/NAME where several vaults have the name
        name: String,

        /// The configuration file of the agent
        #[arg(long, value_name = "FILE", env = "CERTMINT_AGENT_CONFIG", default_value = "agent.toml")]
        config: PathBuf,
    },
}
