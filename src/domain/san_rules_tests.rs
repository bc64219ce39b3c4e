//! Valid names of each kind, and invalid ones with their error texts.

use super::*;

fn all_pass(rule: fn(&str) -> Problem, good: &[&str]) {
    for name in good {
        assert_eq!(rule(name), None, "{name}");
    }
}

fn all_fail(rule: fn(&str) -> Problem, bad: &[(&str, &str)]) {
    for (name, words) in bad {
        let found = rule(name).unwrap_or_else(|| panic!("{name:?} passed"));
        assert!(found.contains(words), "{name:?}: {found}");
    }
}

#[test]
fn dns_names() {
    let long = vec!["a".repeat(49); 5].join(".");
    let label = "a".repeat(63);
    all_pass(
        dns_problem,
        &[
            "a.example",
            "*.a.example",
            "localhost",
            "A.Example",
            "_x.a-b.example",
            "my_host",
            "1.example",
            "3com",
            "xn--mnchen-3ya.example",
            "r3---sn-a.example",
            "*.localhost",
            &long,
            &label,
            "a.b.c.d.e.f",
        ],
    );
    let (longer, long_label) = (format!("{long}.abcde"), "a".repeat(64));
    all_fail(
        dns_problem,
        &[
            ("", "empty"),
            ("10.0.0.1", "ipAddresses"),
            ("::1", "ipAddresses"),
            ("2001:db8::1", "ipAddresses"),
            ("1.2.3", "ipAddresses"),
            ("*.10.0.0.1", "ipAddresses"),
            ("host.123", "last label"),
            ("https://a.example", "uris"),
            ("a@b.example", "emails"),
            ("a.example.", "dot"),
            (".a.example", "dot"),
            ("a..b", "empty"),
            ("*", "first label"),
            ("*.", "first label"),
            ("a.*.b", "first label"),
            ("a*.b.example", "first label"),
            ("*.*.b.example", "first label"),
            ("-a.b", "begin or end"),
            ("a-.b", "begin or end"),
            ("a b.example", "letters"),
            (" a.example", "letters"),
            ("a.example ", "letters"),
            ("a.example/x", "letters"),
            ("a.example:443", "letters"),
            ("ü.example", "xn--"),
            ("xn--.example", "begin or end"),
            ("xn--a-.example", "begin or end"),
            ("xn--99999999.example", "Punycode"),
            (&longer, "253"),
            (&long_label, "63"),
        ],
    );
}

#[test]
fn emails() {
    all_pass(email_problem, &["a@b.example", "a.b+c@x.example", "o'neil@a.example", "a@localhost"]);
    let long = format!("{}@a.example", "a".repeat(65));
    all_fail(
        email_problem,
        &[
            ("", "name@host"),
            ("nobody", "name@host"),
            ("a..b@x.example", "single dots"),
            (".a@x.example", "single dots"),
            ("a.@x.example", "single dots"),
            ("@x.example", "single dots"),
            ("a b@x.example", "single dots"),
            ("a@b@x.example", "single dots"),
            ("a@*.x.example", "host is wrong"),
            ("a@", "host is wrong"),
            ("a@x.example.", "host is wrong"),
            ("a@-x.example", "host is wrong"),
            ("a@10.0.0.1", "not an IP address"),
            ("a@[10.0.0.1]", "host is wrong"),
            ("ü@x.example", "ASCII"),
            ("<a@x.example>", "single dots"),
            (&long, "64"),
        ],
    );
}

#[test]
fn user_principal_names() {
    all_pass(upn_problem, &["u@a.example", "someone@tenant", "Zoë Ü@tenant.example", "a.b@münchen.example"]);
    all_fail(
        upn_problem,
        &[
            ("", "1 to 1024"),
            ("nobody", "one @"),
            ("@a.example", "one @"),
            ("u@", "domain"),
            ("u@a@b", "one @"),
            ("u@a..b", "domain"),
            ("u@*.a.example", "domain"),
            (" u@a.example", "space"),
            ("u @a.example", "space"),
            ("u@a.example ", "domain"),
            ("u\u{202e}@a.example", "U+202E"),
            ("u\n@a.example", "U+000A"),
        ],
    );
}

#[test]
fn uris() {
    all_pass(
        uri_problem,
        &[
            "https://a.example",
            "https://a.example:8443/b?c=d#e",
            "https://[2001:db8::1]:443/",
            "http://10.0.0.1",
            "spiffe://trust.example/a/b",
            "spiffe://td",
            "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "mailto:a@b.example",
            "tag:a.example,2026:x",
            "ldap://a.example/o=b?c",
            "https://user:pw@a.example/%20",
            "https://a.example:/",
        ],
    );
    all_fail(
        uri_problem,
        &[
            ("", "scheme"),
            ("noscheme", "scheme"),
            ("https:", "scheme"),
            ("1a:b", "scheme"),
            ("//a.example", "scheme"),
            ("https://", "no host"),
            ("https:///path", "no host"),
            ("https://:443/", "no host"),
            ("https://?a", "no host"),
            ("http:a", "no host"),
            ("HTTPS:/a", "no host"),
            ("wss:a", "no host"),
            ("ftp:/a/b", "no host"),
            ("http://[::1", "IPv6"),
            ("http://[a.example]", "IPv6"),
            ("http://[::1]x", "port"),
            ("http://a.example:x", "port"),
            ("http://a.example:65536", "port"),
            ("http://a.example:+1", "port"),
            ("http://a..example", "host of the URI"),
            ("http://*.example", "host of the URI"),
            ("http://a example", "host of the URI"),
            ("http://1.2.3", "host of the URI"),
            ("http://a.example/a b", "hex"),
            ("http://a.example/%", "hex"),
            ("http://a.example/%zz", "hex"),
            ("http://a.example/ü", "hex"),
            ("http://a.example/<x>", "hex"),
            ("http://ü.example/", "xn--"),
            (" https://a.example", "scheme"),
        ],
    );
}

#[test]
fn addresses() {
    all_pass(address_problem, &["10.0.0.1", "::1", "2001:db8::1", "::ffff:10.0.0.1"]);
    all_fail(
        address_problem,
        &[
            ("", "IPv4"),
            ("10.0.0.256", "IPv4"),
            ("10.0.0", "IPv4"),
            ("010.0.0.1", "IPv4"),
            ("10.0.0.0/8", "network"),
            ("fe80::1%eth0", "IPv4"),
            ("[::1]", "IPv4"),
            (" ::1", "IPv4"),
            ("a.example", "dns_names"),
        ],
    );
}
