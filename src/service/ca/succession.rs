//! The next CA of an issuer, made before the present one ends: a job of the record of the authority that signs. Everything
//! that it makes is committed with the issuer object as it was read, so that two replicas never make two.

use super::CertificateAuthorities;
use super::generations::Generations;
use super::making::{NewAuthority, Parent};
use super::revoked_above::revoked_above;
use crate::domain::authority::{AuthorityRecord, AuthorityState};
use crate::domain::subject::DistinguishedName;
use crate::domain::succession::{Succession, USUAL_LEAF};
use crate::domain::{Blob, Error, IssuerConfig, IssuerName, Reason, Result, Timestamp};
use crate::keys::Caller;
use crate::keys::authority::{self, Signer};
use crate::service::context::Context;
use crate::service::issuers::{Authorities, place, profiles_of, signs};
use crate::service::records::{Kind, Scan, key, shown};
use crate::store::{Batch, Put, Record};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Makes the next authorities of issuers, and lets them sign.
#[derive(Clone)]
pub(in crate::service) struct Successions {
    context: Arc<Context>,
    authorities: Authorities,
    generations: Generations,
}

/// Who can sign the certificate of the next one.
enum Successor {
    Parent(Parent),
    /// The CA of this issuer, once another one has taken its place: what it signs ends with it, at this time.
    Later(IssuerName, Timestamp),
    /// Nobody here: the key of its root is not there any more.
    Nobody,
}

/// The authorities of an issuer at one time.
struct Line {
    config: IssuerConfig,
    active: AuthorityRecord,
    times: Succession,
    waiting: Option<AuthorityRecord>,
}

impl CertificateAuthorities {
    /// Lets the worker look at the authorities that sign or wait: those of versions that looked at none are not due.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn begin_successions(&self) -> Result<()> {
        if !self.context.options.ca.next_ca {
            return Ok(());
        }
        let mut scan = Scan::new(&*self.context.store, Kind::Authority.prefix());
        while let Some(page) = scan.next().await? {
            for Record { key, revision, body, due } in page {
                let record = Record { key, revision, body, due };
                if record.due.is_some() {
                    continue;
                }
                let Ok(authority) = self.context.records.read::<AuthorityRecord>(&record) else { continue };
                if is_looked_at(&authority) {
                    let Record { key, revision, body, due: _ } = record;
                    let put = Put { key, expected: Some(revision), body, due: Some(self.context.now()) };
                    self.context.try_commit(Batch { puts: vec![put], ..Batch::default() }).await?;
                }
            }
        }
        Ok(())
    }
}

impl Successions {
    pub(in crate::service) fn new(context: Arc<Context>, authorities: Authorities) -> Self {
        let generations = Generations::new(context.clone(), authorities.clone());
        Self { context, authorities, generations }
    }

