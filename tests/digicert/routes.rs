//! The calls of the Services API that the provider makes, answered from what the mock knows.

use crate::mock::{Account, Order, Reissue};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::time::Instant;

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) retry_after: Option<u64>,
}

impl Reply {
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, body: body.to_owned(), retry_after: None }
    }

    fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string())
    }
}

/// An error in the form that the switch asks for.
pub(crate) fn refusal(account: &Account, status: u16, code: &str, message: &str) -> Reply {
    let error = json!({"code": code, "message": message});
    let errors = if account.faults.error_object { error } else { json!([error]) };
    Reply::json(status, &json!({ "errors": errors }))
}

pub(crate) fn route(account: &mut Account, method: &str, path: &str, body: Value) -> Reply {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["organization"]) => organizations(account),
        ("POST", ["key", "acme-eab", "tlm"]) => match account.external.clone() {
            Some(made) => Reply::json(201, &made),
            None => refusal(account, 403, "access_denied", "ACME is not enabled."),
        },
        ("GET", ["order", "alternate", wanted]) => lookup(account, wanted),
        ("GET", ["order", "certificate", "status-changes"]) => changes(account, query),
        ("GET", ["order", "certificate", id]) => info(account, id),
        ("GET", ["order", "certificate", id, "reissue"]) => reissues(account, id),
        ("POST", ["order", "certificate", id, "reissue"]) => reissue(account, id, body),
        ("POST", ["order", "certificate", product]) => place(account, product, body),
        ("PUT", ["order", "certificate", id, "status"]) => cancel(account, id, &body),
        ("PUT", ["order", "certificate", id, "dcv-random-value"]) => random_value(account, id),
        ("PUT", ["order", "certificate", id, "check-dcv"]) => check_dcv(account, id),
        ("PUT", ["request", id, "status"]) => decide(account, id, &body),
        ("GET", ["certificate", id, "download", "format", "pem_all"]) => download(account, id),
        _ => refusal(account, 404, "not_found|route", "The requested resource could not be found"),
    }
}

fn organizations(account: &Account) -> Reply {
    let known = json!({"organizations": [
        {"id": 123_456, "status": "active", "name": "Example Corp", "display_name": "Example Corp", "is_active": true},
        {"id": 1, "status": "inactive", "name": "Old Corp", "is_active": false},
    ], "page": {"total": 2, "limit": 0, "offset": 0}});
    Reply::json(200, account.faults.organizations.as_ref().unwrap_or(&known))
}

fn place(account: &mut Account, product: &str, body: Value) -> Reply {
    if let Some((status, code, message)) = account.faults.refuse_orders {
        return refusal(account, status, code, message);
    }
    if !["ssl_basic", "ssl_ev_basic", "ssl_dv_geotrust_flex", "private_ssl_plus"].contains(&product) {
        return refusal(account, 400, "invalid_product", "The product is not enabled for this account.");
    }
    let Some(csr) = csr(&body) else {
        return refusal(account, 400, "invalid_value:csr", "The CSR is not valid.");
    };
    let days = body["certificate"]["cert_validity"]["days"].as_i64().unwrap_or(0);
    if !(1..=199).contains(&days) && !product.starts_with("private") {
        return refusal(account, 400, "invalid_value:validity_days", "The validity is too long.");
    }
    let id = account.next;
    account.next += 10;
    let status = account.faults.first_status.clone().unwrap_or_else(|| "issued".to_owned());
    let order = Order {
        id,
        alternative: body["alternative_order_id"].as_str().unwrap_or_default().to_owned(),
        product: product.to_owned(),
        status: status.clone(),
        body: body.clone(),
        certificate: id + 1,
        request: id + 2,
        comment: None,
        changed: Instant::now(),
        valid_till: "2099-01-01".to_owned(),
        reissues: Vec::new(),
    };
    let chain = sign(account, &body, &csr);
    account.certificates.insert(order.certificate, chain.clone());
    account.orders.insert(id, order);
    placed(account, id, id + 1, id + 2, &status, &chain, &body)
}

fn placed(
    account: &Account,
    id: u64,
    certificate: u64,
    request: u64,
    status: &str,
    chain: &[String],
    body: &Value,
) -> Reply {
    let mut answer =
        json!({"id": id, "requests": [{"id": request, "status": "approved"}], "certificate_id": certificate});
    match status {
        "issued" if !account.faults.no_chain => {
            let chain: Vec<Value> = chain.iter().map(|pem| json!({"subject_common_name": "x", "pem": pem})).collect();
            answer["certificate_chain"] = json!(chain);
        }
        "pending" if account.faults.unproved && body["dcv_method"] != "email" => {
            answer["dcv_random_value"] = json!(format!("random-{id}"));
        }
        "needs_approval" => answer = json!({"id": id, "requests": [{"id": request, "status": "pending"}]}),
        _ => {}
    }
    Reply::json(201, &answer)
}

