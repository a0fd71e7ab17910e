//! Lists that are read no further than anyone may send them: whoever sends a million of something
//! small must not have them all made into values before they are counted. These bounds are far
//! above what a server checks, which says more precisely what is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::bounds::{ITEMS, MESSAGES};

/// Reads a list of at most [`MESSAGES`].
///
/// # Errors
/// It is none, or longer.
pub fn messages<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_seq(List::<T, MESSAGES>(PhantomData))
}

/// Reads a list of at most [`MESSAGES`], or `null`.
///
/// # Errors
/// It is neither, or longer.
pub fn optional_messages<'de, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_option(Nullable(List::<T, MESSAGES>(PhantomData)))
}

/// Reads a list of at most [`ITEMS`], or `null`.
///
/// # Errors
/// It is neither, or longer.
pub fn items<'de, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_option(Nullable(List::<T, ITEMS>(PhantomData)))
}

/// Reads an object of at most [`ITEMS`] numbers, or `null`.
///
/// # Errors
/// It is neither, or larger.
pub fn numbers<'de, D>(deserializer: D) -> Result<Option<BTreeMap<String, f32>>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_option(Nullable(Numbers))
}

/// A text, or a list in its place.
pub(crate) enum TextOr<T> {
    Text(String),
    List(Vec<T>),
}

/// Reads a text or a list of at most `MOST`; `expected` says so in words.
///
/// # Errors
/// It is neither, or longer.
pub(crate) fn text_or<'de, T, const MOST: usize, D>(
    deserializer: D,
    expected: &'static str,
) -> Result<TextOr<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(TextOrList::<T, MOST> {
        expected,
        list: List(PhantomData),
    })
}

struct TextOrList<T, const MOST: usize> {
    expected: &'static str,
    list: List<T, MOST>,
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for TextOrList<T, MOST> {
    type Value = TextOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E>(self, text: &str) -> Result<TextOr<T>, E> {
        Ok(TextOr::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<TextOr<T>, E> {
        Ok(TextOr::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<TextOr<T>, A::Error> {
        self.list.visit_seq(list).map(TextOr::List)
    }
}

/// Reads on where a list may be absent.
struct Nullable<V>(V);

impl<'de, V> Visitor<'de> for Nullable<V>
where
    V: Visitor<'de> + DeserializeSeed<'de, Value = <V as Visitor<'de>>::Value>,
{
    type Value = Option<<V as Visitor<'de>>::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// A list of at most so many.
struct List<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while items.len() < MOST {
            match list.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
        match list.next_element::<IgnoredAny>()? {
            None => Ok(items),
            Some(_) => Err(A::Error::custom(format_args!("it holds more than {MOST}"))),
        }
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> DeserializeSeed<'de> for List<T, MOST> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = BTreeMap<String, f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut numbers = BTreeMap::new();
        while let Some((name, number)) = map.next_entry()? {
            if numbers.len() == ITEMS {
                return Err(A::Error::custom(format_args!("it holds more than {ITEMS}")));
            }
            numbers.insert(name, number);
        }
        Ok(numbers)
    }
}

impl<'de> DeserializeSeed<'de> for Numbers {
    type Value = BTreeMap<String, f32>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}
