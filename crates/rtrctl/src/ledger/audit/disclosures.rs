//! What left the house, by article. An approval hands nothing over, and one file is one disclosure however often it is fetched:
//! so approvals stand beside the files, and each file once.

use super::{super::readable::short, lines::Lines};
use ledger::Leaf;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is known of one file.
struct File {
    /// The entry that said something of it last.
    seq: u64,
    text: String,
    whole: u64,
    broken_off: u64,
}

/// Disclosures under one article.
#[derive(Default)]
struct Article {
    approved: Lines,
    /// By request and number, or by what it shows while its end is not in the log.
    files: BTreeMap<String, File>,
    /// Disclosures that are no files of a request.
    others: Lines,
}

#[derive(Default)]
pub(super) struct Disclosures(BTreeMap<String, Article>);

impl Disclosures {
    pub(super) fn take(&mut self, seq: u64, leaf: &Leaf<'_>, value: &impl Fn() -> Value) {
        if leaf.operation != "disclose" || leaf.action == "export.refuse" {
            return;
        }
        let took_place = leaf.took_place();
        if !took_place && leaf.action != "export.downloaded" {
            return;
        }
        let article = match leaf.recipient.article.as_ref() {
            "" => "no article named",
            article => article,
        };
        let article = self.0.entry(article.to_owned()).or_default();
        match leaf.action.as_ref() {
            "export.approve" => article.approved.add(seq, || short(leaf)),
            "export.download" => {
                let file = File { seq, text: short(leaf), whole: 0, broken_off: 0 };
                article.files.entry(footage(leaf, &value())).or_insert(file);
            }
            "export.downloaded" => {
                let value = value();
                let begun = article.files.remove(&footage(leaf, &value));
                let part = |key: &str| value.pointer(&format!("/data/{key}")).map(ToString::to_string);
                let id =
                    format!("{} {}", part("request").unwrap_or_default(), part("file").unwrap_or_default());
                let known = article.files.remove(&id).or(begun);
                let (whole, broken_off) = known.map_or((0, 0), |file| (file.whole, file.broken_off));
                let (whole, broken_off) =
                    if took_place { (whole + 1, broken_off) } else { (whole, broken_off + 1) };
                article.files.insert(id, File { seq, text: short(leaf), whole, broken_off });
            }
            _ => article.others.add(seq, || short(leaf)),
        }
    }

    /// Under each article first how many, then each with its entry.
    pub(super) fn lines(&self) -> Lines {
        let mut lines = Lines::default();
        for (name, article) in &self.0 {
            let handed = article.files.values().filter(|file| file.whole > 0).count() as u64;
            lines.say(|| {
                format!(
                    "{name}: {} handed over, {} begun and never whole, {} approved",
                    handed + article.others.count(),
                    article.files.len() as u64 - handed,
                    article.approved.count()
                )
            });
            for file in article.files.values() {
                let times = match (file.whole, file.broken_off) {
                    (0, 0) => "begun; its end is not in the log".to_owned(),
                    (0, n) => format!("broke off, {n} times"),
                    (1, 0) => "handed over".to_owned(),
                    (n, 0) => format!("handed over, fetched {n} times"),
                    (n, broken) => format!("handed over, fetched {n} times, broke off {broken} times"),
                };
                lines.add(file.seq, || format!("  {times}: {}", file.text));
            }
            lines.append(&article.others, |text| format!("  handed over: {text}"));
            lines.append(&article.approved, |text| format!("  approved: {text}"));
        }
        lines
    }
}

/// What a file shows: ties the entry of its beginning to that of its end.
fn footage(leaf: &Leaf<'_>, value: &Value) -> String {
    let from = value.pointer("/object/from").and_then(Value::as_str).unwrap_or_default();
    let camera = leaf.object.camera.as_deref().unwrap_or_default();
    format!("{camera} {from} {}", leaf.object.until.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(action: &str, outcome: &str, file: u64) -> String {
        json!({
            "action": action, "operation": "disclose", "outcome": outcome, "at": "2026-11-22T09:00:00.000Z",
            "object": { "kind": "footage", "camera": "C1", "from": format!("f{file}"), "until": "u" },
            "recipient": { "article": "Wpg 15" }, "data": { "request": "R1", "file": file },
        })
        .to_string()
    }

    #[test]
    fn an_approval_is_no_disclosure_and_a_file_is_one_however_often_it_is_fetched() {
        let mut disclosures = Disclosures::default();
        let entries = [
            entry("export.approve", "permit", 1),
            entry("export.approve", "permit", 2),
            entry("export.refuse", "permit", 9),
            entry("export.download", "permit", 1),
            entry("export.downloaded", "failed", 1),
            entry("export.download", "permit", 1),
            entry("export.downloaded", "done", 1),
            entry("export.download", "permit", 1),
            entry("export.downloaded", "done", 1),
            entry("export.download", "permit", 2),
            entry("export.download", "deny", 3),
        ];
        for (seq, text) in (0..).zip(&entries) {
            let leaf = Leaf::read(text.as_bytes()).unwrap();
            disclosures.take(seq, &leaf, &|| serde_json::from_str(text).unwrap());
        }
        let rows = disclosures.lines().rows();
        let texts: Vec<&str> = rows.iter().filter_map(|row| row["text"].as_str()).collect();
        assert_eq!(texts[0], "Wpg 15: 1 handed over, 1 begun and never whole, 2 approved");
        assert_eq!(
            texts.iter().filter(|text| text.contains("fetched 2 times, broke off 1 times")).count(),
            1
        );
        assert_eq!(texts.iter().filter(|text| text.contains("its end is not in the log")).count(), 1);
        let entries: Vec<Option<u64>> = rows.iter().map(|row| row["entry"].as_u64()).collect();
        assert_eq!(entries, [None, Some(8), Some(9), Some(0), Some(1)], "each line names its entry");
    }

    #[test]
    fn a_long_report_keeps_every_line_and_its_entry() {
        let mut disclosures = Disclosures::default();
        for seq in 0..500 {
            let text = entry("export.downloaded", "done", seq);
            let leaf = Leaf::read(text.as_bytes()).unwrap();
            disclosures.take(seq, &leaf, &|| serde_json::from_str(&text).unwrap());
        }
        let rows = disclosures.lines().rows();
        assert_eq!(rows.iter().filter(|row| row["entry"].is_u64()).count(), 500);
    }
}
