//! Programs of others.

use std::process::{Child, Command, Output, Stdio};

/// What a command prints; it has to succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{command:?}: {}{text}", String::from_utf8_lossy(&stderr));
    text
}

/// Whether it succeeds, and all that it prints.
pub(crate) fn ask(program: &str, arguments: &str) -> (bool, String) {
    let Output { status, stdout, stderr } =
        Command::new(program).args(arguments.split_whitespace()).stdin(Stdio::null()).output().unwrap();
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

pub(crate) fn openssl(arguments: &str) -> String {
    let (good, text) = ask("openssl", arguments);
    assert!(good, "openssl {arguments}: {text}");
    text
}

/// Of a list in DER.
pub(crate) fn crl_number(file: &str) -> u64 {
    let text = openssl(&format!("crl -inform DER -in {file} -noout -crlnumber"));
    let number = text.trim().trim_start_matches("crlNumber=").trim_start_matches("0x");
    u64::from_str_radix(number, 16).unwrap()
}

/// A program that runs until it is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}
