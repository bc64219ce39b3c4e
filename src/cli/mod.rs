//! The command line: the client commands, which speak gRPC to a server, and the arguments of `serve`.

mod access;
mod agent;
mod alternative_names;
mod audit;
mod backup;
mod ca;
mod certificates;
mod client_certificate;
mod common_name;
pub(crate) mod connection;
mod contacts;
mod create;
mod data_dir;
mod doctor;
mod export;
pub(crate) mod failure;
mod fingerprint;
mod grants;
mod health;
mod import;
mod installations;
mod issuer;
mod issuer_help;
mod issuer_input;
mod json;
mod key;
mod manage;
mod master_keys;
mod merge;
mod options;
pub(crate) mod output;
mod own_request;
mod pages;
pub(crate) mod pem;
mod pending;
mod plugin;
mod policies;
mod policy;
mod profile;
mod renew;
mod renewals;
mod replaced_file;
mod serve;
mod status;
mod text;
mod tls_probe;
mod token;
mod trust;
mod vault;
mod wait;
mod watch;
pub(crate) mod watcher;
mod webhook;

pub use agent::{AgentArgs, AgentCommand, AgentRunArgs};
pub use audit::VerifyArgs;
pub use doctor::StoreDoctorArgs;
pub use options::{ClientOptions, OutputFormat, Secret};
pub use plugin::{PluginCommand, PluginTest, Verdicts};
pub use serve::{DEFAULT_DATA_DIR, ServeArgs, StoreArgs};

use clap::{CommandFactory, Parser, Subcommand};
use connection::Session;
use failure::{Exit, Result};
use output::Output;
use std::process::ExitCode;

/// A self-hosted certificate service: the server, and a client of its gRPC API.
#[derive(Debug, Parser)]
#[command(
    name = "certmint",
    version,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 in conflict with the present \
                  state, 5 the operation failed, 6 the operation was cancelled, 7 unreachable, too busy or out of time."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The options of client commands.
    #[command(flatten)]
    pub options: ClientOptions,
}

impl Cli {
    /// `doctor --store`, which looks at a store and not at a server.
    pub fn doctor_of_a_store(&self) -> Option<StoreDoctorArgs> {
        match &self.command {
            Command::Client(ClientCommand::Doctor(args)) => args.of_store(self.options.output == OutputFormat::Json),
            _ => None,
        }
    }
}

impl Cli {
    /// `audit verify`, which looks at files and needs no server.
    pub fn audit_of_files(&self) -> Option<VerifyArgs> {
        match &self.command {
            Command::Client(ClientCommand::Audit(command)) => {
                command.of_files(self.options.output == OutputFormat::Json)
            }
            _ => None,
        }
    }
}

/// The commands: one runs the server, the others are its clients.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(Box<ServeArgs>),
    /// Create the tables of a store, or bring them up to date
    Migrate(StoreArgs),
    /// Invalidate all earlier resume tokens; run it after restoring a backup, before the start
    NewEpoch(StoreArgs),
    /// Keep certificates installed on this machine: their files, and the reload of what uses them
    Agent(AgentArgs),
    /// For developers of issuer plug-ins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// A client command.
    #[command(flatten)]
    Client(ClientCommand),
}

/// The commands that [`run_client`] carries out.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Start the creation of a certificate, or of a new version of it
    Create(Box<create::CreateArgs>),
    /// Renew a certificate now, or all of an issuer
    Renew(renew::RenewArgs),
    /// List what is renewed when; pause and resume it
    Renewals(renewals::RenewalsArgs),
    /// List which host has which version of a certificate, as its agents reported it
    Installations(installations::InstallationsArgs),
    /// Show, list, cancel and delete pending operations
    #[command(subcommand)]
    Pending(pending::PendingCommand),
    /// Complete a pending operation with a certificate issued elsewhere
    Merge(merge::MergeArgs),
    /// Import a certificate with its private key
    Import(import::ImportArgs),
    /// Print a certificate with its private key
    Export(export::ExportArgs),
    /// Use the private key on the server
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Print transitions of pending operations as they happen
    Watch(watch::WatchArgs),
    /// Print a certificate
    Get(certificates::GetArgs),
    /// List the certificates of the vault
    List(manage::ListArgs),
    /// List the versions of a certificate, newest first
    Versions(manage::NameArgs),
    /// Change the tags of a certificate, or enable or disable it
    Update(manage::UpdateArgs),
    /// Delete a certificate with all its versions; it can be recovered
    Delete(manage::NameArgs),
    /// Show and list deleted certificates
    #[command(subcommand)]
    Deleted(manage::DeletedCommand),
    /// Recover a deleted certificate
    Recover(manage::NameArgs),
    /// Purge a deleted certificate: it cannot be recovered
    Purge(manage::NameArgs),
    /// Show and change the policy of a certificate
    #[command(subcommand)]
    Policy(policies::PolicyCommand),
    /// Back up a certificate with all versions and keys into an encrypted file
    Backup(backup::BackupArgs),
    /// Restore a certificate from a backup file
    Restore(backup::RestoreArgs),
    /// Show, set and delete the contacts of the vault
    #[command(subcommand)]
    Contacts(contacts::ContactsCommand),
    /// Who I am, and who may do what
    #[command(subcommand)]
    Access(access::AccessCommand),
    /// Bring everything that is stored under the newest master key
    Reseal(master_keys::ResealArgs),
    /// Show what needs which master key
    #[command(subcommand)]
    Keys(master_keys::KeysCommand),
    /// Search, copy and verify the audit ledger
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Vaults
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// Send events of the vault to other programs
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Print the signing request of a pending operation as PEM
    Csr(certificates::CsrArgs),
    /// Set up and manage issuers (certificate authorities)
    #[command(subcommand)]
    Issuer(issuer::IssuerCommand),
    /// The certificate authorities of the server, and what they signed
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// Revoke a certificate that a CA of the server signed
    Revoke(ca::RevokeArgs),
    /// Check the connection to a server, and the server itself
    Doctor(doctor::DoctorArgs),
    /// Ask a server on this machine whether it is alive, or ready: exits with 0 for yes, 1 for no
    Health(health::HealthArgs),
    /// Make bearer tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What this program knows of providers where no server is reached.
