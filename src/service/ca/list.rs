//! Reading the log of a CA: one certificate by its serial number, or all of a period.

use super::CertificateAuthorities;
use super::succession::notice;
use super::view::{AuthorityView, GATHERED, IssuedView};
use crate::domain::issued::{IssuedRecord, IssuedState};
use crate::domain::{CertificateName, Detail, Error, IssuerName, Reason, Result, Serial, Timestamp, VaultName};
use crate::service::access::{Permit, Target};
use crate::service::issuers::Readable;
use crate::service::records::{List, MAX_PAGE, RevokedRecord, key, shown};
use std::collections::VecDeque;

/// Records of one look.
const LOOK: usize = 500;
/// Records that one page looks at, at most; a page of few among many ends early, with a token.
const MOST: usize = 10_000;

/// Whose authorities are listed.
#[derive(Clone, Debug)]
pub struct ListAuthorities {
    pub vault: VaultName,
    /// `None`: of the whole vault.
    pub issuer: Option<IssuerName>,
}

impl Target for ListAuthorities {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        self.issuer.as_ref().map(IssuerName::as_str)
    }

    fn needs_every_name(&self) -> bool {
        true
    }
}

/// A certificate by its serial number.
#[derive(Clone, Debug)]
pub struct IssuedRef {
    pub vault: VaultName,
    /// `None`: of any CA that the vault has or had.
    pub issuer: Option<IssuerName>,
    /// What its text may mean ([`Serial::spellings`]).
    pub serial: Vec<Serial>,
}

impl Target for IssuedRef {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        self.issuer.as_ref().map(IssuerName::as_str)
    }

    fn needs_every_name(&self) -> bool {
        true
    }

    fn shows_what_was_signed(&self) -> bool {
        true
    }
}

/// Which certificates of the log are listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IssuedFilter {
    State(IssuedState),
    /// Those that were revoked, whatever their state.
    Revoked,
}

impl IssuedFilter {
    /// The filter of a word, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        if word.eq_ignore_ascii_case("revoked") {
            return Some(Self::Revoked);
        }
        IssuedState::parse(word).map(Self::State)
    }

    fn takes(self, issued: &IssuedRecord) -> bool {
        match self {
            Self::State(state) => issued.state == state,
            Self::Revoked => issued.revocation.is_some(),
        }
    }
}

/// Which part of the log is wanted.
#[derive(Clone, Debug)]
pub struct ListIssued {
    pub vault: VaultName,
    /// `None`: of all CAs that the vault has or had.
    pub issuer: Option<IssuerName>,
    /// When they were stored, at the earliest.
    pub since: Option<Timestamp>,
    /// Only those before.
    pub until: Option<Timestamp>,
    pub name: Option<CertificateName>,
    pub filter: Option<IssuedFilter>,
    /// 1 to [`MAX_PAGE`].
    pub page_size: usize,
    /// From the page before; empty on the first.
    pub page_token: String,
}

impl Target for ListIssued {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        self.issuer.as_ref().map(IssuerName::as_str)
    }

    fn needs_every_name(&self) -> bool {
        true
    }

    fn shows_what_was_signed(&self) -> bool {
        true
    }
}

/// A page of the log: the CAs in the order in which they were made, of each its certificates in the order of time.
#[derive(Clone, Debug)]
pub struct IssuedPage {
    pub issued: Vec<IssuedView>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// The authorities that were asked for.
pub(super) struct Known {
    pub(super) views: Vec<AuthorityView>,
    damaged: Option<Error>,
}

impl Known {
    /// What is said where none of them has what was asked for: a damaged record may be that of the one that has.
    pub(super) fn not_found(self, missing: Error) -> Error {
        self.damaged.unwrap_or(missing)
    }
}

impl CertificateAuthorities {
    /// A certificate with what the lists of its authority say of it.
    pub(super) async fn view(&self, mut issued: IssuedRecord) -> Result<IssuedView> {
        let mut crl_expected = None;
        if let Some(revocation) = issued.revocation.as_mut().filter(|it| it.crl.is_none()) {
            // Where a record is damaged, which was logged, the list is still to come.
            let listed = shown(listed(self, &issued.asked.vault, &issued.authority, &issued.serial).await)?;
            revocation.crl = listed.and_then(|listed| listed.revocation.crl);
            if revocation.crl.is_none() {
                crl_expected = Some(revocation.time.plus(GATHERED).max(self.context.now()));
            }
        }
        Ok(IssuedView { issued, crl_expected })
    }

    /// The authorities that a vault, or an issuer of it, has or had, in the order in which they were made; without those
    /// whose records are damaged, which was logged.
    ///
    /// # Errors
    /// `IssuerNotFound` for an issuer that has none and had none.
    pub async fn authorities(&self, wanted: &Permit<ListAuthorities>) -> Result<Vec<AuthorityView>> {
        let ListAuthorities { vault, issuer } = &**wanted;
        let mut views = self.of(vault, issuer.as_ref()).await?.views;
        let all = self.authorities.readable_of(vault).await?.records;
        for view in &mut views {
            view.notice = notice(&self.context, &all, &view.record).await?;
        }
        Ok(views)
    }

    /// Those that can be read, where there are any: a damaged record stands in no other one's way.
    pub(super) async fn of(&self, vault: &VaultName, issuer: Option<&IssuerName>) -> Result<Known> {
        let Readable { mut records, damaged } = self.authorities.readable_of(vault).await?;
        records.retain(|record| issuer.is_none_or(|issuer| record.issuer == *issuer));
        if let Some(name) = issuer.filter(|_| records.is_empty()) {
            let message = format!("The issuer {name} has no CA on this server, and had none.");
            let missing = Error::new(Reason::IssuerNotFound, message)
                .with(Detail::Resource { kind: "issuer", name: name.to_string() });
            return Err(damaged.unwrap_or(missing));
        }
        records.sort_by_key(|one| (one.created, one.generation));
        let views = records.into_iter().map(AuthorityView::of).collect::<Result<_>>()?;
        Ok(Known { views, damaged })
    }

