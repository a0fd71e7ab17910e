//! How tokens are drawn, and where a text ends.

use fathom_api::bounds;
use fathom_api::sampling::{LogitBias as ApiLogitBias, OneOrMany};
use fathom_proto::inference::{LogitBias, Sampling};

use crate::error::ApiError;

/// The public fields.
pub struct Fields {
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// Above 0, at most 1.
    pub top_p: Option<f32>,
    /// 0: all tokens.
    pub top_k: Option<u32>,
    /// 0 to 1.
    pub min_p: Option<f32>,
    /// Any.
    pub seed: Option<i64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// -2 to 2.
    pub presence_penalty: Option<f32>,
    /// -100 to 100 for each token id.
    pub logit_bias: Option<ApiLogitBias>,
}

impl Fields {
    /// The domain's form of them.
    pub fn check(self) -> Result<Sampling, ApiError> {
        let top_p = in_range("top_p", self.top_p, bounds::TOP_P)?;
        if top_p == Some(0.0) {
            return Err(ApiError::invalid(
                "top_p",
                "`top_p` is 0; it must be above 0 and at most 1",
            ));
        }
        Ok(Sampling {
            temperature: in_range("temperature", self.temperature, bounds::TEMPERATURE)?,
            top_p,
            // Other servers let 0 stand for all tokens.
            top_k: self.top_k.filter(|count| *count > 0),
            min_p: in_range("min_p", self.min_p, bounds::MIN_P)?,
            // A negative seed is as good as any other; only its bits count.
            seed: self.seed.map(i64::cast_unsigned),
            frequency_penalty: in_range(
                "frequency_penalty",
                self.frequency_penalty,
                bounds::PENALTY,
            )?,
            presence_penalty: in_range("presence_penalty", self.presence_penalty, bounds::PENALTY)?,
            logit_bias: logit_bias(self.logit_bias.unwrap_or_default())?,
        })
    }
}

/// A number within its bounds.
pub fn in_range(
    name: &str,
    value: Option<f32>,
    (low, high): (f32, f32),
) -> Result<Option<f32>, ApiError> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            let message = format!("`{name}` is {value}; it must be from {low} to {high}");
            Err(ApiError::invalid(name, message))
        }
        asked => Ok(asked),
    }
}

fn logit_bias(biases: ApiLogitBias) -> Result<Vec<LogitBias>, ApiError> {
    let invalid = |message| ApiError::invalid("logit_bias", message);
    let (low, high) = bounds::LOGIT_BIAS;
    if biases.len() > bounds::LOGIT_BIASES {
        return Err(invalid(format!(
            "`logit_bias` holds {} tokens; at most {} are allowed",
            biases.len(),
            bounds::LOGIT_BIASES
        )));
    }
    let biases = biases.into_iter().map(|(token, bias)| {
        let token = token.parse().map_err(|_| {
            invalid("a key of `logit_bias` is no token id; send ids as text".to_owned())
        })?;
        if !(low..=high).contains(&bias) {
            return Err(invalid(format!(
                "`logit_bias` of the token {token} is {bias}; it must be from {low} to {high}"
            )));
        }
        Ok(LogitBias { token, bias })
    });
    biases.collect()
}

/// The texts that end the generation.
pub fn stops(stop: Option<OneOrMany>) -> Result<Vec<String>, ApiError> {
    stop_texts("stop", stop.map(OneOrMany::into_vec).unwrap_or_default())
}

/// The same, of a dialect that has another `name` for them.
pub fn stop_texts(name: &str, stops: Vec<String>) -> Result<Vec<String>, ApiError> {
    if stops.len() > bounds::STOPS {
        let message = format!(
            "`{name}` holds {} texts; at most {} are allowed",
            stops.len(),
            bounds::STOPS
        );
        return Err(ApiError::invalid(name, message));
    }
    match stops
        .iter()
        .find(|stop| stop.is_empty() || stop.len() > bounds::STOP_BYTES)
    {
        Some(stop) => {
            let message = format!(
                "a `{name}` text has {} bytes; 1 to {} are allowed",
                stop.len(),
                bounds::STOP_BYTES
            );
            Err(ApiError::invalid(name, message))
        }
        None => Ok(stops),
    }
}
