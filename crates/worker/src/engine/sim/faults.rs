//! What goes wrong with a request.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use crate::{Error, SimFault};

/// The field of a request that says what goes wrong with it.
const FIELD: &str = "sim";

/// What goes wrong, by configuration and by request.
pub(super) struct Faults {
    configured: Vec<SimFault>,
    requests: AtomicU64,
}

impl Faults {
    pub fn new(configured: Vec<SimFault>) -> Self {
        Self {
            configured,
            requests: AtomicU64::new(0),
        }
    }

    /// What goes wrong with the next request: what its own fields say, or else the first of the
    /// configured faults whose turn it is. [`Error::Unsupported`] names a field that cannot be
    /// read.
    pub fn next(&self, mut fields: Map<String, Value>) -> Result<Option<SimFault>, Error> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(fault) = fields.remove(FIELD) {
            let fault = serde_json::from_value(fault).map_err(|error| Error::Unsupported {
                param: FIELD.to_owned(),
                problem: error.to_string(),
            })?;
            return Ok(Some(fault));
        }
        let configured = self.configured.iter();
        Ok(configured
            .clone()
            .find(|fault| number.is_multiple_of(fault.every.get()))
            .cloned())
    }
}
