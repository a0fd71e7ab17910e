//! JSON Schemas of what is read and of what is written. One type can have two: what has a default
//! may be left out of a request, and is there in every answer.

use std::collections::BTreeSet;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operation::SchemaOf;

const PATH: &str = "#/components/schemas/";
/// What a name of a request's type has at its end where answers have another one of that name.
const READ: &str = "Input";

/// The schemas that a document refers to.
pub struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

/// Stands for [`PATH`] in a request until it is known which of its names need [`READ`].
const READ_PATH: &str = "#/components/schemas-of-requests/";

impl Schemas {
    /// None yet.
    pub fn new() -> Self {
        let settings = |path: &str| {
            let path = path.to_owned().into();
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = path;
                settings.meta_schema = None;
            })
        };
        Self {
            read: settings(READ_PATH).for_deserialize().into_generator(),
            written: settings(PATH).for_serialize().into_generator(),
        }
    }

    /// Of a part of a request.
    pub fn read(&mut self, schema: SchemaOf) -> Value {
        schema(&mut self.read).into()
    }

    /// Of a part of an answer.
    pub fn written(&mut self, schema: SchemaOf) -> Value {
        schema(&mut self.written).into()
    }

    /// The members of a struct as parameters of a query, which knows no `null`.
    pub fn parameters(&mut self, schema: SchemaOf) -> Vec<Value> {
        let schema: Value = schema(&mut self.read).into();
        let required = schema["required"].clone();
        let members = schema["properties"].as_object().cloned();
        let members = members.unwrap_or_default().into_iter();
        let parameters = members.map(|(name, mut schema)| {
            if let Some([one, _]) = schema["type"].as_array().map(Vec::as_slice) {
                schema["type"] = one.clone();
            }
            let required = required
                .as_array()
                .is_some_and(|all| all.contains(&json!(name)));
            let members = schema.as_object_mut();
            let description = members.and_then(|members| members.shift_remove("description"));
            tidy(&mut schema);
            let mut parameter = json!({"name": name, "in": "query", "required": required});
            if let Some(description) = description {
                parameter["description"] = description;
            }
            parameter["schema"] = schema;
            parameter
        });
        parameters.collect()
    }

    /// All of them by name; references of `document` lead to them from then on.
    pub fn finish(mut self, document: &mut Value) -> Value {
        let mut written = self.written.take_definitions(true);
        let read = self.read.take_definitions(true);
        let differing = differing(&read, &written);
        let rename = |name: &str| {
            let suffix = if differing.contains(name) { READ } else { "" };
            format!("{PATH}{name}{suffix}")
        };
        redirect(document, &rename);
        for (name, mut schema) in read {
            redirect(&mut schema, &rename);
            let name = if differing.contains(&name) {
                name + READ
            } else {
                name
            };
            written.insert(name, schema);
        }
        written.sort_keys();
        let mut schemas = Value::Object(written);
        tidy(&mut schemas);
        schemas
    }
}

/// The names of types that are read in another way than they are written, or that hold one.
fn differing(read: &Map<String, Value>, written: &Map<String, Value>) -> BTreeSet<String> {
    let mut differing = BTreeSet::new();
    loop {
        let rename = |name: &str| {
            let suffix = if differing.contains(name) { READ } else { "" };
            format!("{PATH}{name}{suffix}")
        };
        let found: BTreeSet<_> = read
            .iter()
            .filter(|(name, schema)| {
                let mut schema = (*schema).clone();
                redirect(&mut schema, &rename);
                written.get(*name).is_some_and(|written| *written != schema)
            })
            .map(|(name, _)| name.clone())
            .collect();
        if found == differing {
            return differing;
        }
        differing = found;
    }
}

/// Changes the references that are a request's.
fn redirect(schema: &mut Value, rename: &impl Fn(&str) -> String) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(READ_PATH)
            {
                *reference = rename(name);
            }
            members
                .values_mut()
                .for_each(|value| redirect(value, rename));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| redirect(value, rename)),
        _ => {}
    }
}

/// Makes sentences for readers of this document of those for readers of the code.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(description)) = members.get_mut("description") {
                let text = description.replace("[`", "`").replace("`]", "`");
                *description = text.replace('\n', " ");
            }
            // What is absent is not `null`, and a default that is out of bounds is refused.
            let least = members.get("minimum").and_then(Value::as_f64);
            let too_small = |value: &Value| {
                value
                    .as_f64()
                    .zip(least)
                    .is_some_and(|(value, least)| value < least)
            };
            members
                .retain(|name, value| name != "default" || !(value.is_null() || too_small(value)));
            // What Rust's unsigned numbers can be is a format nowhere else.
            let largest = match members.get("format").and_then(Value::as_str) {
                Some("uint32") => Some(u64::from(u32::MAX)),
                Some("uint64") => Some(u64::MAX),
                _ => None,
            };
            if let Some(largest) = largest {
                members.shift_remove("format");
                members.entry("maximum").or_insert(largest.into());
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}
