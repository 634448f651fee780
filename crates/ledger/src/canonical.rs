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

/// How deep a leaf may nest; the deepest that the ledger writes is far below.
const DEEPEST: u8 = 64;

/// Whether a text is canonical, found in one pass without building the value: ten million leaves are checked in
/// seconds. Says the same as parsing the text, writing it with [`to_canonical`] and comparing.
pub fn is_canonical(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let mut scan = Scan { text: text.as_bytes(), at: 0 };
    scan.value(DEEPEST).is_some() && scan.at == text.len()
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    fn value(&mut self, deepest: u8) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.object(deepest.checked_sub(1)?),
            b'[' => self.array(deepest.checked_sub(1)?),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.integer(),
        }
    }

    fn array(&mut self, deepest: u8) -> Option<()> {
        self.eat(b'[')?;
        if self.eat(b']').is_some() {
            return Some(());
        }
        loop {
            self.value(deepest)?;
            if self.eat(b']').is_some() {
                return Some(());
            }
            self.eat(b',')?;
        }
    }

    fn object(&mut self, deepest: u8) -> Option<()> {
        self.eat(b'{')?;
        if self.eat(b'}').is_some() {
            return Some(());
        }
        let mut last: Option<&[u8]> = None;
        loop {
            let key = self.string()?;
            if last.is_some_and(|last| !ordered(last, key)) {
                return None;
            }
            last = Some(key);
            self.eat(b':')?;
            self.value(deepest)?;
            if self.eat(b'}').is_some() {
                return Some(());
            }
            self.eat(b',')?;
        }
    }

    /// A text; gives what stands between its quotes, escapes and all.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.eat(b'"')?;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return self.text.get(start..self.at - 1);
                }
                b'\\' => {
                    self.at += 1;
                    self.escape()?;
                }
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
    }

    /// Only what must be escaped is, and in its shortest form (RFC 8785, 3.2.2.2).
    fn escape(&mut self) -> Option<()> {
        let escaped = self.peek()?;
        self.at += 1;
        if matches!(escaped, b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r') {
            return Some(());
        }
        let code = self.text.get(self.at..self.at + 4).filter(|_| escaped == b'u')?;
        self.at += 4;
        let control = match code {
            [b'0', b'0', b'0', low] => digit(*low)?,
            [b'0', b'0', b'1', low] => 0x10 + digit(*low)?,
            _ => return None,
        };
        (!matches!(control, 0x08 | 0x09 | 0x0a | 0x0c | 0x0d)).then_some(())
    }

    fn integer(&mut self) -> Option<()> {
        let negative = self.eat(b'-').is_some();
        let start = self.at;
        let mut number: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        let digits = self.at - start;
        let shortest = digits == 1 || digits > 1 && self.text.get(start) != Some(&b'0');
        (shortest && number <= LARGEST_INTEGER && !(negative && number == 0)).then_some(())
    }
}

fn digit(lower_hex: u8) -> Option<u8> {
    match lower_hex {
        b'0'..=b'9' => Some(lower_hex - b'0'),
        b'a'..=b'f' => Some(lower_hex - b'a' + 10),
        _ => None,
    }
}

/// Whether one key (as it stands between its quotes) comes before another in UTF-16 code units.
fn ordered(first: &[u8], second: &[u8]) -> bool {
    let plain = |key: &[u8]| key.iter().all(|byte| byte.is_ascii() && *byte != b'\\');
    if plain(first) && plain(second) {
        return first < second;
    }
    let units = |key: &[u8]| -> Option<Vec<u16>> {
        let quoted = [b"\"", key, b"\""].concat();
        Some(serde_json::from_slice::<String>(&quoted).ok()?.encode_utf16().collect())
    };
    matches!((units(first), units(second)), (Some(a), Some(b)) if a < b)
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

    #[test]
    fn one_pass_finds_what_is_not_canonical() {
        for good in [
            "{}",
            "[]",
            "null",
            "[true,false,null,-1,0,9007199254740991]",
            r#"{"a":{"b":[1,"x"]},"b":"\u0001\n\"\\/"}"#,
            "\"\u{20ac}\u{7f}\"",
        ] {
            assert!(is_canonical(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            " {}",
            "{} ",
            "{}{}",
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a": 1}"#,
            "[1,]",
            "[01]",
            "[-0]",
            "[1.0]",
            "[1e3]",
            "[9007199254740992]",
            r#""\u0041""#,
            r#""\u000A""#,
            r#""\u000a""#,
            r#""\/""#,
            "\"\u{1}\"",
            "\"a",
            "tru",
            r#"{"a"}"#,
            "[1 ]",
            "+1",
            "-",
        ] {
            assert!(!is_canonical(bad.as_bytes()), "{bad}");
        }
        assert!(!is_canonical(&[b'"', 0xff, b'"']));
        assert!(!is_canonical("[".repeat(100_000).as_bytes()));
    }

    fn by_value(text: &[u8]) -> bool {
        serde_json::from_slice::<Value>(text)
            .ok()
            .and_then(|v| to_canonical(&v).ok())
            .is_some_and(|c| c.as_bytes() == text)
    }

    proptest! {
        #[test]
        fn one_pass_agrees_with_writing_the_value_again(
            keys in proptest::collection::btree_map("[a-c\u{e9}\u{fb33}\u{1f600}\n\"]{0,4}", any::<i64>(), 0..6),
            bend in any::<(u16, u8)>(),
        ) {
            let map: serde_json::Map<String, Value> = keys.into_iter().map(|(k, v)| (k, json!(v))).collect();
            let whole = to_canonical(&exact(&Value::Object(map))).unwrap();
            prop_assert!(is_canonical(whole.as_bytes()));
            let mut bent = whole.into_bytes();
            let at = usize::from(bend.0) % bent.len();
            bent[at] = bend.1;
            prop_assert_eq!(is_canonical(&bent), by_value(&bent), "{}", String::from_utf8_lossy(&bent));
        }
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
