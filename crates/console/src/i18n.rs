//! What the screen says, in Dutch and English, from Fluent files. Both languages are loaded at start, so switching
//! costs one frame. A test proves that both files hold the same messages with the same variables.

use fluent_bundle::{FluentArgs, FluentBundle, FluentResource, FluentValue};
use mandate::{FactKind, ReasonCode};
use protocol::api::{IncidentCategory, IncidentSource, Sentence};
use unic_langid::{LanguageIdentifier, langid};

const NL: LanguageIdentifier = langid!("nl-NL");
const EN: LanguageIdentifier = langid!("en-GB");
const NL_TEXT: &str = include_str!("../../../assets/locales/nl/console.ftl");
const EN_TEXT: &str = include_str!("../../../assets/locales/en/console.ftl");

/// A language of the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Dutch, the default.
    #[default]
    Nl,
    /// English.
    En,
}

impl Language {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Nl => Self::En,
            Self::En => Self::Nl,
        }
    }
}

/// Every text of the console, in the language chosen now.
pub struct Texts {
    language: Language,
    nl: FluentBundle<FluentResource>,
    en: FluentBundle<FluentResource>,
}

impl Texts {
    /// Both languages, starting with this one.
    pub fn new(language: Language) -> Self {
        Self { language, nl: bundle(NL, NL_TEXT), en: bundle(EN, EN_TEXT) }
    }

    /// The language chosen now.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Chooses a language.
    pub fn set_language(&mut self, language: Language) {
        self.language = language;
    }

    /// The message with this key. An unknown key is shown as itself (and fails a test).
    pub fn get(&self, key: &str) -> String {
        self.format(key, None)
    }

    /// The message with this key and these variables.
    pub fn with<'a>(&self, key: &str, variables: &[(&'a str, FluentValue<'a>)]) -> String {
        let args: FluentArgs<'_> = variables.iter().cloned().collect();
        self.format(key, Some(&args))
    }

    /// The daemon's own words in the language chosen now.
    pub fn sentence<'a>(&self, sentence: &'a Sentence) -> &'a str {
        match self.language {
            Language::Nl => &sentence.nl,
            Language::En => &sentence.en,
        }
    }

    /// What a kind of incident is called.
    pub fn category(&self, category: IncidentCategory) -> String {
        self.get(match category {
            IncidentCategory::Fight => "category-fight",
            IncidentCategory::Nuisance => "category-nuisance",
            IncidentCategory::Vandalism => "category-vandalism",
            IncidentCategory::Theft => "category-theft",
            IncidentCategory::Medical => "category-medical",
            IncidentCategory::Traffic => "category-traffic",
            IncidentCategory::Drugs => "category-drugs",
            IncidentCategory::Crowd => "category-crowd",
            IncidentCategory::Other => "category-other",
        })
    }

    /// What a kind of fact is called.
    pub fn fact(&self, kind: FactKind) -> String {
        let word = serde_json::to_value(kind).ok().and_then(|v| v.as_str().map(|w| w.replace('_', "-")));
        self.get(&format!("fact-{}", word.unwrap_or_default()))
    }

    /// What a source of a report is called.
    pub fn source(&self, source: IncidentSource) -> String {
        self.get(match source {
            IncidentSource::Own => "source-own",
            IncidentSource::Radio => "source-radio",
            IncidentSource::Emergency112 => "source-112",
        })
    }

    /// The head of a tile that is closed for this reason, without the time it opens.
    pub fn closed(&self, code: ReasonCode) -> String {
        self.get(match code {
            ReasonCode::OutsideUsePeriod => "closed-not-in-use",
            ReasonCode::NotOnShift => "closed-not-on-shift",
            ReasonCode::AuthorisationScope
            | ReasonCode::AuthorisationMissing
            | ReasonCode::AuthorisationExpired
            | ReasonCode::RoleNotPermitted => "closed-not-authorised",
            _ => "closed",
        })
    }

    fn format(&self, key: &str, args: Option<&FluentArgs<'_>>) -> String {
        let bundle = match self.language {
            Language::Nl => &self.nl,
            Language::En => &self.en,
        };
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            tracing::warn!(key, "no such text");
            return key.to_owned();
        };
        let mut problems = Vec::new();
        let text = bundle.format_pattern(pattern, args, &mut problems);
        if !problems.is_empty() {
            tracing::warn!(key, ?problems, "a text could not be completed");
        }
        text.into_owned()
    }
}

fn bundle(language: LanguageIdentifier, source: &str) -> FluentBundle<FluentResource> {
    let mut bundle = FluentBundle::new(vec![language]);
    // Isolation marks are for mixed directions; the fonts would show them as boxes.
    bundle.set_use_isolating(false);
    // A broken line loses only itself; the test below finds it.
    let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, problems)| {
        tracing::error!(?problems, "texts with mistakes");
        resource
    });
    if let Err(problems) = bundle.add_resource(resource) {
        tracing::error!(?problems, "texts defined twice");
    }
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Keys and the variables each uses.
    fn messages(text: &str) -> BTreeMap<String, BTreeSet<String>> {
        FluentResource::try_new(text.to_owned()).expect("the file has no mistakes");
        let mut found = BTreeMap::new();
        let mut key = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, _)) = line.split_once(" =").filter(|_| !line.starts_with(' ')) {
                key = name.to_owned();
                assert!(found.insert(key.clone(), BTreeSet::new()).is_none(), "{key} stands there twice");
            }
            for piece in line.split('$').skip(1) {
                let variable = piece.split(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap();
                found.get_mut(&key).unwrap().insert(variable.to_owned());
            }
        }
        found
    }

    #[test]
    fn both_languages_are_complete() {
        assert_eq!(messages(NL_TEXT), messages(EN_TEXT));
    }

    /// Every key in the sources exists, and no text is left unused.
    #[test]
    fn every_key_used_exists_and_every_text_is_used() {
        let known = messages(NL_TEXT);
        let mut sources = String::new();
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    sources.push_str(&std::fs::read_to_string(path).unwrap());
                }
            }
        }
        let literals: BTreeSet<&str> = sources.split('"').collect();
        for key in known.keys() {
            let made = ["weekday-", "month-", "fact-"].iter().any(|prefix| key.starts_with(prefix));
            assert!(made || literals.contains(key.as_str()), "the text `{key}` is never used");
        }
        for (at, _) in sources.match_indices("texts.get(\"").chain(sources.match_indices("texts.with(\"")) {
            let key = sources[at..].split('"').nth(1).unwrap();
            assert!(known.contains_key(key), "`{key}` is used but has no text");
        }
    }

    #[test]
    fn every_kind_of_fact_has_a_name() {
        let texts = Texts::new(Language::Nl);
        // The last kind of the enum: a new one must be added here and to the files.
        assert_eq!(texts.fact(FactKind::Incident), "incident");
        assert_eq!(texts.fact(FactKind::SubprocessorAgreement), "subverwerkersovereenkomst");
    }

    #[test]
    fn language_is_switched_at_run_time() {
        let mut texts = Texts::new(Language::Nl);
        assert_eq!(texts.get("room-wall"), "Wand");
        texts.set_language(Language::En);
        assert_eq!(texts.get("room-wall"), "Wall");
    }
}
