//! JSON Schemas of the types whose wire form their fields do not tell.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

use crate::command::Field;
use crate::inbox::NotificationId;
use crate::task::Before;
use crate::{Instant, TaskId};

/// A type that is a text on the wire; its schema stands wherever the type is used.
macro_rules! text {
    ($($type:ty: $schema:tt;)*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

text! {
    Instant: {
        "type": "string",
        "format": "date-time",
        "description": "An instant as in RFC 3339, in the years 1 to 9999; answers have it in UTC, to the millisecond.",
        "examples": ["2026-12-01T09:00:00.000Z"],
    };
    NotificationId: {
        "type": "string",
        "description": "A notification's id: opaque, and never another one's.",
    };
    TaskId: {
        "type": "string",
        "description": "A task's id: opaque, and never another task's.",
        "examples": ["0-90tj1f2kwhvp"],
    };
    Before: {
        "type": "string",
        "format": "duration",
        "description": "An ISO 8601 duration of at most 366 days: weeks, or days, hours, minutes and seconds.",
        "examples": ["PT30M", "P1DT12H"],
    };
}

/// A field of a merge patch takes `null` as well, and is never required.
impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        <Option<T>>::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        <Option<T>>::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <Option<T>>::json_schema(generator)
    }
}
