//! The SOAP services of GCC on loopback, over HTTPS: what they know, and their faults as switches.

use crate::https::Https;
use crate::signer::Signer;
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use certmint::outbound::{ClientOptions, Clients, Error, ErrorKind, Exchange, Identity, Request, Response};
use http_body_util::Full;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

pub(crate) const PASSWORD: &str = "gcc<secret>&password";

#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) csr: String,
    /// `SubID`.
    pub(crate) reference: String,
    /// As `CertificateStatus` says it.
    pub(crate) status: &'static str,
    pub(crate) request: String,
    chain: Vec<String>,
}

#[derive(Clone, Default)]
pub(crate) struct Faults {
    /// The status of new orders; issued where nothing is said.
    pub(crate) first_status: Option<&'static str>,
    /// Orders are refused: number, field, message.
    pub(crate) refuse: Option<(i64, &'static str, &'static str)>,
    pub(crate) refuse_cancel: bool,
    /// The next so many calls end in a fault.
    pub(crate) down: u32,
    /// The next so many lists do not have new orders yet.
    pub(crate) lag: u32,
    /// Lists do not repeat `SubID`.
    pub(crate) no_reference: bool,
    /// The orders of a name are not listed.
    pub(crate) no_name_list: bool,
}

/// Everything that the server knows; requests of a test are counted, and lose their answer where it is asked for.
pub(crate) struct Mock {
    signer: Signer,
    /// Where it is reached, and the CA behind its HTTPS.
    pub(crate) url: Mutex<(String, String)>,
    /// The calls, by name.
    pub(crate) calls: Mutex<Vec<&'static str>>,
    pub(crate) orders: Mutex<Vec<Order>>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) requests: AtomicUsize,
    /// The answer to this request is lost, and the step with it.
    pub(crate) cut_after: AtomicUsize,
    pub(crate) cut: Notify,
    /// The answer to this request does not come.
    pub(crate) lose: AtomicUsize,
}

impl Mock {
    pub(crate) async fn start() -> Arc<Self> {
        let mock = Arc::new(Self {
            signer: Signer::new(),
            url: Mutex::default(),
            calls: Mutex::default(),
            orders: Mutex::default(),
            faults: Mutex::default(),
            requests: AtomicUsize::new(0),
            cut_after: AtomicUsize::new(0),
            cut: Notify::new(),
            lose: AtomicUsize::new(0),
        });
        let known = Arc::clone(&mock);
        let server = Https::start(None, move |asked| {
            assert_eq!(asked.head.headers["soapaction"], "\"\"");
            let body = String::from_utf8(asked.body.to_vec()).unwrap();
            let (status, text) = known.answer(asked.head.uri.path(), &body);
            let answer = http::Response::builder().status(status).header("content-type", "text/xml; charset=utf-8");
            answer.body(Full::new(Bytes::from(text))).unwrap()
        })
        .await;
        *mock.url.lock().unwrap() = (server.url, server.ca_pem);
        mock
    }

