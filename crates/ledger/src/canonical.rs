//! Canonical JSON (RFC 8785): one text per value, so that a leaf's hash can be recomputed by anyone.

use crate::LedgerError;
use serde_json::{Number, Value};

/// Integers beyond this have no exact place in JSON's numbers (RFC 8785 appendix D): they must be written as text.
const LARGEST_INTEGER: u64 = (1 << 53) - 1;

/// The canonical text of a value.
///
/// # Errors
/// [`LedgerError::NotCanonical`] for an integer beyond 2^53 − 1.
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
    if let Some(n) = number.as_u64() {
        if n > LARGEST_INTEGER {
            return Err(LedgerError::NotCanonical("an integer beyond 2^53"));
        }
        out.push_str(&n.to_string());
    } else if let Some(n) = number.as_i64() {
        if n.unsigned_abs() > LARGEST_INTEGER {
            return Err(LedgerError::NotCanonical("an integer beyond 2^53"));
        }
        out.push_str(&n.to_string());
    } else if let Some(x) = number.as_f64() {
        out.push_str(&ecmascript(x));
    } else {
        return Err(LedgerError::NotCanonical("a number"));
    }
    Ok(())
}

/// ECMAScript's `Number::toString`, which RFC 8785 3.2.2.3 prescribes, from the shortest digits that round-trip.
fn ecmascript(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{:e}", x.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.replace('.', "");
    let places = digits.len() as i32;
    // The value is 0.digits × 10^point.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let sign = if x < 0.0 { "-" } else { "" };
    let zeros = |n: i32| "0".repeat(n.max(0) as usize);
    let (first, rest) = digits.split_at(1);
    if places <= point && point <= 21 {
        format!("{sign}{digits}{}", zeros(point - places))
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(point as usize);
        format!("{sign}{whole}.{fraction}")
    } else if -6 < point && point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else {
        let dot = if rest.is_empty() { "" } else { "." };
        let plus = if point > 0 { "+" } else { "" };
        format!("{sign}{first}{dot}{rest}e{plus}{}", point - 1)
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
          "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }"#;
        let value: Value = serde_json::from_str(input).unwrap();
        assert_eq!(
            to_canonical(&value).unwrap(),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
             \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
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
    fn numbers_as_in_appendix_b() {
        for (bits, text) in [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            assert_eq!(ecmascript(f64::from_bits(bits)), text);
        }
    }

    #[test]
    fn an_integer_without_exact_place_is_refused() {
        assert!(to_canonical(&json!(9_007_199_254_740_991_u64)).is_ok());
        assert!(to_canonical(&json!(9_007_199_254_740_992_u64)).is_err());
        assert!(to_canonical(&json!(-9_007_199_254_740_992_i64)).is_err());
    }

    proptest! {
        #[test]
        fn reading_back_and_writing_again_changes_nothing(keys in proptest::collection::btree_map(".{0,8}", any::<i32>(), 0..8), x in any::<f64>()) {
            let mut map: serde_json::Map<String, Value> = keys.into_iter().map(|(k, v)| (k, json!(v))).collect();
            if x.is_finite() { map.insert("x".to_owned(), json!(x)); }
            let once = to_canonical(&Value::Object(map)).unwrap();
            let again = to_canonical(&serde_json::from_str(&once).unwrap());
            // A float without a fraction comes back as an integer; beyond 2^53 that is refused, never altered.
            if let Ok(again) = again { prop_assert_eq!(once, again); }
        }
    }
}
