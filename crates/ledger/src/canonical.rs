//! Canonical JSON (RFC 8785): one text per value, so that a leaf's hash can be recomputed by anyone.
//!
//! Numbers are integers up to 2^53 − 1 only. Programs do not agree on how to read and write fractions (serde_json's
//! own reader is off by a last digit now and then, and shortest digits have ties), so [`exact`] writes every other
//! number as text before it comes into a leaf.

use crate::LedgerError;
use serde_json::{Number, Value};

/// Integers beyond this have no exact place in JSON's numbers (RFC 8785 appendix D): they must be written as text.
const LARGEST_INTEGER: u64 = (1 << 53) - 1;

/// The canonical text of a value.
///
/// # Errors
/// [`LedgerError::NotCanonical`] for a number that is not an integer, or beyond 2^53 − 1.
pub fn to_canonical(value: &Value) -> Result<String, LedgerError> {
    let mut out = String::new();
    write_value(value, &mut out)?;
    Ok(out)
}

fn write_value(value: &Value, out: &mut String) -> Result<(), LedgerError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(number, out)?,
        Value::String(text) => write_text(text, out)?,
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(item, out)?;
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            // By UTF-16 code units, not by code points: the two differ beyond the basic plane (3.2.3).
            pairs.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (i, (key, item)) in pairs.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_text(key, out)?;
                out.push(':');
                write_value(item, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_text(text: &str, out: &mut String) -> Result<(), LedgerError> {
    // serde_json escapes exactly what 3.2.2.2 asks: quote, backslash, \b \t \n \f \r, other controls as \u00xx.
    out.push_str(&serde_json::to_string(text).map_err(|_| LedgerError::NotCanonical("a text"))?);
    Ok(())
}

fn write_number(number: &Number, out: &mut String) -> Result<(), LedgerError> {
    if !is_exact(number) {
        return Err(LedgerError::NotCanonical("a number that is not an integer below 2^53"));
    }
    out.push_str(&number.to_string());
    Ok(())
}

fn is_exact(number: &Number) -> bool {
    number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs)).is_some_and(|n| n <= LARGEST_INTEGER)
}

/// The value with every number that is not an integer below 2^53 written as text: `52.2215` becomes `"52.2215"`.
pub fn exact(value: &Value) -> Value {
    match value {
        Value::Number(number) if !is_exact(number) => Value::String(number.to_string()),
        Value::Array(items) => items.iter().map(exact).collect(),
        Value::Object(map) => map.iter().map(|(key, item)| (key.clone(), exact(item))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_rfcs_own_example() {
        // RFC 8785, 3.2.2 to 3.2.4.
        let input = r#"{
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }"#;
        let value: Value = serde_json::from_str(input).unwrap();
        assert_eq!(
            to_canonical(&value).unwrap(),
            "{\"literals\":[null,true,false],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
    }

    #[test]
    fn keys_are_sorted_by_utf16_units() {
        // RFC 8785, 3.2.3.
        let value = json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis"
        });
        let text = to_canonical(&value).unwrap();
        let order: Vec<_> = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
            .iter()
            .map(|name| text.find(name).unwrap())
            .collect();
        assert!(order.is_sorted(), "{text}");
    }

    #[test]
    fn an_integer_without_exact_place_is_refused() {
        assert!(to_canonical(&json!(9_007_199_254_740_991_u64)).is_ok());
        assert!(to_canonical(&json!(9_007_199_254_740_992_u64)).is_err());
        assert!(to_canonical(&json!(-9_007_199_254_740_992_i64)).is_err());
        assert!(to_canonical(&json!(0.5)).is_err());
        let odd = json!({ "point": [6.8937, 52.2215], "n": u64::MAX, "k": [1, -1, "0.5", null] });
        assert_eq!(
            to_canonical(&exact(&odd)).unwrap(),
            r#"{"k":[1,-1,"0.5",null],"n":"18446744073709551615","point":["6.8937","52.2215"]}"#
        );
    }

    proptest! {
        #[test]
        fn reading_back_and_writing_again_changes_nothing(
            keys in proptest::collection::btree_map(".{0,8}", any::<i64>(), 0..8),
            x in any::<f64>(),
        ) {
            let mut map: serde_json::Map<String, Value> = keys.into_iter().map(|(k, v)| (k, json!(v))).collect();
            map.insert("x".to_owned(), json!(x));
            let once = to_canonical(&exact(&Value::Object(map))).unwrap();
            prop_assert_eq!(&to_canonical(&serde_json::from_str(&once).unwrap()).unwrap(), &once);
        }
    }
}