    /// How often this call was made.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|known| **known == call).count()
    }

    pub(crate) fn set_status(&self, status: &'static str) {
        for order in self.orders.lock().unwrap().iter_mut().filter(|order| order.status != "5") {
            order.status = status;
        }
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.lock().unwrap());
    }

    pub(crate) fn placed(&self) -> usize {
        self.orders.lock().unwrap().len()
    }

    fn answer(&self, url: &str, body: &str) -> (u16, String) {
        {
            let mut faults = self.faults.lock().unwrap();
            if faults.down > 0 {
                faults.down -= 1;
                return (500, soap("<soap:Fault><faultstring>Internal error</faultstring></soap:Fault>"));
            }
        }
        if text(body, "Password").as_deref() != Some(PASSWORD) {
            let given = text(body, "Password").unwrap_or_default();
            return (200, failure("Order", -4001, "AuthToken", &format!("Login failure for {}", escape(&given))));
        }
        let query = url.ends_with("/v1/GASService");
        for (call, is_query) in [
            ("PVOrder", false),
            ("ModifyMSSLOrder", false),
            ("GetMSSLDomains", false),
            ("GetOrderByOrderID", true),
            ("GetOrderByDateRange", true),
            ("GetCertificateOrders", true),
        ] {
            if body.contains(&format!("<gs:{call}>")) && query == is_query {
                self.calls.lock().unwrap().push(call);
                return (200, self.call(call, body));
            }
        }
        (500, soap("<soap:Fault><faultstring>Unknown operation</faultstring></soap:Fault>"))
    }

    fn call(&self, call: &str, body: &str) -> String {
        let faults = self.faults.lock().unwrap().clone();
        let mut orders = self.orders.lock().unwrap();
        match call {
            "GetMSSLDomains" => {
                let domain = |id: &str, name: &str, status: &str| {
                    format!(
                        "<SearchMsslDomainDetail><MSSLProfileID>P1</MSSLProfileID><MSSLDomainID>{id}</MSSLDomainID>\
                         <MSSLDomainName>{name}</MSSLDomainName><MSSLDomainStatus>{status}</MSSLDomainStatus>\
                         </SearchMsslDomainDetail>"
                    )
                };
                let list = domain("D1", "example.com", "3")
                    + &domain("D2", "deep.example.com", "3")
                    + &domain("D3", "refused.example", "1")
                    + &domain("D4", "example", "7");
                success("Query", &format!("<SearchMsslDomainDetails>{list}</SearchMsslDomainDetails>"))
            }
            "PVOrder" => {
                if let Some((number, field, message)) = faults.refuse {
                    return failure("Order", number, field, message);
                }
                let csr = text(body, "CSR").unwrap();
                let id = format!("CE{:08}", orders.len() + 1);
                let status = faults.first_status.unwrap_or("4");
                let reference = text(body, "SubID").unwrap_or_default();
                let (chain, request) = (self.sign(&csr), body.to_owned());
                orders.push(Order { id: id.clone(), reference, chain, csr, status, request });
                success("Order", &format!("<OrderID>{id}</OrderID><PVOrderDetail/>"))
            }
            "GetOrderByOrderID" => {
                let wanted = text(body, "OrderID").unwrap();
                match orders.iter().find(|order| order.id == wanted) {
                    Some(order) => success("Order", &format!("<OrderID>{wanted}</OrderID>{}", detail(order))),
                    None => failure("Order", -9916, "OrderID", "The order was not found"),
                }
            }
            "GetCertificateOrders" if faults.no_name_list => failure("Query", -104, "FQDN", "Not for this account"),
            "GetCertificateOrders" => {
                let mut faults = self.faults.lock().unwrap();
                let wanted = text(body, "FQDN").unwrap();
                let listed = if faults.lag > 0 { 0 } else { orders.len() };
                faults.lag = faults.lag.saturating_sub(1);
                let of_name = orders.iter().take(listed).filter(|order| name_of(&order.csr) == wanted);
                let line = |order: &Order| {
                    let reference = if faults.no_reference { "" } else { order.reference.as_str() };
                    format!(
                        "<SearchOrderDetail><OrderID>{}</OrderID><OrderStatus>{}</OrderStatus><SubId>{reference}</SubId>\
                         <FQDN>{wanted}</FQDN></SearchOrderDetail>",
                        order.id, order.status
                    )
                };
                let list: String = of_name.map(line).collect();
                success("Query", &format!("<SearchOrderDetails>{list}</SearchOrderDetails>"))
            }
            "GetOrderByDateRange" => {
                let mut faults = self.faults.lock().unwrap();
                let listed = if faults.lag > 0 { 0 } else { orders.len() };
                faults.lag = faults.lag.saturating_sub(1);
                let list: String = orders.iter().take(listed).map(detail).collect();
                success("Query", &format!("<OrderDetails>{list}</OrderDetails>"))
            }
            _ => {
                if faults.refuse_cancel {
                    return failure("Order", -9905, "OrderID", "The order cannot be cancelled");
                }
                let wanted = text(body, "OrderID").unwrap();
                assert_eq!(text(body, "ModifyOrderOperation").as_deref(), Some("CANCEL"));
                for order in orders.iter_mut().filter(|order| order.id == wanted) {
                    order.status = "5";
                }
                success("Order", "")
            }
        }
    }

    fn sign(&self, csr: &str) -> Vec<String> {
        let name = name_of(csr);
        self.signer.sign(&der(csr), &name, std::slice::from_ref(&name), 180)
    }
}

