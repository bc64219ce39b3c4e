//! The common names of built-in authorities: no two keys under one name, since whoever looks for a CA by its name (CRLs,
//! OCSP, trust stores) would mix them up.

use crate::domain::issuer::Organization;
use crate::domain::{Error, IssuerName, Result, VaultName, text};

/// Longest common name in characters (RFC 5280 appendix A.1, ub-common-name).
pub const MAX_COMMON_NAME: usize = 64;

/// Suffix of the common name of an intermediate.
const ISSUING: &str = " Issuing";
/// The common name of a root that has no subject of its own: the id of the organization, or one made of the names of
/// issuer and vault.
///
/// # Errors
/// `BadParameter` for an organization id that is too long for it, or not readable.
pub fn common_name(vault: &VaultName, issuer: &IssuerName, organization: Option<&Organization>) -> Result<String> {
    let given = organization.and_then(|organization| organization.id.as_deref()).map(str::trim);
    let Some(id) = given.filter(|id| !id.is_empty()) else {
        return Ok(shortened(&format!("{issuer} CA ({vault})"), &format!("{issuer} CA")));
    };
    if id.chars().count() > MAX_COMMON_NAME {
        return Err(Error::field(
            "org_details.id",
            format!("It becomes the common name of the CA, which has at most {MAX_COMMON_NAME} characters."),
        ));
    }
    match text::problem(id) {
        Some(problem) => Err(Error::field("org_details.id", problem)),
        None => Ok(id.to_owned()),
    }
}

/// The common name of the authority that is the `number`th of that name: two keys under one name are mixed up by
/// whoever looks for a CA by its name (CRLs, OCSP, trust stores).
pub fn numbered(common_name: &str, number: u32) -> String {
    if number <= 1 {
        return common_name.to_owned();
    }
    let number = format!(" {number}");
    let room = MAX_COMMON_NAME.saturating_sub(number.chars().count());
    format!("{}{number}", common_name.chars().take(room).collect::<String>().trim_end())
}

/// The name, and then the same with higher and higher numbers at its end: `Root`, `Root 2` …; `Root 3`, `Root 4` ….
pub fn name_and_next(name: &str) -> impl Iterator<Item = String> {
    let (before, number) = match name.rsplit_once(' ').map(|(before, number)| (before, number.parse::<u32>())) {
        // Larger ones are years and the like.
        Some((before, Ok(number @ 1..1000))) if !before.is_empty() => (before, number),
        _ => (name, 1),
    };
    let before = before.to_owned();
    std::iter::once(name.to_owned())
        .chain((number.saturating_add(1)..=u32::MAX).map(move |number| numbered(&before, number)))
}

/// The common names of all certificates that an authority of this name may have.
pub fn names(common_name: &str) -> [String; 2] {
    let room = MAX_COMMON_NAME.saturating_sub(ISSUING.len());
    let short: String = common_name.chars().take(room).collect();
    [common_name.to_owned(), format!("{}{ISSUING}", short.trim_end())]
}

/// Whether `name` is the common name, with or without a number.
pub fn is_numbered(name: &str, common_name: &str) -> bool {
    let number = name.rsplit_once(' ').and_then(|(_, number)| number.parse().ok());
    name == common_name || number.is_some_and(|number| name == numbered(common_name, number))
}

/// The form in which common names compare: without case and repeated spaces (RFC 5280 section 7.1).
pub fn comparable_name(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The first that fits, or as much of the second as does.
fn shortened(wanted: &str, short: &str) -> String {
    if wanted.chars().count() <= MAX_COMMON_NAME {
        return wanted.to_owned();
    }
    short.chars().take(MAX_COMMON_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_of_one_name_are_numbered() {
        assert_eq!(
            [1, 2, 12].map(|number| numbered("Example Root", number)),
            ["Example Root", "Example Root 2", "Example Root 12"]
        );
        for (name, next) in [
            ("Root", "Root 2"),
            ("Root 1", "Root 2"),
            ("Root 9", "Root 10"),
            ("2", "2 2"),
            ("Root 2026", "Root 2026 2"),
        ] {
            assert_eq!(name_and_next(name).take(2).collect::<Vec<_>>(), [name, next]);
        }
        let long = "x".repeat(MAX_COMMON_NAME);
        assert_eq!(numbered(&long, 10), format!("{} 10", "x".repeat(61)));
        for (name, common_name, is) in [
            ("Example Root", "Example Root", true),
            ("Example Root 2", "Example Root", true),
            ("Example Root 2", "Example Root 2", true),
            (&numbered(&long, 10), long.as_str(), true),
            ("Example Root", "Example Root 2", false),
            ("Example Root x", "Example Root", false),
            ("Other Root 2", "Example Root", false),
        ] {
            assert_eq!(is_numbered(name, common_name), is, "{name}, {common_name}");
        }
    }
}
