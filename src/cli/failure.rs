//! Errors of commands, and their exit codes.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

/// The exit codes of client commands. Stable: scripts branch on them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    Done = 0,
    /// Refused by the server, or an error without a code of its own.
    Error = 1,
    /// Wrong arguments, or a file of theirs that cannot be used.
    Usage = 2,
    NotFound = 3,
    /// In conflict with the present state, such as an operation in progress.
    Conflict = 4,
    OperationFailed = 5,
    OperationCancelled = 6,
    /// Unreachable, too busy, or out of time: the same command may succeed later.
    Unavailable = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

pub(crate) type Result<T> = std::result::Result<T, Box<Failure>>;

/// The report of a failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// The name of the gRPC code, where the server answered.
    pub(crate) code: Option<&'static str>,
    /// The reason of the contract, such as `PENDING_IN_PROGRESS`.
    pub(crate) reason: Option<String>,
    /// (field, what is wrong with it)
    pub(crate) violations: Vec<(String, String)>,
    /// Further facts of the server, by name.
    pub(crate) facts: BTreeMap<String, String>,
    pub(crate) retry_after: Option<Duration>,
    /// What to do.
    pub(crate) advice: Option<String>,
    /// Its causes, outermost first.
    pub(crate) causes: Vec<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            code: None,
            reason: None,
            violations: Vec::new(),
            facts: BTreeMap::new(),
            retry_after: None,
            advice: None,
            causes: Vec::new(),
        }
    }

    /// Ends the command without a word.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    pub(crate) fn usage(message: impl Into<String>) -> Box<Self> {
        Self::new(Exit::Usage, message).boxed()
    }

    /// The server answered without a part that the contract promises.
    pub(crate) fn incomplete_answer(part: &str) -> Box<Self> {
        Self::new(Exit::Error, format!("the server's response has no {part}"))
            .advise("is it a certmint server, and not older than this client? Check with `certmint doctor`")
            .boxed()
    }

    pub(crate) fn timed_out(what: &str, after: Duration) -> Self {
        Self::new(Exit::Unavailable, format!("{what} after {}", seconds(after)))
    }

    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    #[must_use]
    pub(crate) fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        self.causes = chain(error);
        self
    }

    pub(crate) fn boxed(self) -> Box<Self> {
        Box::new(self)
    }

    /// `error: MESSAGE`, then a line for each detail.
    pub(crate) fn to_text(&self, verbose: bool) -> String {
        let mut text = format!("error: {}\n", self.message);
        let mut line = |key: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {key}: {value}");
        };
        for (field, problem) in &self.violations {
            line(field, problem);
        }
        if let Some(reason) = &self.reason {
            line("reason", reason);
        }
        for (name, value) in &self.facts {
            line(name, value);
        }
        if let Some(after) = self.retry_after {
            line("retry after", &seconds(after));
        }
        if verbose {
            if let Some(code) = self.code {
                line("code", code);
            }
            for cause in &self.causes {
                line("cause", cause);
            }
        }
        if let Some(advice) = &self.advice {
            line("what to do", advice);
        }
        text
    }

    /// The same as one object.
    pub(crate) fn to_json(&self, verbose: bool) -> Value {
        let Self { exit, message, code, reason, violations, facts, retry_after, advice, causes } = self;
        let violations: Vec<Value> = violations
            .iter()
            .map(|(field, description)| json!({ "field": field, "description": description }))
            .collect();
        let mut error = json!({
            "message": message,
            "exit_code": *exit as u8,
            "code": code,
            "reason": reason,
            "field_violations": violations,
            "facts": facts,
            "retry_after_seconds": retry_after.map(|after| after.as_secs_f64()),
            "advice": advice,
        });
        if verbose {
            error["causes"] = json!(causes);
        }
        json!({ "error": error })
    }
}

/// An error and its causes, without the repetitions that wrappers add.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if causes.last().is_none_or(|last| *last != text) {
            causes.push(text);
        }
        next = error.source();
    }
    causes
}

/// `30s`, `0.25s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Failure {
        let mut failure = Failure::new(Exit::Error, "the policy cannot be used").advise("read the policy again");
        failure.code = Some("INVALID_ARGUMENT");
        failure.reason = Some("BAD_PARAMETER".into());
        failure.violations = vec![("policy.x509_properties.subject".into(), "not an X.500 name".into())];
        failure.retry_after = Some(Duration::from_millis(1500));
        failure.causes = vec!["a".into(), "b".into()];
        failure
    }

    #[test]
    fn text_has_the_message_first_and_causes_only_on_request() {
        let plain = "error: the policy cannot be used\n\
                     \x20 policy.x509_properties.subject: not an X.500 name\n\
                     \x20 reason: BAD_PARAMETER\n\
                     \x20 retry after: 1.5s\n\
                     \x20 what to do: read the policy again\n";
        assert_eq!(refused().to_text(false), plain);
        let verbose = refused().to_text(true);
        assert!(verbose.contains("  code: INVALID_ARGUMENT\n  cause: a\n  cause: b\n"), "{verbose}");
    }

    #[test]
    fn json_has_the_same_members_for_every_failure() {
        let keys = |value: &Value| -> Vec<String> { value["error"].as_object().unwrap().keys().cloned().collect() };
        let (full, bare) = (refused().to_json(false), Failure::new(Exit::Usage, "no").to_json(false));
        assert_eq!(keys(&full), keys(&bare));
        assert_eq!(full["error"]["field_violations"][0]["field"], "policy.x509_properties.subject");
        assert_eq!((&full["error"]["retry_after_seconds"], &bare["error"]["exit_code"]), (&json!(1.5), &json!(2)));
        assert_eq!(refused().to_json(true)["error"]["causes"], json!(["a", "b"]));
    }
}
