//! An arm on the command line.

use fathom_router::experiments::{NewArm, Parameters};
use serde_json::{Map, Value};

/// `NAME[,KEY=VALUE]…`
pub(super) fn parse(text: &str) -> Result<NewArm, String> {
    let mut parts = text.split(',');
    let mut arm = NewArm {
        name: parts.next().unwrap_or_default().to_owned(),
        weight: 1,
        parameters: Parameters::default(),
        version: None,
    };
    let mut parameters = Map::new();
    for part in parts {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("`{part}` must be KEY=VALUE"))?;
        match key {
            "weight" => arm.weight = number(key, value)?,
            "version" => arm.version = Some(number(key, value)?),
            "logit_bias" => {
                let (token, bias) = value
                    .split_once(':')
                    .ok_or("`logit_bias` must be TOKEN:BIAS, for example `logit_bias=5:-100`")?;
                let all = parameters.entry(key).or_insert_with(|| Map::new().into());
                if let Some(all) = all.as_object_mut() {
                    all.insert(token.to_owned(), number(key, bias)?);
                }
            }
            _ => {
                if parameters
                    .insert(key.to_owned(), number(key, value)?)
                    .is_some()
                {
                    return Err(format!("`{key}` is given twice"));
                }
            }
        }
    }
    arm.parameters = serde_json::from_value(Value::Object(parameters))
        .map_err(|error| format!("these are no parameters of an arm: {error}"))?;
    Ok(arm)
}

fn number<T: serde::de::DeserializeOwned>(key: &str, value: &str) -> Result<T, String> {
    let number: Option<serde_json::Number> = serde_json::from_str(value).ok();
    let number = number.and_then(|number| serde_json::from_value(number.into()).ok());
    number.ok_or_else(|| format!("`{key}` is `{value}`, which is no number that it can be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arm_is_its_name_and_what_is_different() {
        let arm = parse("control").unwrap();
        assert_eq!(
            (arm.name.as_str(), arm.weight, arm.version),
            ("control", 1, None)
        );
        assert_eq!(arm.parameters, Parameters::default());

        let arm = parse(
            "b,weight=3,version=2,temperature=0.2,top_k=5,logit_bias=5:-100,logit_bias=7:1.5",
        );
        let arm = arm.unwrap();
        assert_eq!(
            (arm.name.as_str(), arm.weight, arm.version),
            ("b", 3, Some(2))
        );
        let expected = Parameters {
            temperature: Some(0.2),
            top_k: Some(5),
            logit_bias: [(5, -100.0), (7, 1.5)].into(),
            ..Parameters::default()
        };
        assert_eq!(arm.parameters, expected);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, part) in [
            ("a,temperature", "KEY=VALUE"),
            ("a,temperature=warm", "`warm`"),
            ("a,temperature=[1]", "temperature"),
            ("a,temprature=1", "temprature"),
            ("a,top_k=0.5", "0.5"),
            ("a,weight=-1", "weight"),
            ("a,logit_bias=5", "TOKEN:BIAS"),
            ("a,logit_bias=x:1", "x"),
            ("a,top_p=1,top_p=1", "twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
