//! Variables of the environment: each given by itself, or by a file that `NAME_FILE` names.

use std::str::FromStr;

use super::{ConfigError, invalid};

/// What gives the values of variables.
pub(super) struct Variables<'a> {
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Variables<'_> {
    /// The value, from the variable or from the file; empty counts as absent.
    pub(super) fn text(&self, variable: &'static str) -> Result<Option<String>, ConfigError> {
        let direct = (self.lookup)(variable).filter(|value| !value.trim().is_empty());
        let file = (self.lookup)(&format!("{variable}_FILE")).filter(|value| !value.trim().is_empty());
        match (direct, file) {
            (Some(_), Some(_)) => Err(ConfigError::Twice { variable }),
            (Some(value), None) => Ok(Some(value.trim().to_owned())),
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(content) => Ok(Some(content.trim().to_owned()).filter(|value| !value.is_empty())),
                Err(source) => Err(ConfigError::File { variable, path, source }),
            },
            (None, None) => Ok(None),
        }
    }

    /// The value of one that must be given.
    pub(super) fn required(&self, variable: &'static str, wanted: &'static str) -> Result<String, ConfigError> {
        self.text(variable)?.ok_or(ConfigError::Missing { variable, wanted })
    }

    /// The value as what it stands for.
    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, variable: &'static str, wanted: &'static str) -> Result<Option<T>, ConfigError> {
        self.text(variable)?.map(|text| text.parse().map_err(|error: T::Err| invalid(variable, error.to_string(), wanted))).transpose()
    }

    /// Values with commas between.
    pub(super) fn list<T: FromStr<Err: std::fmt::Display>>(&self, variable: &'static str, wanted: &'static str) -> Result<Vec<T>, ConfigError> {
        self.text(variable)?
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().map_err(|error: T::Err| invalid(variable, format!("“{part}”: {error}"), wanted)))
            .collect()
    }

    /// Yes or no; no when absent.
    pub(super) fn flag(&self, variable: &'static str) -> Result<bool, ConfigError> {
        match self.text(variable)?.as_deref() {
            None | Some("0" | "false" | "no") => Ok(false),
            Some("1" | "true" | "yes") => Ok(true),
            Some(other) => Err(invalid(variable, format!("“{other}”"), "Use true or false.")),
        }
    }
}
