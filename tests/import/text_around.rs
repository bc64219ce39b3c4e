//! Text and blocks of other kinds around PEM blocks are ignored; a damaged block is not taken for text.

use crate::import::tools::{Folder, P256, import, parse};
use der::Encode;
use der::asn1::OctetString;

/// Read by both with this around it.
fn ignored(folder: &Folder, before: &str, after: &str) {
    let leaf = folder.der("leaf");
    let text = format!("{before}\n{}{after}\n", String::from_utf8(folder.both()).unwrap());
    let imported = import(text.as_bytes(), "").unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(imported.chain.leaf, leaf);
    let text = format!("{before}\n{}{after}\n", folder.text("leaf.pem"));
    assert_eq!(parse(&[text.clone().into_bytes()]).unwrap_or_else(|error| panic!("{text}: {error}")), [leaf]);
}

fn block(label: &str, text: &str) -> String {
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[test]
fn text_about_blocks_is_ignored() {
    let folder = Folder::with_chain(P256);
    for text in [
        "# paste between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE----- and -----END CERTIFICATE----- are the lines",
        "see -----BEGIN below",
        "Here -----BEGIN is a chain-----",
        "#-----BEGIN CERTIFICATE-----\n#MIIB\n#-----END CERTIFICATE-----",
        "// -----END CERTIFICATE-----",
    ] {
        ignored(&folder, text, "");
        ignored(&folder, "", text);
    }
}

#[test]
fn blocks_of_other_kinds_are_ignored_beside_a_certificate() {
    let folder = Folder::with_chain(P256);
    folder.write("empty.txt", b"");
    folder.write("crl.cnf", b"[ca]\ndefault_ca=d\n[d]\ndatabase=empty.txt\ndefault_md=sha256\ndefault_crl_days=9\n");
    folder.openssl("ca -gencrl -config crl.cnf -keyfile root.key -cert root.pem -out list.pem");
    folder.openssl("crl2pkcs7 -in list.pem -out list.p7");
    folder.openssl("cms -encrypt -in crl.cnf -outform PEM -out secret.pem leaf.pem");
    for other in [
        block("ATTRIBUTE CERTIFICATE", "MAAwAA=="),
        block("PGP SIGNATURE", "\niQEzBAEBCAAdFiEE"),
        block("PGP PUBLIC KEY BLOCK", "\nmQENBF\n=abcd"),
        block("SSL SESSION PARAMETERS", "MAMCAQE="),
        block("SOMETHING ELSE", "what?"),
        folder.text("list.p7"),
        folder.text("secret.pem"),
    ] {
        ignored(&folder, &other, "");
        ignored(&folder, "", &other);
    }
    // Alone they are named.
    for (file, words) in [("list.p7", "PKCS#7 file without a certificate"), ("secret.pem", "than SignedData")] {
        for error in [import(&folder.read(file), "").unwrap_err(), parse(&[folder.read(file)]).unwrap_err()] {
            assert!(error.message.contains(words), "{error}");
        }
    }
    let pgp =
        format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nhello\n{}", block("PGP SIGNATURE", "\niQEz"));
    for error in [import(pgp.as_bytes(), "").unwrap_err(), parse(&[pgp.into_bytes()]).unwrap_err()] {
        assert!(error.message.contains("This is OpenPGP"), "{error}");
    }
}

#[test]
fn a_damaged_block_is_no_text() {
    let folder = Folder::with_chain(P256);
    let (both, above) = (String::from_utf8(folder.both()).unwrap(), folder.text("above.pem"));
    let damaged = above.replacen("\nMII", "\nM!II", 1);
    let cut = &above[..above.len() - 40];
    for (text, words) in [
        (both.clone() + &damaged, "is not base64"),
        (both.replace('\n', "\\n") + &damaged.replace('\n', "\\n"), "is not base64"),
        (both.clone() + &damaged.replace('\n', " "), "is not base64"),
        (both.clone() + cut, "has no line -----END CERTIFICATE-----"),
        (both.clone() + &above[..20], "A PEM line is incomplete"),
        (both.clone() + &block("CERTIFICATE", ""), "The PEM block CERTIFICATE in it is empty."),
    ] {
        let error = import(text.as_bytes(), "").unwrap_err();
        assert!(error.message.contains(words), "{words}: {error}");
    }
    // What was taken for text is told where something is missing.
    let text = format!("{}# -----BEGIN PRIVATE KEY-----\n#MIIB\n", folder.text("leaf.pem"));
    let error = import(text.as_bytes(), "").unwrap_err().message;
    assert!(error.contains("It holds no private key") && error.contains("no line -----END PRIVATE KEY"), "{error}");
}

#[test]
fn headers_of_a_block_say_whether_it_is_encrypted() {
    let folder = Folder::with_chain(P256);
    let with = |header: &str| {
        let begin = "-----BEGIN CERTIFICATE-----\n";
        folder.text("leaf.key") + &folder.text("leaf.pem").replace(begin, &format!("{begin}{header}\n\n"))
    };
    for header in ["Proc-Type: 4,MIC-CLEAR", "Comment: x"] {
        assert_eq!(import(with(header).as_bytes(), "").unwrap().chain.leaf, folder.der("leaf"));
    }
    let error = import(with("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00").as_bytes(), "").unwrap_err();
    assert!(error.message.contains("The PEM block CERTIFICATE in it is encrypted"), "{error}");
}

#[test]
fn many_beginnings_take_no_time() {
    let lines = "-----BEGIN CERTIFICATE-----\n".repeat(30_000);
    assert!(import(lines.as_bytes(), "").is_err());
    let mentions = format!("see {}", "-----BEGIN CERTIFICATE----- or ".repeat(30_000));
    assert!(import(mentions.as_bytes(), "").is_err());
}

#[test]
fn bytes_behind_der_are_ignored_but_not_a_structure_that_was_cut_off() {
    let folder = Folder::with_chain(P256);
    let (file, other) = (folder.pfx("pw", ""), OctetString::new(vec![0; 300]).unwrap().to_der().unwrap());
    for behind in [&b"0"[..], b"0000", b"00", b"0\x05", b"\xff\xff", b"\x1a", b"abc", &other] {
        let text = [&file[..], behind].concat();
        let imported = import(&text, "pw").unwrap_or_else(|error| panic!("{behind:x?}: {error}"));
        assert_eq!(imported.chain.leaf, folder.der("leaf"));
    }
    for cut in [4, 5, 100] {
        let error = import(&[&file[..], &file[..cut]].concat(), "pw").unwrap_err();
        assert!(error.message.contains("it is cut off"), "{error}");
    }
}
