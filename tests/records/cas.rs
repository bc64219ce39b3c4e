//! Records of CAs that are lost or damaged: no list loses an entry that is in force, no number goes back, what is not
//! damaged works on, and the doctor names what is missing.

use crate::permit::permit;
use crate::records::doctor::doctor;
use crate::records::place::{A, Life, Place, policy, vault};
use certmint::clock::{Clock, SystemClock};
use certmint::domain::{Reason, RevocationReason, Serial};
use certmint::service::{
    BaseUrl, CaOptions, IssuedRef, ListAuthorities, ListIssued, NewVault, RevokeRequest, RevokeWhich, Revoked,
};
use std::time::Duration;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

const SECONDS: Duration = Duration::from_secs(11);
const DAY: Duration = Duration::from_secs(86_401);

/// A store whose CA `corp` signed two certificates and revoked the first.
struct Ca {
    place: Place,
    id: String,
    serial: String,
}

#[derive(Clone, Copy, Debug)]
enum Harm {
    Removed,
    Damaged,
}

impl Harm {
    fn be_done(self, place: &Place, key: &str) {
        match self {
            Self::Removed => place.remove(key),
            Self::Damaged => {
                assert!(!place.body(key).is_empty());
                place.sql(&format!("UPDATE records SET body = x'00' WHERE key = '{key}'"));
            }
        }
    }
}

fn publishing() -> Place {
    let mut place = Place::new();
    let base_url = BaseUrl::try_from("http://pki.example".to_owned()).ok();
    place.limits.ca = CaOptions { base_url, ..CaOptions::default() };
    // The command has the time of this machine.
    place.clock.set(SystemClock.now());
    place
}

async fn create(life: &Life, name: &str, issuer: &str) {
    life.ok(A, &format!("POST /certificates/{name}/create"), &policy(issuer, "")).await;
    life.work().await;
}