fn der(csr: &str) -> Vec<u8> {
    let base64: String = csr.lines().filter(|line| !line.contains("-----")).collect();
    STANDARD.decode(base64).unwrap()
}

/// The common name of a request.
fn name_of(csr: &str) -> String {
    let der = der(csr);
    let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
    let subject = request.certification_request_info.subject.to_string();
    subject.trim_start_matches("CN=").to_owned()
}

fn detail(order: &Order) -> String {
    let issued = order.status == "4";
    let certificate = if issued { order.chain[0].as_str() } else { "" };
    let cas: String =
        order.chain[1..].iter().map(|pem| format!("<CACertificate><CACert>{pem}</CACert></CACertificate>")).collect();
    let cas = if issued { format!("<CACertificates>{cas}</CACertificates>") } else { String::new() };
    format!(
        "<OrderDetail><OrderInfo><OrderID>{}</OrderID></OrderInfo>\
         <CertificateInfo><CertificateStatus>{}</CertificateStatus></CertificateInfo>\
         <Fulfillment>{cas}<ServerCertificate><X509Cert>{certificate}</X509Cert></ServerCertificate>\
         <OriginalCSR>{}</OriginalCSR></Fulfillment></OrderDetail>",
        order.id, order.status, order.csr
    )
}

fn soap(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <soap:Body>{body}</soap:Body></soap:Envelope>"
    )
}

fn success(kind: &str, rest: &str) -> String {
    soap(&format!(
        "<ns2:R xmlns:ns2=\"urn:x\"><Response><{kind}ResponseHeader><SuccessCode>0</SuccessCode>\
         </{kind}ResponseHeader>{rest}</Response></ns2:R>"
    ))
}

fn failure(kind: &str, number: i64, field: &str, message: &str) -> String {
    soap(&format!(
        "<ns2:R xmlns:ns2=\"urn:x\"><Response><{kind}ResponseHeader><SuccessCode>-1</SuccessCode><Errors><Error>\
         <ErrorCode>{number}</ErrorCode><ErrorField>{field}</ErrorField><ErrorMessage>{message}</ErrorMessage>\
         </Error></Errors></{kind}ResponseHeader></Response></ns2:R>"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The text of the first element of this name.
pub(crate) fn text(body: &str, name: &str) -> Option<String> {
    let rest = body.split_once(&format!("<{name}>"))?.1;
    let text = rest.split_once(&format!("</{name}>"))?.0;
    Some(
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&"),
    )
}

/// The way to the mock, which can lose an answer or cut the power after one.
struct Line {
    mock: Arc<Mock>,
    inner: Arc<dyn Exchange>,
}

#[async_trait]
impl Exchange for Line {
    async fn exchange(&self, request: Request) -> Result<Response, Error> {
        let answer = self.inner.exchange(request).await;
        let count = self.mock.requests.fetch_add(1, Ordering::SeqCst) + 1;
        if count == self.mock.cut_after.load(Ordering::SeqCst) {
            self.mock.cut.notify_one();
            std::future::pending::<()>().await;
        }
        if count == self.mock.lose.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Timeout, "The answer did not come."));
        }
        answer
    }
}

/// Makes real clients over lines that can break.
pub(crate) struct Lines(pub(crate) Arc<Mock>);

impl Clients for Lines {
    fn client(&self, extra_roots: Option<&str>) -> Result<Arc<dyn Exchange>, Error> {
        let options = ClientOptions { native_roots: false, ..ClientOptions::default() };
        let inner = options.client(extra_roots)?;
        Ok(Arc::new(Line { mock: Arc::clone(&self.0), inner }))
    }

    fn client_with(&self, _: Option<&str>, _: &Identity) -> Result<Arc<dyn Exchange>, Error> {
        Err(Error::new(ErrorKind::Settings, "GCC knows no client certificates."))
    }
}