fn csr(body: &Value) -> Option<Vec<u8>> {
    let text = body["certificate"]["csr"].as_str()?;
    let base64: String = text.lines().filter(|line| !line.contains("-----")).collect();
    STANDARD.decode(base64).ok()
}

fn sign(account: &Account, body: &Value, csr: &[u8]) -> Vec<String> {
    let common_name = body["certificate"]["common_name"].as_str().unwrap_or_default().to_owned();
    let others = body["certificate"]["dns_names"].as_array().cloned().unwrap_or_default();
    let others = others.iter().filter_map(|name| name.as_str().map(str::to_owned));
    let names: Vec<String> = [common_name.clone()].into_iter().chain(others).collect();
    account.signer.sign(csr, &common_name, &names, body["certificate"]["cert_validity"]["days"].as_i64().unwrap_or(1))
}

fn lookup(account: &mut Account, wanted: &str) -> Reply {
    if account.faults.lag > 0 {
        account.faults.lag -= 1;
        return Reply::json(200, &json!({"orders": [], "page": {"total": 0, "limit": 1000, "offset": 0}}));
    }
    let orders: Vec<Value> = account
        .orders
        .values()
        .filter(|order| order.alternative == wanted)
        .map(|order| json!({"order_id": order.id, "certificate_id": order.certificate, "status": order.status}))
        .collect();
    Reply::json(200, &json!({"orders": orders, "page": {"total": orders.len(), "limit": 1000, "offset": 0}}))
}

fn changes(account: &Account, query: &str) -> Reply {
    if account.faults.no_changes {
        return refusal(account, 403, "access_denied", "This key may not list orders.");
    }
    let seconds = query.strip_prefix("seconds=").and_then(|seconds| seconds.parse::<u64>().ok());
    let Some(seconds) = seconds.filter(|seconds| *seconds <= 604_800) else {
        return refusal(account, 400, "time_frame_too_long", "The time frame is too long.");
    };
    let since = |order: &&Order| order.changed.elapsed().as_secs() <= seconds && order.status != "pending";
    let orders: Vec<Value> = account
        .orders
        .values()
        .filter(since)
        .map(|order| json!({"order_id": order.id, "certificate_id": order.certificate, "status": order.status}))
        .collect();
    // As documented: an empty object where nothing changed.
    if orders.is_empty() { Reply::text(200, "{}") } else { Reply::json(200, &json!({ "orders": orders })) }
}

fn find<'a>(account: &'a Account, id: &str) -> Option<&'a Order> {
    let by_print = |order: &&Order| {
        account.certificates.get(&order.certificate).is_some_and(|chain| thumbprint(&chain[0]).eq_ignore_ascii_case(id))
    };
    id.parse().ok().and_then(|id: u64| account.orders.get(&id)).or_else(|| account.orders.values().find(by_print))
}

fn thumbprint(pem: &str) -> String {
    let base64: String = pem.lines().filter(|line| !line.contains("-----")).collect();
    let der = STANDARD.decode(base64).unwrap();
    certmint::keys::chain::thumbprint(&der).iter().map(|byte| format!("{byte:02X}")).collect()
}

fn info(account: &Account, id: &str) -> Reply {
    let Some(order) = find(account, id) else {
        return refusal(account, 404, "not_found|order", "The order was not found.");
    };
    let request = if order.status == "needs_approval" { "pending" } else { "approved" };
    let mut answer = json!({
        "id": order.id, "status": order.status, "order_valid_till": order.valid_till,
        "certificate": {"id": order.certificate, "common_name": order.body["certificate"]["common_name"],
            "dns_names": order.body["certificate"]["dns_names"], "csr": order.body["certificate"]["csr"]},
        "product": {"name_id": order.product},
        "requests": [{"id": order.request, "type": "new_request", "status": request,
            "processor_comment": order.comment}],
    });
    if order.status == "needs_approval" {
        // Not made before the approval.
        answer["certificate"].as_object_mut().unwrap().remove("id");
    }
    Reply::json(200, &answer)
}

fn reissues(account: &Account, id: &str) -> Reply {
    let Some(order) = find(account, id) else {
        return refusal(account, 404, "not_found|order", "The order was not found.");
    };
    let line = |one: &Reissue| json!({"id": one.certificate, "csr": one.csr, "status": one.status});
    let lines: Vec<Value> = order.reissues.iter().map(line).collect();
    Reply::json(200, &json!({ "certificates": lines }))
}

