//! Reads a [`Node`] into a type of `snapshot`, naming field and line of what does not fit.
//!
//! `null` is the zero value of any field, as Go's decoder has it; the snapshot's required fields have none. Messages
//! say which type was found, never the value: it may be a Secret's.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::node::{Node, Value};

/// What does not fit: the field's `path` (`spec.rules[0].host`, empty for the object itself), its line, and why.
#[derive(Debug)]
pub(super) struct TypeError {
    pub line: Option<u32>,
    /// Innermost first, as the error meets the levels on its way out.
    steps: Vec<Step>,
    pub message: String,
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

impl TypeError {
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.extend([".", key]),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    fn inside(mut self, step: impl FnOnce() -> Step) -> Self {
        self.steps.push(step());
        self
    }

    fn at(mut self, line: u32) -> Self {
        self.line.get_or_insert(line);
        self
    }
}

impl std::error::Error for TypeError {}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl de::Error for TypeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { line: None, steps: Vec::new(), message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = plain(&expected.to_string());
        let found_name = type_name(&found);
        let quotable = matches!(found, Unexpected::Bool(_) | Unexpected::Signed(_) | Unexpected::Float(_));
        let hint = if quotable && expected == "a string" { ": put it in quotes" } else { "" };
        Self::custom(format_args!("expected {expected}, found {found_name}{hint}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("out of range for {}", plain(&expected.to_string())))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("the field `{field}` is required"))
    }
}

/// What serde calls Rust's types, in the words of a manifest's author.
fn plain(expected: &str) -> String {
    match expected {
        "i32" => "an integer of 32 bits".into(),
        "i64" => "an integer".into(),
        "a sequence" => "a list".into(),
        "a map" => "a mapping".into(),
        _ if expected.starts_with("struct ") => "a mapping".into(),
        _ => expected.into(),
    }
}

fn type_name(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a mapping",
        _ => "another type",
    }
}

/// Reads a whole object.
pub(super) fn read<'n, T: Deserialize<'n>>(node: &'n Node<'n>) -> Result<T, TypeError> {
    T::deserialize(At(node))
}

#[derive(Clone, Copy)]
struct At<'n>(&'n Node<'n>);

impl<'n> At<'n> {
    /// Runs a typed request; `null` answers it with `zero`.
    fn visit<V: Visitor<'n>>(
        self,
        visitor: V,
        zero: impl FnOnce(V) -> Result<V::Value, TypeError>,
    ) -> Result<V::Value, TypeError> {
        let result = match &self.0.value {
            Value::Null => zero(visitor),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Sequence(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Value::Mapping(entries) => visitor.visit_map(Entries { entries: entries.iter(), current: None }),
        };
        result.map_err(|error| error.at(self.0.line))
    }
}

/// The requests that `null` answers with the type's zero.
macro_rules! with_zero {
    ($($method:ident($visitor:ident) => $zero:expr;)*) => {$(
        fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, TypeError> {
            self.visit(visitor, |$visitor| $zero)
        }
    )*};
}

impl<'n> Deserializer<'n> for At<'n> {
    type Error = TypeError;

    with_zero! {
        deserialize_any(v) => v.visit_unit();
        deserialize_bool(v) => v.visit_bool(false);
        deserialize_i8(v) => v.visit_i64(0);
        deserialize_i16(v) => v.visit_i64(0);
        deserialize_i32(v) => v.visit_i64(0);
        deserialize_i64(v) => v.visit_i64(0);
        deserialize_u8(v) => v.visit_i64(0);
        deserialize_u16(v) => v.visit_i64(0);
        deserialize_u32(v) => v.visit_i64(0);
        deserialize_u64(v) => v.visit_i64(0);
        deserialize_f32(v) => v.visit_f64(0.0);
        deserialize_f64(v) => v.visit_f64(0.0);
        deserialize_str(v) => v.visit_borrowed_str("");
        deserialize_string(v) => v.visit_borrowed_str("");
        deserialize_seq(v) => v.visit_seq(Items { items: [].iter().enumerate() });
        deserialize_map(v) => v.visit_map(Entries { entries: [].iter(), current: None });
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        // Serde's structs also read lists, by position; an API object is never one.
        match &self.0.value {
            Value::Sequence(_) => {
                Err(<TypeError as de::Error>::invalid_type(Unexpected::Seq, &"a mapping").at(self.0.line))
            }
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, TypeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        let wanted = || de::Error::custom(format_args!("expected one of {}", variants.join(", ")));
        match &self.0.value {
            Value::String(text) if variants.contains(&text.as_ref()) => visitor.visit_enum(Variant(text)),
            Value::String(text) => {
                Err(TypeError { message: format!("{text:?} is not one of {}", variants.join(", ")), ..wanted() })
            }
            _ => Err(wanted()),
        }
        .map_err(|error| error.at(self.0.line))
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, TypeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { <V: Visitor<'n>> char bytes byte_buf unit unit_struct tuple tuple_struct identifier }
}

/// A variant without content, by its name.
struct Variant<'n>(&'n str);

impl<'n> EnumAccess<'n> for Variant<'n> {
    type Error = TypeError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'n>>(self, seed: S) -> Result<(S::Value, Self), TypeError> {
        Ok((seed.deserialize(StrDeserializer::new(self.0))?, self))
    }
}

impl<'n> VariantAccess<'n> for Variant<'n> {
    type Error = TypeError;

    fn unit_variant(self) -> Result<(), TypeError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'n>>(self, _: S) -> Result<S::Value, TypeError> {
        Err(de::Error::custom("has no content"))
    }

    fn tuple_variant<V: Visitor<'n>>(self, _: usize, _: V) -> Result<V::Value, TypeError> {
        Err(de::Error::custom("has no content"))
    }

    fn struct_variant<V: Visitor<'n>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, TypeError> {
        Err(de::Error::custom("has no content"))
    }
}

struct Items<'n> {
    items: std::iter::Enumerate<std::slice::Iter<'n, Node<'n>>>,
}

impl<'n> SeqAccess<'n> for Items<'n> {
    type Error = TypeError;

    fn next_element_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, TypeError> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        seed.deserialize(At(item)).map(Some).map_err(|error| error.at(item.line).inside(|| Step::Index(index)))
    }
}

type Entry<'n> = (std::borrow::Cow<'n, str>, Node<'n>);

struct Entries<'n> {
    entries: std::slice::Iter<'n, Entry<'n>>,
    current: Option<&'n Entry<'n>>,
}

impl<'n> MapAccess<'n> for Entries<'n> {
    type Error = TypeError;

    fn next_key_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, TypeError> {
        self.current = self.entries.next();
        self.current.map(|(key, _)| seed.deserialize(BorrowedStrDeserializer::new(key))).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<S::Value, TypeError> {
        let Some((key, node)) = self.current.take() else { return Err(de::Error::custom("a value without a key")) };
        seed.deserialize(At(node)).map_err(|error| error.at(node.line).inside(|| Step::Key(key.to_string())))
    }
}
