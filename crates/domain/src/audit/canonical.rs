//! One spelling of a JSON value, so that its hash is the same wherever it has been stored: RFC 8785.

use serde_json::{Number, Value};

/// The canonical JSON of a value (RFC 8785): keys in the order of their UTF-16 code units, no spaces, and numbers as the
/// doubles that they are, however they were written.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => text.push_str(&value.to_string()),
        Value::Number(number) => text.push_str(&spelling(number)),
        Value::Array(values) => {
            list('[', ']', values, text, write);
        }
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            list('{', '}', fields, text, |(name, value), text| {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(value, text);
            });
        }
    }
}

fn list<I: IntoIterator>(
    begin: char,
    end: char,
    items: I,
    text: &mut String,
    each: impl Fn(I::Item, &mut String),
) {
    text.push(begin);
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        each(item, text);
    }
    text.push(end);
}

/// A number as ECMAScript writes it: the shortest digits that are read as the same double, with an exponent only where it
/// is very large or very small.
fn spelling(number: &Number) -> String {
    let Some(double) = number.as_f64() else {
        return number.to_string();
    };
    let size = double.abs();
    if double == 0.0 {
        "0".to_owned()
    } else if (1e-6..1e21).contains(&size) {
        double.to_string()
    } else {
        let text = format!("{double:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                format!("{digits}e+{exponent}")
            }
            _ => text,
        }
    }
}
