//! `certmint plugin test`: what the contract promises of a plug-in, tried with orders of its own.

use crate::cli::{PluginTest, Verdicts};
use crate::clock::SystemClock;
use crate::issuer::plugin::{Plugin, PluginOptions, Promise, Trial};
use crate::issuer::provider::IssuerInput;
use std::process::ExitCode;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Runs the trial and prints a line for each promise. The exit code is 0 where all are kept.
pub async fn plugin_test(test: PluginTest) -> ExitCode {
    let PluginTest { address, tls, issuer, subject, names, timeout, patience, output } = test;
    let mut verdicts = Verdicts::new(output);
    let (ca, certificate, key) = tls.map_or((None, None, None), |(ca, chain, key)| (Some(ca), Some(chain), Some(key)));
    // Its name stands in messages: "The plug-in under test answered".
    let options = PluginOptions { name: "under test".to_owned(), address, ca, certificate, key, timeout };
    let secret = |text: String| Zeroizing::new(text);
    let credentials = issuer.credentials.unwrap_or_default();
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let organization = issuer
        .organization
        .map(|organization| crate::domain::issuer::Organization { id: given(organization.id), ..Default::default() });
    let input = IssuerInput {
        options: issuer.options,
        secrets: issuer.secret_options.into_iter().map(|(name, text)| (name, secret(text))).collect(),
        account_id: given(credentials.account_id),
        password: given(credentials.password).map(secret),
        organization,
        ca: None,
    };
    let new = move || Plugin::new(options.clone());
    let trial = Trial { new: Box::new(new), input, subject, names, patience, clock: Arc::new(SystemClock) };
    trial.run(|Promise { name, kept }| verdicts.add(name, &kept)).await;
    verdicts.end()
}