async fn revoke(life: &Life, name: &str) -> String {
    let id = life.ok(A, &format!("GET /certificates/{name}"), "").await["id"].as_str().unwrap().to_owned();
    let version = id.rsplit('/').next().unwrap();
    let path = format!("POST /certificates/{name}/{version}/revoke");
    life.ok(A, &path, r#"{"reason":"keyCompromise","invalidity_time":1700000000}"#).await["serial"]
        .as_str()
        .map(str::to_owned)
        .unwrap_or_default()
}

impl Ca {
    async fn new() -> Self {
        let place = publishing();
        let life = place.open().await;
        let wanted = NewVault { name: vault(A), retention_days: None, purge_protection: None };
        life.service.vault_objects().create_vault(permit(&life.service, wanted).await).await.unwrap();
        life.ok(A, "PUT /certificates/issuers/corp", r#"{"provider":"LocalCA"}"#).await;
        create(&life, "web", "corp").await;
        create(&life, "other", "corp").await;
        revoke(&life, "web").await;
        place.clock.advance(SECONDS);
        life.work().await;
        drop(life);
        let key = place.keys("authorities/").pop().unwrap();
        let revoked = place.keys("revoked/");
        assert_eq!(revoked.len(), 1);
        let (id, serial) = (key.rsplit('/').next().unwrap(), revoked[0].rsplit('/').next().unwrap());
        Self { id: id.to_owned(), serial: serial.to_owned(), place }
    }

    fn revoked(&self) -> String {
        format!("revoked/{}/0/{}", self.id, self.serial)
    }

    fn crl(&self) -> String {
        format!("crls/{}/0", self.id)
    }

    fn issued(&self) -> String {
        format!("issued/{}/{}", self.id, self.serial)
    }

    /// The number of the list as it is published, and its entries with the time since which the key is compromised.
    async fn list(&self, life: &Life) -> (u64, Vec<String>) {
        let file = life.service.publications().crl(&self.id, None).await.unwrap().unwrap();
        let (_, list) = CertificateRevocationList::from_der(&file.bytes).unwrap();
        let number = list.crl_number().unwrap().to_string().parse().unwrap();
        let entry = |it: &x509_parser::revocation_list::RevokedCertificate<'_>| {
            assert!(it.extensions().len() == 2, "reason and time are lost: {:?}", it.extensions());
            it.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        (number, list.iter_revoked_certificates().map(entry).collect())
    }

    /// What a server publishes a day later, which is started anew.
    async fn a_day_later(&self) -> (u64, Vec<String>) {
        let life = self.place.open().await;
        life.service.certificate_authorities().begin_publishing().await.unwrap();
        life.work().await;
        self.place.clock.advance(DAY);
        assert_eq!(life.work().await, Vec::<String>::new());
        self.place.clock.advance(SECONDS);
        life.work().await;
        self.list(&life).await
    }
}

#[tokio::test]
async fn an_entry_in_force_stays_on_the_list_whichever_record_is_lost_or_damaged_and_no_number_goes_back() {
    for harm in [Harm::Removed, Harm::Damaged] {
        for lost in 1_u32..8 {
            let ca = Ca::new().await;
            let before = ca.list(&ca.place.open().await).await;
            assert_eq!(before.1, [ca.serial.trim_start_matches('0')]);
            let keys = [ca.revoked(), ca.crl(), ca.issued()];
            let keys: Vec<&String> =
                keys.iter().enumerate().filter(|(bit, _)| lost & (1 << bit) != 0).map(|(_, key)| key).collect();
            keys.iter().for_each(|key| harm.be_done(&ca.place, key));
            let (number, entries) = ca.a_day_later().await;
            assert!(number > before.0, "{harm:?} {keys:?}: {number} after {}", before.0);
            // Where all three are lost, nothing knows of it any more.
            let known = lost != 7;
            assert_eq!(entries == before.1, known, "{harm:?} {keys:?}: {entries:?}");
            if lost & 4 == 0 {
                let (code, text) = doctor(&ca.place, &[]);
                assert!(code == Some(0), "{harm:?} {keys:?}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn what_another_program_revoked_and_no_log_has_stays_on_the_list_by_the_list_before() {
    let ca = Ca::new().await;
    let before = ca.list(&ca.place.open().await).await;
    for key in ca.place.keys("issued") {
        ca.place.remove(&key);
    }
    ca.place.remove(&ca.revoked());
    let after = ca.a_day_later().await;
    assert!(after.0 > before.0 && after.1 == before.1, "{after:?}");
    assert_eq!(ca.place.keys("revoked/"), [ca.revoked()]);
}

#[tokio::test]
async fn a_revocation_after_the_loss_of_another_one_and_of_the_list_has_both_on_the_next_list() {
    let ca = Ca::new().await;
    let (number, _) = ca.list(&ca.place.open().await).await;
    ca.place.remove(&ca.revoked());
    ca.place.remove(&ca.crl());
    let life = ca.place.open().await;
    revoke(&life, "other").await;
    ca.place.clock.advance(SECONDS);
    life.work().await;
    let (now, entries) = ca.list(&life).await;
    assert!(now > number && entries.len() == 2, "{now} {entries:?}");
}

#[tokio::test]
async fn the_other_orders_of_the_log_are_made_anew_and_a_compromised_key_stays_known() {
    for harm in [Harm::Removed, Harm::Damaged] {
        let ca = Ca::new().await;
        let orders = || [ca.place.keys("issued-by-time/"), ca.place.keys("issued-by-key/")].concat();
        let before = orders();
        let of_it: Vec<_> = before.iter().filter(|key| key.ends_with(&ca.serial)).collect();
        assert_eq!(of_it.len(), 2, "{before:?}");
        of_it.iter().for_each(|key| harm.be_done(&ca.place, key));
        let (code, text) = doctor(&ca.place, &[]);
        assert_eq!(code, Some(1));
        for key in &of_it {
            assert!(text.contains(&format!("fail  {key}: ")), "{key} {text}");
            let (code, _) = doctor(&ca.place, &["--remove", key]);
            assert_eq!(code, Some(1), "{key} is made anew, and not removed");
        }
        assert!(text.contains("start a server"), "{text}");
        ca.a_day_later().await;
        assert_eq!(orders(), before);
        let (code, text) = doctor(&ca.place, &[]);
        assert_eq!(code, Some(0), "{text}");
    }
}

#[tokio::test]
async fn the_doctor_names_what_is_lost_of_a_ca_and_what_belongs_to_none() {
    let names = |ca: &Ca, key: &str, words: &str| {
        let (code, text) = doctor(&ca.place, &[]);
        let start = format!("fail  {key}: ");
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{key}: {text}"));
        assert!(code == Some(1) && line.contains(words), "{line}");
        text
    };
    let ca = Ca::new().await;
    assert_eq!(doctor(&ca.place, &[]).0, Some(0), "{}", doctor(&ca.place, &[]).1);
    ca.place.remove(&ca.revoked());
    names(&ca, &ca.revoked(), "is missing: the next revocation list lacks");

    let ca = Ca::new().await;
    ca.place.remove(&ca.crl());
    names(&ca, &ca.crl(), "is missing: the CA publishes no revocation list");

    let ca = Ca::new().await;
    ca.place.remove(&ca.issued());
    names(&ca, &ca.issued(), "is missing, and was revoked");
    let by_time = ca.place.keys("issued-by-time/").into_iter().find(|key| key.ends_with(&ca.serial)).unwrap();
    let text = names(&ca, &by_time, "is missing in the log of its CA");
    assert!(text.contains("give up a trace of the certificate"), "{text}");

    let ca = Ca::new().await;
    let authority = ca.place.keys("authorities/").pop().unwrap();
    ca.place.remove(&authority);
    names(&ca, &authority, "records of its log, lists and responders belong to it");
    let text = names(&ca, &ca.crl(), "whose record is missing");
    assert!(text.contains("give up what the CA published"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_done_without_is_not_removed_and_else_it_is_said_what_is_lost() {
    let remove = |ca: &Ca, key: &str| {
        Harm::Damaged.be_done(&ca.place, key);
        doctor(&ca.place, &["--remove", key])
    };
    let ca = Ca::new().await;
    let authority = ca.place.keys("authorities/").pop().unwrap();
    for key in [&ca.crl(), &ca.revoked(), &authority] {
        let (code, text) = remove(&ca, key);
        assert!(code == Some(1) && text.contains("is not removed"), "{key}: {text}");
    }
    let (_, text) = doctor(&ca.place, &[]);
    assert!(text.contains("what depends on the record is lost without it"), "{text}");
    let ca = Ca::new().await;
    let (code, text) = remove(&ca, &ca.issued());
    assert!(code == Some(0) && text.contains("and with it what the log and OCSP know"), "{text}");
    // Nothing else says that it was revoked.
    Harm::Damaged.be_done(&ca.place, &ca.crl());
    let (code, text) = remove(&ca, &ca.revoked());
    assert!(code == Some(0) && text.contains("and with it a revocation"), "{text}");
}

async fn revoke_by_serial(life: &Life, serial: &str) -> Result<Revoked, Reason> {
    let wanted = RevokeRequest {
        vault: vault(A),
        which: RevokeWhich::Serial(None, Serial::spellings(serial).unwrap()),
        reason: RevocationReason::Superseded,
        invalidity_time: None,
        disable: None,
    };
    let wanted = permit(&life.service, wanted).await;
    let cas = life.service.certificate_authorities();
    cas.revoke(wanted, life.service.certificates()).await.map_err(|error| error.reason)
}

#[tokio::test]
async fn a_damaged_record_of_one_ca_closes_neither_the_lists_nor_the_revocations_of_the_others() {
    let all = || ListIssued {
        vault: vault(A),
        issuer: None,
        since: None,
        until: None,
        name: None,
        filter: None,
        page_size: 100,
        page_token: String::new(),
    };
    for damaged in ["authorities", "retired", "issuers", "revoked", "issued"] {
        let ca = Ca::new().await;
        let life = ca.place.open().await;
        life.ok(A, "PUT /certificates/issuers/second", r#"{"provider":"LocalCA"}"#).await;
        create(&life, "two", "second").await;
        let log = life.service.certificate_authorities().list_issued(permit(&life.service, all()).await).await;
        let log = log.unwrap().issued;
        let serial = |name: &str| {
            let named = |it: &&certmint::service::IssuedView| {
                it.issued.asked.certificate.as_ref().is_some_and(|it| it.as_str() == name)
            };
            log.iter().find(named).unwrap().issued.serial.to_string()
        };
        let (two, other) = (serial("two"), serial("other"));
        if damaged == "retired" {
            life.ok(A, "DELETE /certificates/issuers/corp", "").await;
        }
        drop(life);
        let key = match damaged {
            "authorities" | "retired" => format!("authorities/{A}/{}", ca.id),
            "issuers" => format!("issuers/{A}/corp"),
            "revoked" => ca.revoked(),
            _ => ca.issued(),
        };
        Harm::Damaged.be_done(&ca.place, &key);
        let life = ca.place.open().await;
        let cas = life.service.certificate_authorities();
        let listed = permit(&life.service, ListAuthorities { vault: vault(A), issuer: None }).await;
        let listed = cas.authorities(&listed).await.unwrap_or_else(|error| panic!("{damaged}: {error}"));
        // One that signs is known by its issuer object, too.
        assert_eq!(listed.len(), if damaged == "retired" { 1 } else { 2 }, "{damaged}");
        let page = cas.list_issued(permit(&life.service, all()).await).await;
        let page = page.unwrap_or_else(|error| panic!("{damaged}: {error}"));
        assert!(page.issued.iter().any(|it| it.issued.serial.to_string() == two), "{damaged}");
        let wanted = IssuedRef { vault: vault(A), issuer: None, serial: Serial::spellings(&two).unwrap() };
        cas.issued(&permit(&life.service, wanted).await).await.unwrap();
        revoke_by_serial(&life, &two).await.unwrap_or_else(|error| panic!("{damaged}: {error:?}"));
        // What is damaged is not said to be unknown.
        let of_damaged = revoke_by_serial(&life, &other).await.err();
        let is_closed = ["authorities", "retired"].contains(&damaged);
        assert_eq!(of_damaged, is_closed.then_some(Reason::Internal), "{damaged}");
    }
}