pub type KnownProviders = fn() -> Vec<crate::proto::v1::IssuerProvider>;

/// Carries out a client command: results go to standard output, all else to standard error.
/// The exit code says how it ended; `docs/cli.md` lists them.
pub async fn run_client(options: ClientOptions, command: ClientCommand, known: KnownProviders) -> ExitCode {
    let output = Output::new(options.output);
    let ended = match dispatch(&options, command, output, known).await {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure, options.verbose);
            failure.exit
        }
    };
    ended.into()
}

async fn dispatch(
    options: &ClientOptions,
    command: ClientCommand,
    output: Output,
    known: KnownProviders,
) -> Result<Exit> {
    match command {
        // A file is read first: a wrong path needs no server to be found out.
        ClientCommand::Create(args) => {
            let prepared = args.prepare()?;
            create::run(&Session::open(options).await?, output, prepared).await
        }
        ClientCommand::Renew(args) => renew::run(&Session::open(options).await?, output, args).await,
        ClientCommand::Renewals(args) => renewals::run(&Session::open(options).await?, output, args).await,
        ClientCommand::Installations(args) => installations::run(&Session::open(options).await?, output, args).await,
        ClientCommand::Pending(command) => pending::run(&Session::open(options).await?, output, command).await,
        ClientCommand::Merge(args) => {
            let prepared = args.prepare()?;
            merge::run(&Session::open(options).await?, output, prepared).await
        }
        ClientCommand::Import(args) => {
            let prepared = args.prepare()?;
            import::run(&Session::open(options).await?, output, prepared).await
        }
        ClientCommand::Export(args) => export::run(&Session::open(options).await?, output, args).await,
        ClientCommand::Key(command) => key::run(&Session::open(options).await?, output, command).await,
        ClientCommand::Watch(args) => watch::run(&Session::open(options).await?, output, args).await,
        ClientCommand::Get(args) => certificates::get(&Session::open(options).await?, output, args).await,
        ClientCommand::List(args) => manage::list(&Session::open(options).await?, output, args).await,
        ClientCommand::Versions(args) => manage::versions(&Session::open(options).await?, output, args).await,
        ClientCommand::Update(args) => manage::update(&Session::open(options).await?, output, args).await,
        ClientCommand::Delete(args) => manage::delete(&Session::open(options).await?, output, args).await,
        ClientCommand::Deleted(command) => manage::deleted(&Session::open(options).await?, output, command).await,
        ClientCommand::Recover(args) => manage::recover(&Session::open(options).await?, output, args).await,
        ClientCommand::Purge(args) => manage::purge(&Session::open(options).await?, output, args).await,
        ClientCommand::Policy(command) => policies::run(&Session::open(options).await?, output, command).await,
        ClientCommand::Backup(args) => backup::backup(&Session::open(options).await?, output, args).await,
        ClientCommand::Restore(args) => {
            let prepared = args.prepare()?;
            backup::restore(&Session::open(options).await?, output, prepared).await
        }
        ClientCommand::Reseal(args) => master_keys::reseal(&Session::open(options).await?, output, args).await,
        ClientCommand::Keys(command) => master_keys::keys(&Session::open(options).await?, output, command).await,
        ClientCommand::Contacts(command) => contacts::run(&Session::open(options).await?, output, command).await,
        ClientCommand::Access(command) => access::run(&Session::open(options).await?, output, command).await,
        ClientCommand::Audit(command) => audit::run(options, output, command).await,
        ClientCommand::Vault(command) => vault::run(&Session::open(options).await?, output, command).await,
        ClientCommand::Webhook(command) => webhook::run(&Session::open(options).await?, output, command).await,
        ClientCommand::Csr(args) => certificates::csr(&Session::open(options).await?, output, args).await,
        ClientCommand::Issuer(command) => issuer::run(options, output, command, known).await,
        ClientCommand::Ca(command) => ca::run(options, output, command).await,
        ClientCommand::Revoke(args) => ca::revoke(options, output, args).await,
        ClientCommand::Doctor(args) => doctor::run(options, output, args).await,
        ClientCommand::Health(args) => health::run(output, args).await,
        ClientCommand::Token(token::TokenCommand::New(args)) => token::new(output, &args),
        ClientCommand::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "certmint", &mut script);
            output.raw(&script)?;
            Ok(Exit::Done)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_debug_output_of_the_arguments_holds_the_token() {
        let cli = Cli::try_parse_from(["certmint", "--token", "hunter2", "pending", "list"]).unwrap();
        let text = format!("{cli:?}");
        assert!(text.contains("(hidden)") && !text.contains("hunter2"), "{text}");
    }
}