    /// Looks at an authority that signs or waits: makes the next one when it is time, lets it sign when it is time, and
    /// says what a person has to do.
    pub(in crate::service) async fn look(&self, record: &Record, authority: AuthorityRecord) -> Result<()> {
        let now = self.context.now();
        let mut again = self.context.options.ca.next_ca.then(|| now.plus(DAY)).filter(|_| is_looked_at(&authority));
        if again.is_some() && authority.state() == AuthorityState::Requested {
            tracing::warn!(
                vault = %authority.vault, issuer = %authority.issuer, generation = authority.generation,
                "a CA waits for the certificate that another CA signs (certmint ca csr, certmint ca install)"
            );
        } else if again.is_some()
            && let all = self.authorities.readable_of(&authority.vault).await?.records
            && let Some(line) = line(&self.context, &all, &authority).await?
        {
            // One that is to be made now is there in a moment.
            let made = line.waiting.as_ref().map_or(now, |next| next.created);
            again = Some(line.times.next_look(now, Some(made).filter(|_| now >= line.times.made)));
            if self.advance(line, now).await? {
                // The record was written, or is looked at again when its lease ends.
                return Ok(());
            }
        }
        let puts = vec![self.context.records.replace(record, &authority, again)?];
        self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ())
    }

    /// Takes the step that is due; whether another authority signs now, or somebody else was faster.
    async fn advance(&self, line: Line, now: Timestamp) -> Result<bool> {
        let Line { active, times, waiting, .. } = &line;
        let (vault, issuer) = (&active.vault, &active.issuer);
        match waiting {
            None if now >= times.made => self.make(&line).await.map(|()| false),
            None => Ok(false),
            Some(next) if next.state() == AuthorityState::Requested => {
                if now >= times.made {
                    tracing::warn!(%vault, %issuer, "the CA of an issuer comes to its end, and the request for the next one waits (certmint ca csr, certmint ca install)");
                }
                Ok(false)
            }
            Some(next) if now < times.signs_when_made(next.created) => Ok(false),
            Some(next) if !is_believed(active, next) => {
                tracing::warn!(%vault, %issuer, "the CA of an issuer comes to its end: the next one has another root that no earlier one vouches for; distribute it, and activate it (certmint ca activate)");
                Ok(false)
            }
            Some(next) if shown(revoked_above(&self.context, vault, &next.chain).await)?.is_some() => {
                tracing::warn!(%vault, %issuer, "the CA of an issuer comes to its end, and the next one was revoked by the CA above it: retire it (certmint ca retire), and make another one (certmint ca create)");
                Ok(false)
            }
            Some(next) => self.activate(next).await,
        }
    }

    async fn make(&self, line: &Line) -> Result<()> {
        let Line { active, config, .. } = line;
        let (vault, issuer) = (&active.vault, &active.issuer);
        let parent = match successor(&self.context, line).await? {
            Successor::Parent(parent) => parent,
            Successor::Later(parent, ends) => {
                let ends = ends.date();
                tracing::warn!(%vault, %issuer, %parent, %ends, "the CA of an issuer comes to its end, and so does the one that signs it: the next one is made once that one was followed by another one");
                return Ok(());
            }
            Successor::Nobody => {
                tracing::warn!(%vault, %issuer, "the CA of an issuer comes to its end, and nothing here can sign the next one: make one (certmint ca create)");
                return Ok(());
            }
        };
        let signer = active.chain.first().ok_or_else(Error::internal)?;
        let read = Signer::read(&signer.0)?;
        let wanted = NewAuthority {
            vault: vault.clone(),
            issuer: config.name.clone(),
            parent: parent.clone(),
            // Of this name, with the next number.
            subject: Some(DistinguishedName::parse(&authority::subject_of(&signer.0)?)?),
            key_type: read.key_type()?,
            validity_months: read.validity_months(),
        };
        match self.generations.make(&Caller::server(), wanted).await {
            Ok(made) if parent == Parent::External => {
                let subject = made.authority.subject;
                tracing::warn!(%vault, %issuer, subject, "the CA of an issuer comes to its end: the request for the next one waits (certmint ca csr, certmint ca install)");
            }
            Ok(made) => {
                let (subject, authority) = (made.authority.subject, made.authority.id);
                tracing::info!(%vault, %issuer, subject, authority, "made the next CA of an issuer: it signs when it was announced");
                for warning in made.warnings {
                    tracing::warn!(%vault, %issuer, "{warning}");
                }
            }
            // Another replica, or a person, was faster.
            Err(error) if error.reason == Reason::IssuerInUse => {}
            Err(error) if error.reason == Reason::BadParameter => {
                tracing::warn!(%vault, %issuer, %error, "the next CA of an issuer cannot be made: make one (certmint ca create)");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn activate(&self, next: &AuthorityRecord) -> Result<bool> {
        let (vault, issuer) = (&next.vault, &next.issuer);
        // The object before the authority: whoever activates meanwhile changes it.
        let object = self.generations.object(vault, issuer).await?;
        let place = place(vault, &next.chain).ok_or_else(Error::internal)?;
        let Some((record, next)) = self.context.load(&place).await? else { return Ok(false) };
        if next.state() != AuthorityState::Next {
            return Ok(true);
        }
        let signs = self.generations.settle(Some(&record), next, object).await?;
        if let Some(signs) = &signs {
            tracing::info!(%vault, %issuer, subject = signs.subject, authority = signs.id, "the next CA of an issuer signs from now on");
        }
        Ok(true)
    }
}

fn is_looked_at(authority: &AuthorityRecord) -> bool {
    matches!(authority.state(), AuthorityState::Active | AuthorityState::Requested)
}

/// The authorities of an issuer, if this one signs for it.
async fn line(context: &Context, all: &[AuthorityRecord], active: &AuthorityRecord) -> Result<Option<Line>> {
    let found = context.load(&key::issuer(&active.vault, &active.issuer)).await?;
    let Some((_, config)) = found else { return Ok(None) };
    let signs = config.ca().is_some_and(|held| held.chain.first() == active.chain.first());
    let Some(signer) = active.chain.first().filter(|_| signs) else { return Ok(None) };
    let signer = Signer::read(&signer.0)?;
    let signs_cas = all.iter().any(|it| it.chain.get(1) == active.chain.first());
    let longest = match profiles_of(&config)?.longest() {
        // Another half of its life, whatever they say: a CA below it lives as long as it can.
        _ if signs_cas => Duration::MAX,
        Some(limit) => limit.into(),
        None => USUAL_LEAF,
    };
    let times = Succession::of(signer.not_before(), signer.not_after(), longest, context.options.ca.announce);
    let waiting = all.iter().find(|it| it.issuer == active.issuer && it.waits()).cloned();
    Ok(Some(Line { config, active: active.clone(), times, waiting }))
}

async fn successor(context: &Context, line: &Line) -> Result<Successor> {
    let Line { active, config, times, .. } = line;
    let Some(Blob(above)) = active.chain.get(1) else {
        let root = active.chain.first().map(|der| authority::is_self_issued(&der.0));
        let parent = if root == Some(true) { Parent::OwnRoot } else { Parent::External };
        return Ok(Successor::Parent(parent));
    };
    if let Some(id) = authority::identifier(above)
        && let Some((_, parent)) = context.load(&key::authority(&active.vault, &id)).await?
    {
        let found = context.load(&key::issuer(&active.vault, &parent.issuer)).await?;
        let held = found.as_ref().and_then(|(_, found)| found.ca()).and_then(|held| held.chain.first());
        let Some(signer) = held else { return Ok(Successor::Nobody) };
        let ends = Signer::read(&signer.0)?.not_after();
        return Ok(match times.is_outlived_by(ends) {
            true => Successor::Parent(Parent::Issuer(parent.issuer)),
            false => Successor::Later(parent.issuer, ends),
        });
    }
    // Of the record a version before may have left it out, and of the object none does.
    let is_external = active.above.external || config.options.get("parent").is_some_and(|parent| parent == "external");
    Ok(if is_external { Successor::Parent(Parent::External) } else { Successor::Nobody })
}

/// Whether clients of the present one believe what the next one signs: they have the root of the present one, so a
/// certificate by which another root vouches does not help them.
fn is_believed(active: &AuthorityRecord, next: &AuthorityRecord) -> bool {
    let Some(root) = active.chain.last() else { return false };
    next.chain.last() == Some(root) || next.above.cross.as_ref().is_some_and(|cross| signs(root, cross))
}

/// What people have to know of the authorities of an issuer, among all of its vault: that a request waits, or that the end
/// of one comes.
pub(in crate::service) async fn notices(
    context: &Context,
    all: &[AuthorityRecord],
    issuer: &IssuerName,
) -> Result<Vec<String>> {
    let mut notices = Vec::new();
    for authority in all.iter().filter(|it| it.issuer == *issuer) {
        notices.extend(notice(context, all, authority).await?);
    }
    Ok(notices)
}

/// As [`notices`], of one authority among all of its vault.
pub(super) async fn notice(
    context: &Context,
    all: &[AuthorityRecord],
    authority: &AuthorityRecord,
) -> Result<Option<String>> {
    let state = authority.state();
    if state == AuthorityState::Requested {
        return Ok(Some(
            "It waits for the certificate that another CA signs: certmint ca csr prints the request, certmint ca install takes the certificate.".to_owned(),
        ));
    }
    if !matches!(state, AuthorityState::Active | AuthorityState::Next) {
        return Ok(None);
    }
    // A record that is damaged, which was logged, hides what would be said of its CA, and of no other.
    let mut said = Vec::new();
    if let Some(revoked) = shown(revoked_above(context, &authority.vault, &authority.chain).await)? {
        let reason = revoked.revocation.reason.word();
        let cure = if state == AuthorityState::Next { "retire it" } else { "make and activate another one" };
        said.push(format!(
            "{revoked} ({reason}), and clients that look for that refuse what is below: {cure} (certmint ca)."
        ));
    }
    if state == AuthorityState::Active
        && let Some(line) = shown(line(context, all, authority).await)?
        && context.now() >= line.times.made
    {
        said.push(format!("Its certificate ends on {}; {}.", line.times.ends.date(), follows(context, &line).await));
    }
    Ok((!said.is_empty()).then(|| said.join(" ")))
}

/// What becomes of the issuer when its CA ends.
async fn follows(context: &Context, line: &Line) -> String {
    let Line { active, times, waiting, .. } = line;
    let by_itself = context.options.ca.next_ca;
    match waiting {
        None => match successor(context, line).await {
            Ok(Successor::Parent(_)) if by_itself => "the next CA is about to be made".to_owned(),
            Ok(Successor::Later(parent, ends)) => {
                let ends = ends.date();
                format!(
                    "the CA of the issuer {parent} that signs it ends on {ends}: the next CA can be made once that one was followed by another one"
                )
            }
            _ => "no next CA is there: make one with certmint ca create".to_owned(),
        },
        Some(next) if next.state() == AuthorityState::Requested => {
            "the request for the next CA waits: certmint ca csr, certmint ca install".to_owned()
        }
        Some(next) if matches!(revoked_above(context, &next.vault, &next.chain).await, Ok(Some(_))) => {
            "the next CA was revoked: certmint ca retire, certmint ca create".to_owned()
        }
        Some(next) if by_itself && is_believed(active, next) => {
            format!("the next CA signs from {} on", times.signs_when_made(next.created).date())
        }
        Some(_) => "the next CA waits to be activated: certmint ca activate".to_owned(),
    }
}
