//! What an issuer object of a plug-in is checked for before the plug-in is asked: its options exist, required ones are
//! there, and values are of their kind.

use super::description::Description;
use crate::domain;
use crate::issuer::provider::{IssuerInput, OptionKind};

/// Where callers find a field of an issuer object.
pub(super) fn path(field: &str) -> String {
    match field {
        "account_id" => "credentials.account_id".to_owned(),
        "password" => "credentials.pwd".to_owned(),
        "organization_id" => "org_details.id".to_owned(),
        option => format!("options.{option}"),
    }
}

fn problem(field: &str, problem: impl Into<String>) -> domain::Error {
    domain::Error::field(path(field), problem)
}

/// # Errors
/// The first option that is wrong, and how; never its value.
pub(super) fn check(description: &Description, input: &IssuerInput) -> domain::Result<()> {
    let Description { schema, members, .. } = description;
    schema.check(input)?;
    let is_address =
        |value: &str| value.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some());
    for option in schema.options.iter().filter(|option| option.kind == OptionKind::Url) {
        let given = input.options.get(option.name).map(|value| value.trim()).filter(|value| !value.is_empty());
        if given.is_some_and(|value| !is_address(value)) {
            let hint = "Not an address: write it with its scheme, such as https://ca.example.";
            return Err(problem(option.name, hint));
        }
    }
    let blank = |text: &str| text.trim().is_empty();
    let missing_option = schema.options.iter().find(|option| {
        let given = match option.kind {
            OptionKind::Secret => input.secrets.get(option.name).is_some_and(|secret| !blank(secret)),
            OptionKind::Map => input.options.keys().any(|name| option.is_called(name)),
            _ => input.options.get(option.name).is_some_and(|value| !blank(value)),
        };
        option.required && option.default.is_none() && !given
    });
    let missing_member = members.iter().find(|member| {
        let given = match member.name {
            "account_id" => input.account_id.as_deref().is_some_and(|id| !blank(id)),
            "password" => input.password.as_ref().is_some_and(|password| !password.is_empty()),
            _ => input.organization.as_ref().and_then(|it| it.id.as_deref()).is_some_and(|id| !blank(id)),
        };
        member.required && !given
    });
    match missing_option.or(missing_member) {
        Some(missing) => Err(problem(missing.name, format!("Required: {}", missing.help))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::plugin::v1 as pb;
    use zeroize::Zeroizing;

    fn described() -> Description {
        let option = |name: &str, kind: pb::OptionKind| pb::Option {
            name: name.into(),
            kind: kind.into(),
            choices: vec!["a".into(), "b".into()],
            minimum: 1,
            maximum: 9,
            ..Default::default()
        };
        let required = |option| pb::Option { required: true, ..option };
        let with_default = |option| pb::Option { default_value: "x".into(), ..option };
        let answer = pb::DescribeResponse {
            protocol_versions: Some(pb::VersionRange { minimum: 1, maximum: 1 }),
            options: vec![
                option("flag", pb::OptionKind::Boolean),
                option("count", pb::OptionKind::Integer),
                pb::Option { maximum: 0, ..option("many", pb::OptionKind::Integer) },
                option("kind", pb::OptionKind::Choice),
                option("url", pb::OptionKind::Url),
                option("tag", pb::OptionKind::Map),
                required(option("token", pb::OptionKind::Secret)),
                required(with_default(option("mount", pb::OptionKind::Text))),
            ],
            members: vec![required(option("account_id", pb::OptionKind::Text))],
            ..Default::default()
        };
        Description::read("Corp", answer, 1).unwrap()
    }

    fn input(options: &[(&str, &str)]) -> IssuerInput {
        IssuerInput {
            options: options.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            secrets: [("token".to_owned(), Zeroizing::new("s3cret".to_owned()))].into(),
            account_id: Some("7".into()),
            ..IssuerInput::default()
        }
    }

    #[test]
    fn values_of_their_kind_are_taken() {
        let good =
            [("flag", "true"), ("count", "9"), ("many", "99999"), ("kind", "b"), ("url", "https://x"), ("tag.k", "v")];
        check(&described(), &input(&good)).unwrap();
        check(&described(), &input(&[("flag", "")])).unwrap();
    }

    #[test]
    fn the_first_that_is_wrong_is_named_with_the_cure_and_without_its_value() {
        for (option, says) in [
            (("flag", "s3cret"), "options.flag has invalid value. Must be true or false."),
            (("count", "10"), "Must be a number from 1 to 9."),
            (("many", "0"), "Must be a number from 1 to"),
            (("kind", "s3cret"), "Must be one of a, b."),
            (("url", "s3cret"), "Not an address"),
            (("tag", "v"), "Unknown option. Corp has: flag, count"),
            (("tag.", "v"), "Unknown option."),
            (("token", "s3cret"), "send it as a secret option"),
        ] {
            let error = check(&described(), &input(&[option])).unwrap_err().message;
            assert!(error.contains(says) && !error.contains("s3cret"), "{error}");
        }
        let without = IssuerInput { secrets: Default::default(), ..input(&[]) };
        assert!(
            check(&described(), &without).unwrap_err().message.contains("options.token has invalid value. Required")
        );
        let without = IssuerInput { account_id: Some(" ".into()), ..input(&[]) };
        assert!(check(&described(), &without).unwrap_err().message.contains("credentials.account_id"));
    }
}
