//! The claims of a token, one wrong at a time.

use super::*;
use serde_json::json;

const NOW: i64 = 1_800_000_000;

fn options(more: &str) -> JwtOptions {
    let text =
        format!("name = 'corp'\nissuers = ['https://id.example']\naudiences = ['https://certmint.example/']\n{more}");
    toml::from_str(&text).unwrap()
}

fn rules(more: &str) -> Rules {
    Rules::of(&options(more)).unwrap()
}

/// Good claims with these changes; `null` takes one away.
fn claims(changes: &Value) -> Claims {
    let good = json!({
        "iss": "https://id.example", "aud": "https://certmint.example", "sub": "app",
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 600,
    });
    let mut claims = good.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
    claims
}

fn identify(rules: &Rules, changes: &Value) -> Result<Identity, Refusal> {
    identify_typed(rules, Type::Any, changes)
}

/// With this type in the header.
fn identify_typed(rules: &Rules, typ: Type, changes: &Value) -> Result<Identity, Refusal> {
    let header = Header { alg: None, kid: None, typ, has_critical: false };
    rules.identify(&header, &claims(changes), Timestamp::from_seconds(NOW))
}

fn cause(rules: &Rules, changes: &Value) -> Option<Cause> {
    identify(rules, changes).err().map(|refusal| refusal.cause)
}

#[test]
fn a_good_token_names_its_caller() {
    let identity = identify(&rules(""), &json!({})).unwrap();
    assert_eq!((&*identity.principal, &*identity.provider), ("jwt:corp:app", "corp"));
    assert!(identity.groups.is_empty());
    assert_eq!(identity.expires, Timestamp::from_seconds(NOW + 600));
}

#[test]
fn the_audience_is_one_of_ours_to_the_letter_but_for_a_slash_at_the_end() {
    let rules = rules("");
    for ours in [
        json!("https://certmint.example"),
        json!("https://certmint.example/"),
        json!(["x", "https://certmint.example"]),
    ] {
        assert_eq!(cause(&rules, &json!({ "aud": ours })), None, "{ours}");
    }
    for other in [
        json!(null),
        json!(""),
        json!([]),
        json!(7),
        json!({ "aud": "https://certmint.example" }),
        json!("https://certmint.example//"),
        json!("https://CERTMINT.example"),
        json!("https://certmint.example.evil"),
        json!([["https://certmint.example"]]),
    ] {
        assert_eq!(cause(&rules, &json!({ "aud": other })), Some(Cause::Audience), "{other}");
    }
    let told = identify(&rules, &json!({ "aud": ["https://vault.azure.net", "a\nb\"c"] })).unwrap_err().message;
    assert_eq!(
        told,
        "AKV10022: Invalid audience. Expected https://certmint.example, found: https://vault.azure.net, abc."
    );
}

#[test]
fn times_have_a_leeway_of_a_minute() {
    let rules = rules("");
    for (changes, expected) in [
        (json!({ "exp": null }), Some(Cause::Claim)),
        (json!({ "exp": "soon" }), Some(Cause::Claim)),
        (json!({ "exp": NOW - 59 }), None),
        (json!({ "exp": NOW - 60 }), Some(Cause::Expired)),
        (json!({ "exp": NOW - 61 }), Some(Cause::Expired)),
        (json!({ "nbf": NOW + 60 }), None),
        (json!({ "nbf": NOW + 61 }), Some(Cause::NotYetValid)),
        (json!({ "nbf": NOW + 1_000_000_000 }), Some(Cause::NotYetValid)),
        (json!({ "nbf": "x" }), Some(Cause::Claim)),
        (json!({ "nbf": null }), None),
        (json!({ "iat": NOW + 61 }), Some(Cause::NotYetValid)),
        (json!({ "iat": null }), None),
        (json!({ "iat": NOW - 86_400 }), Some(Cause::Lifetime)),
        (json!({ "iat": NOW - 85_800 }), None),
        (json!({ "iat": null, "exp": NOW + 86_401 }), Some(Cause::Lifetime)),
        (json!({ "exp": 1e300 }), Some(Cause::Claim)),
    ] {
        assert_eq!(cause(&rules, &changes), expected, "{changes}");
    }
}

#[test]
fn the_longest_time_is_a_setting() {
    let rules = rules("max_age = '1h'");
    assert_eq!(cause(&rules, &json!({ "iat": NOW, "exp": NOW + 3600 })), None);
    assert_eq!(cause(&rules, &json!({ "iat": NOW, "exp": NOW + 3601 })), Some(Cause::Lifetime));
}

#[test]
fn required_claims_have_one_of_their_values() {
    let rules = rules("require = { tid = 't1', owner = ['7', '8'] }");
    assert_eq!(cause(&rules, &json!({ "tid": "t1", "owner": 8 })), None);
    for changes in [json!({ "tid": "t1" }), json!({ "tid": "T1", "owner": 8 }), json!({ "tid": "t1", "owner": "9" })] {
        assert_eq!(cause(&rules, &changes), Some(Cause::Claim), "{changes}");
    }
}