fn reissue(account: &mut Account, id: &str, body: Value) -> Reply {
    let (Some(order), Some(csr_der)) = (find(account, id).cloned(), csr(&body)) else {
        return refusal(account, 404, "not_found|order", "The order was not found.");
    };
    let status = account.faults.first_status.clone().unwrap_or_else(|| "issued".to_owned());
    let certificate = account.next;
    account.next += 10;
    let chain = sign(account, &body, &csr_der);
    account.certificates.insert(certificate, chain.clone());
    let csr = body["certificate"]["csr"].as_str().unwrap_or_default().to_owned();
    let kept = account.orders.get_mut(&order.id).unwrap();
    kept.reissues.push(Reissue { certificate, csr, status: status.clone(), body: body.clone() });
    if status != "issued" {
        kept.status = "reissue_pending".to_owned();
    }
    placed(account, order.id, certificate, certificate + 2, &status, &chain, &body)
}

fn cancel(account: &mut Account, id: &str, body: &Value) -> Reply {
    let Some(order) = find(account, id).cloned() else {
        return refusal(account, 404, "not_found|order", "The order was not found.");
    };
    let allowed = ["pending", "waiting_pickup", "reissue_pending"].contains(&order.status.as_str());
    if body["status"] != "canceled" || body["note"].as_str().is_none_or(str::is_empty) {
        return refusal(account, 400, "invalid_value:status", "The status is not allowed.");
    }
    if !allowed || account.faults.refuse_cancel {
        return refusal(account, 400, "invalid_order_status", "The order cannot be canceled.");
    }
    let kept = account.orders.get_mut(&order.id).unwrap();
    kept.status = if kept.status == "reissue_pending" { "issued".to_owned() } else { "canceled".to_owned() };
    for reissue in kept.reissues.iter_mut().filter(|reissue| reissue.status != "issued") {
        reissue.status = "rejected".to_owned();
    }
    kept.changed = Instant::now();
    Reply::text(204, "")
}

fn random_value(account: &Account, id: &str) -> Reply {
    match find(account, id) {
        Some(order) if account.faults.unproved => {
            let value = format!("random-{}", order.id);
            Reply::json(200, &json!({"dcv_random_value": value, "expiration_date": "2099-01-01T00:00:00Z"}))
        }
        Some(_) => refusal(account, 400, "invalid_dcv_method", "There is nothing to validate."),
        None => refusal(account, 404, "not_found|order", "The order was not found."),
    }
}

fn check_dcv(account: &mut Account, id: &str) -> Reply {
    let Some(order) = find(account, id).cloned() else {
        return refusal(account, 404, "not_found|order", "The order was not found.");
    };
    if let Some((code, message)) = account.faults.refuse_check {
        return refusal(account, 400, code, message);
    }
    if account.faults.unproved {
        let (code, message) = if order.body["dcv_method"] == "http-token" {
            ("file_random_value_not_found", "Could not find the random value at the expected file location.")
        } else {
            ("invalid_dns_txt", "Could not find a valid TXT record for one or more domains.")
        };
        return refusal(account, 400, code, message);
    }
    account.orders.get_mut(&order.id).unwrap().status = "issued".to_owned();
    let name = &order.body["certificate"]["common_name"];
    Reply::json(
        200,
        &json!({"order_status": "issued", "certificate_id": order.certificate, "dcv_status": "valid",
            "dns_name_validations": [{"dns_name": name, "status": "approved"}]}),
    )
}

fn decide(account: &mut Account, id: &str, body: &Value) -> Reply {
    if account.faults.no_approval {
        return refusal(account, 400, "access_denied|invalid_approver", "You may not approve this request.");
    }
    let request: u64 = id.parse().unwrap_or(0);
    let Some(order) = account.orders.values_mut().find(|order| order.request == request) else {
        return refusal(account, 404, "not_found|request", "The request was not found.");
    };
    order.status = if body["status"] == "approved" { "issued".to_owned() } else { "rejected".to_owned() };
    order.changed = Instant::now();
    Reply::text(204, "")
}

fn download(account: &mut Account, id: &str) -> Reply {
    let id: u64 = id.parse().unwrap_or(0);
    if account.faults.stale > 0 {
        account.faults.stale -= 1;
        let other = account.signer.other();
        return Reply::text(200, &other.join("\n"));
    }
    match account.certificates.get(&id) {
        // Twice, as the API was seen to do.
        Some(chain) => Reply::text(200, &format!("{}\r\n{}\r\n{}", chain[0], chain.join("\r\n"), chain[1])),
        None => refusal(account, 404, "not_found|certificate", "The certificate was not found."),
    }
}