    /// The certificate of this serial number.
    ///
    /// # Errors
    /// `CertificateNotFound` where no CA of the vault, or of the issuer, was ever to sign one.
    pub async fn issued(&self, wanted: &Permit<IssuedRef>) -> Result<IssuedView> {
        let IssuedRef { vault, issuer, serial } = &**wanted;
        let authorities = self.of(vault, issuer.as_ref()).await?;
        for serial in serial {
            for authority in &authorities.views {
                if let Some((_, issued)) = self.context.load(&key::issued(&authority.id, serial)).await?
                    && issued.asked.vault == *vault
                {
                    return self.view(issued).await;
                }
            }
        }
        Err(authorities.not_found(no_such_serial(serial)))
    }

    /// A page of the log. It may hold fewer than were asked for; only without a token it is the last one.
    pub async fn list_issued(&self, wanted: Permit<ListIssued>) -> Result<IssuedPage> {
        let ListIssued { vault, issuer, since, until, name, filter, page_size, page_token } = &*wanted;
        let paging = self.context.paging(List::Issued, scope(&wanted));
        let position = paging.position(page_token)?;
        let size = (*page_size).clamp(1, MAX_PAGE);
        let mut authorities: VecDeque<String> =
            self.of(vault, issuer.as_ref()).await?.views.into_iter().map(|authority| authority.id).collect();
        let mut after = String::new();
        if let Some((id, suffix)) = position.as_deref().and_then(|position| position.split_once(' ')) {
            authorities = authorities.into_iter().skip_while(|known| known != id).collect();
            suffix.clone_into(&mut after);
        }
        let (mut page, mut looked) = (Vec::new(), 0);
        while let Some(id) = authorities.front().cloned() {
            let prefix = key::issued_by_time_of(&id);
            if after.is_empty() {
                after = since.map(|since| format!("{:015}", since.0.max(0))).unwrap_or_default();
            }
            let from = if after.is_empty() { String::new() } else { format!("{}{after}", prefix.as_str()) };
            let index = self.context.store.list(prefix.as_str(), &from, LOOK).await?;
            let over = index.len() < LOOK;
            let suffixes: Vec<String> =
                index.iter().filter_map(|record| record.key.strip_prefix(prefix.as_str())).map(str::to_owned).collect();
            let places: Vec<_> =
                suffixes.iter().map(|suffix| serial_of(suffix).map(|it| key::issued(&id, &it))).collect();
            let found = self.context.load_many(&places).await?;
            for (suffix, found) in suffixes.into_iter().zip(found) {
                if until.is_some_and(|until| time_of(&suffix).is_some_and(|at| at >= until)) {
                    break;
                }
                if page.len() == size || looked == MOST {
                    return Ok(IssuedPage {
                        issued: page,
                        next_page_token: paging.token(Some(&format!("{id} {after}"))),
                    });
                }
                looked += 1;
                after = suffix;
                // One that is damaged was logged; the list goes on without it.
                let issued = shown(found)?.filter(|issued: &IssuedRecord| {
                    // A CA that was brought into several vaults has one log.
                    issued.asked.vault == *vault
                        && filter.is_none_or(|filter| filter.takes(issued))
                        && name.as_ref().is_none_or(|name| issued.asked.certificate.as_ref() == Some(name))
                });
                if let Some(issued) = issued {
                    page.push(self.view(issued).await?);
                }
            }
            let beyond = until.is_some_and(|until| {
                index.last().is_some_and(|last| {
                    last.key.strip_prefix(prefix.as_str()).and_then(time_of).is_some_and(|at| at >= until)
                })
            });
            if over || beyond {
                authorities.pop_front();
                after.clear();
            }
        }
        Ok(IssuedPage { issued: page, next_page_token: String::new() })
    }
}

/// The time before the serial number in a key of the order of time.
fn time_of(suffix: &str) -> Option<Timestamp> {
    suffix.split_once('-')?.0.parse().ok().map(Timestamp)
}

fn serial_of(suffix: &str) -> Option<Serial> {
    Serial::spellings(suffix.split_once('-')?.1).ok()?.into_iter().next()
}

pub(super) fn no_such_serial(serial: &[Serial]) -> Error {
    let text = serial.first().map(ToString::to_string).unwrap_or_default();
    Error::new(Reason::CertificateNotFound, format!("No CA asked for has a certificate with the serial number {text}."))
        .with(Detail::Resource { kind: "serial number", name: text })
}

/// What the list was asked for beside the size of its pages.
fn scope(wanted: &ListIssued) -> Vec<String> {
    let ListIssued { vault, issuer, since, until, name, filter, page_size: _, page_token: _ } = wanted;
    let time = |at: &Option<Timestamp>| at.map_or_else(String::new, |at| at.0.to_string());
    vec![
        vault.to_string(),
        issuer.as_ref().map_or_else(String::new, |issuer| issuer.key()),
        time(since),
        time(until),
        name.as_ref().map_or_else(String::new, |name| name.key()),
        format!("{filter:?}"),
    ]
}

async fn listed(
    cas: &CertificateAuthorities,
    vault: &VaultName,
    authority: &str,
    serial: &Serial,
) -> Result<Option<RevokedRecord>> {
    let shard = cas.shard_of(vault, authority, serial).await?;
    Ok(cas.context.load(&key::revoked(authority, shard, serial)).await?.map(|(_, listed)| listed))
}
