//! Reading variables and collecting findings.

use url::Url;

use super::{Finding, SettingsError};

pub(super) struct Lookup<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    findings: Vec<Finding>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, findings: Vec::new() }
    }

    /// The value; an empty one counts as unset.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    pub(super) fn finding(&mut self, name: &str, problem: &'static str) {
        self.findings.push(Finding { variable: name.to_owned(), problem });
    }

    pub(super) fn port(&mut self, name: &str, default: u16) -> u16 {
        match self.get(name).map(|text| text.parse::<u16>()) {
            None => default,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => {
                self.finding(name, "must be a port number from 1 to 65535");
                default
            }
        }
    }

    /// A whole number above zero.
    pub(super) fn positive(&mut self, name: &str, max: u64) -> Option<u64> {
        let number = self.get(name)?.parse::<u64>().ok().filter(|number| (1..=max).contains(number));
        if number.is_none() {
            self.finding(name, "must be a whole number above zero (of days at most 36500)");
        }
        number
    }

    pub(super) fn truth(&mut self, name: &str) -> bool {
        match self.get(name).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.finding(name, "must be `true` or `false`");
                false
            }
        }
    }

    pub(super) fn url(&mut self, name: &str) -> Option<Url> {
        let url = self.get(name)?.parse::<Url>().ok();
        if url.is_none() {
            self.finding(name, "must be a URL with its scheme; user and password percent-encoded");
        }
        url
    }

    pub(super) fn finish(self) -> Result<(), SettingsError> {
        if self.findings.is_empty() { Ok(()) } else { Err(SettingsError { findings: self.findings }) }
    }
}