#[test]
fn the_principal_is_a_name_or_the_token_is_refused() {
    let of =
        |more: &str, changes: &Value| identify(&rules(more), changes).map(|identity| identity.principal.to_string());
    assert_eq!(of("principal = 'oid'", &json!({ "oid": "2c4e", "sub": null })).unwrap(), "jwt:corp:2c4e");
    assert_eq!(of("", &json!({ "sub": "system:serviceaccount:a:b" })).unwrap(), "jwt:corp:system:serviceaccount:a:b");
    let two = "principal = ['repository_id', 'environment']";
    assert_eq!(of(two, &json!({ "repository_id": 74, "environment": "prod:eu" })).unwrap(), "jwt:corp:74:prod:eu");
    for (more, changes) in [
        ("", json!({ "sub": null })),
        ("", json!({ "sub": "" })),
        ("", json!({ "sub": ["a"] })),
        ("", json!({ "sub": "a b" })),
        ("", json!({ "sub": "a\u{0}" })),
        ("", json!({ "sub": "ä" })),
        ("", json!({ "sub": "a'b" })),
        ("", json!({ "sub": "x".repeat(250) })),
        (two, json!({ "repository_id": 74 })),
        (two, json!({ "repository_id": "74:prod", "environment": "eu" })),
    ] {
        assert_eq!(cause(&rules(more), &changes), Some(Cause::Principal), "{more} {changes}");
    }
}

#[test]
fn groups_come_from_claims_and_from_members_of_claims() {
    let rules = rules("groups = ['groups', 'realm_access.roles']");
    let of = |changes: &Value| {
        let identity = identify(&rules, changes).unwrap();
        identity.groups.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of(&json!({})), Vec::<String>::new());
    assert_eq!(
        of(&json!({ "groups": ["b", "a b", 7, "b", "\u{0}"], "realm_access": { "roles": "a" } })),
        ["group:corp:a", "group:corp:b"]
    );
}

#[test]
fn groups_that_an_issuer_left_out_are_no_groups_to_be_without() {
    let rules = rules("groups = ['groups']");
    let link =
        json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": { "src1": { "endpoint": "https://x" } } });
    assert_eq!(cause(&rules, &link), Some(Cause::Groups));
    assert_eq!(cause(&rules, &json!({ "hasgroups": true })), Some(Cause::Groups));
    assert_eq!(cause(&rules, &json!({ "_claim_names": { "other": "src1" } })), None);
    let roles = self::rules("groups = ['roles']");
    assert_eq!(cause(&roles, &link), None, "nobody asks for them");
}

#[test]
fn a_federated_client_is_in_no_group() {
    let mut rules = rules("groups = ['groups']");
    let text = "id = 'ci'\nprovider = 'corp'\nsubject = 'app'\naudience = 'api://AzureADTokenExchange'";
    rules.add(Client::of(&toml::from_str(text).unwrap()).unwrap()).unwrap();
    let own = identify(&rules, &json!({ "groups": ["admins"], "aud": "api://AzureADTokenExchange" })).unwrap();
    assert_eq!((&*own.principal, own.groups.is_empty()), ("client:ci", true));
    let both = json!({ "groups": ["admins"], "aud": ["https://certmint.example", "api://AzureADTokenExchange"] });
    assert_eq!(&*identify(&rules, &both).unwrap().principal, "client:ci", "the client comes first");
    let other = identify(&rules, &json!({ "groups": ["admins"] })).unwrap();
    assert_eq!((&*other.principal, other.groups.is_empty()), ("jwt:corp:app", false));
}

#[test]
fn groups_are_bounded() {
    let rules = rules("groups = ['groups']");
    let many = |count: usize| json!({ "groups": (0..count).map(|number| number.to_string()).collect::<Vec<_>>() });
    assert_eq!((cause(&rules, &many(500)), cause(&rules, &many(501))), (None, Some(Cause::Groups)));
}

#[test]
fn tokens_of_logins_are_refused_where_the_issuer_is_to_send_access_tokens() {
    for changes in [json!({ "nonce": "x" }), json!({ "at_hash": "x" }), json!({ "typ": "ID" })] {
        assert_eq!(cause(&rules("access_tokens_only = true"), &changes), Some(Cause::Type), "{changes}");
        assert_eq!(cause(&rules(""), &changes), None, "{changes}");
        let marked = identify_typed(&rules("access_tokens_only = true"), Type::Access, &changes);
        assert!(marked.is_ok(), "the header says that it is an access token: {changes}");
    }
    assert_eq!(cause(&rules("access_tokens_only = true"), &json!({ "typ": "Bearer" })), None);
}

#[test]
fn settings_that_cannot_work_are_named() {
    for (more, problem) in [
        ("principal = []", "principal: name a claim"),
        ("principal = ''", "principal: the name of a claim is empty"),
        ("groups = ['']", "groups: the name of a claim is empty"),
        ("require = { tid = [] }", "require: tid has no value"),
        ("algorithms = []", "algorithms: the list is empty"),
    ] {
        let told = Rules::of(&options(more)).unwrap_err();
        assert!(told.starts_with(problem), "{told}");
    }
    for (audience, problem) in [
        ("https://vault.azure.net/", "audiences: https://vault.azure.net/ is the audience of another service"),
        ("api://AzureADTokenExchange", "audiences: api://AzureADTokenExchange is the audience of another"),
        ("/", "audiences: `/` is not a value of aud: write 1 to 255"),
        ("a b", "audiences: `a b` is not a value of aud: write 1 to 255"),
    ] {
        let told = Rules::of(&JwtOptions { audiences: vec![audience.to_owned()], ..options("") }).unwrap_err();
        assert!(told.starts_with(problem), "{told}");
    }
    assert!(toml::from_str::<JwtOptions>("name='a'\nissuers=[]\naudiences=[]\nalgorithms=['HS256']").is_err());
}
