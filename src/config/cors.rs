//! Web origins that may call (CORS).

use crate::transport::cors::Origin;
use serde::Deserialize;

/// Pages of other origins (CORS).
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsSettings {
    /// Origins whose pages may call both APIs, such as `https://console.example`; `:*` stands for every port. Default
    /// none; in development mode `http://localhost:*` and `http://127.0.0.1:*`.
    pub origins: Option<Vec<Origin>>,
}

impl CorsSettings {
    /// The origins of this mode.
    pub fn origins(&self, dev: bool) -> Vec<Origin> {
        match &self.origins {
            Some(origins) => origins.clone(),
            None if dev => {
                ["http://localhost:*", "http://127.0.0.1:*"].iter().filter_map(|origin| origin.parse().ok()).collect()
            }
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_may_call_in_development_unless_others_are_named() {
        let count = |text: &str, dev| toml::from_str::<CorsSettings>(text).unwrap().origins(dev).len();
        assert_eq!((count("", true), count("", false), count("origins = []", true)), (2, 0, 0));
        assert_eq!(count("origins = ['https://console.example']", true), 1);
        let error = toml::from_str::<CorsSettings>("origins = ['*']").unwrap_err().to_string();
        assert!(error.contains("`*` is no origin"), "{error}");
    }
}
