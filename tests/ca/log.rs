//! The log of a CA over the three faces.

use crate::world::World;
use serde_json::json;

#[test]
fn what_a_ca_signed_is_told_alike_over_grpc_rest_and_the_command_line_and_outlives_a_purge() {
    let world = World::start();
    world.cli("issuer set corp --provider LocalCA --organization-id Example");
    let (_, serial) = world.leaf("web", "corp", "");
    let by_cli = world.json(&format!("ca show {serial}"))["certificate"].clone();
    assert_eq!(
        (&by_cli["state"], &by_cli["principal"], &by_cli["door"]),
        (&json!("ISSUED"), &json!("token:alice"), &json!("create"))
    );
    let (status, by_rest) = world.rest("GET", &format!("/certificates/issuers/corp/ca/issued/{serial}"), "");
    assert_eq!(status, 200, "{by_rest}");
    for (grpc, rest) in [
        ("serial", "serial"),
        ("authority", "authority"),
        ("certificate_name", "name"),
        ("certificate_version", "version"),
        ("request_id", "request_id"),
        ("principal", "principal"),
        ("door", "door"),
        ("subject", "subject"),
        ("names", "names"),
        ("cer", "cer"),
    ] {
        assert_eq!(by_cli[grpc], by_rest[rest], "{grpc}");
    }
    assert_eq!(by_rest["names"], json!(["dns:web.example", "dns:localhost"]));
    let upper: String = serial
        .to_uppercase()
        .as_bytes()
        .chunks(2)
        .map(|pair| format!("{}:", std::str::from_utf8(pair).unwrap()))
        .collect();
    let (status, _) =
        world.rest("GET", &format!("/certificates/issuers/corp/ca/issued/{}", upper.trim_end_matches(':')), "");
    assert_eq!(status, 200);
    let (status, error) = world.rest("GET", "/certificates/issuers/corp/ca/issued/0102", "");
    assert_eq!((status, &error["error"]["code"]), (404, &json!("CertificateNotFound")), "{error}");
    let (status, error) = world.rest("GET", "/certificates/issuers/corp/ca/issued/x", "");
    assert_eq!((status, &error["error"]["code"]), (400, &json!("BadParameter")), "{error}");
    let (code, said) = world.refused("ca show 0102");
    assert!(code == 3 && said.contains("0102"), "{said}");

    world.cli("delete web");
    world.cli("purge web");
    let page = world.rest("GET", "/certificates/issuers/corp/ca/issued?name=web&state=issued", "").1;
    assert_eq!(page["value"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(page["value"][0], by_rest);
    world.cli("issuer delete corp");
    assert_eq!(world.json(&format!("ca show {serial} --issuer corp"))["certificate"], by_cli);
    let all = world.json("ca issued --issuer corp");
    assert_eq!(all["summary"]["in_progress"], 0, "{all}");
    assert_eq!(world.json("ca list")["authorities"][0]["state"], "RETIRED");
}
