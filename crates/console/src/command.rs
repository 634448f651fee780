//! Everything an operator can tell the console, as one enum: keys, the rail, the palette and tests all send the same
//! commands, and [`crate::model::Model::apply`] carries them out between frames.

use crate::layout::{Direction, Layout};
use egui::{Key, Modifiers};
use mandate::CameraId;
use protocol::api::{IncidentCategory, IncidentSource};

/// A room of the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Room {
    /// The live pictures.
    #[default]
    Wall,
    /// Looking back, several cameras on one clock.
    Replay,
    /// The shift's log.
    Incidents,
    /// State of cameras and services.
    Health,
}

/// Something an operator wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Log in with these.
    LogIn {
        /// Log-in name.
        username: String,
        /// Password.
        password: String,
    },
    /// End the session.
    LogOut,
    /// Enter a room.
    Enter(Room),
    /// Divide the wall.
    Divide(Layout),
    /// Select a tile, from 0.
    Select(usize),
    /// Move the selection.
    Move(Direction),
    /// Put the camera with this number on a tile, from 0 (none: the selected one).
    ShowNumber {
        /// The camera's number.
        number: u32,
        /// The tile.
        tile: Option<usize>,
    },
    /// Put a camera on a tile (none: the selected one).
    Show {
        /// The camera.
        camera: CameraId,
        /// The tile.
        tile: Option<usize>,
    },
    /// Zoom into a tile's picture around a point of it (0..1).
    Zoom {
        /// The tile.
        tile: usize,
        /// Factor.
        by: f32,
        /// The point that stays where it is.
        at: egui::Pos2,
    },
    /// Move what a zoomed tile shows, in parts of the picture.
    Pan {
        /// The tile.
        tile: usize,
        /// By how much.
        by: egui::Vec2,
    },
    /// Make the selected tile as large as the wall, or small again.
    Enlarge,
    /// Open the form that marks this moment on the selected tile.
    OpenMark,
    /// Mark it.
    Mark {
        /// What kind.
        category: IncidentCategory,
        /// A note without names.
        note: String,
        /// Where it came from.
        source: IncidentSource,
        /// Police instruction reference.
        instruction: Option<String>,
    },
    /// Close an incident of the list.
    CloseIncident(mandate::IncidentId),
    /// Play the last 30 seconds of the selected tile in that tile.
    LookBack,
    /// In the replay room: go on, or stand still.
    ReplayPlay,
    /// In the replay room: to this instant.
    ReplaySeek(chrono::DateTime<chrono::Utc>),
    /// In the replay room: one picture on, or back. Carried out by the window, which knows the pictures.
    ReplayStep {
        /// On.
        forward: bool,
    },
    /// In the replay room: at this speed; below 0 backward.
    ReplaySpeed(f32),
    /// In the replay room: select one of its cameras, from 0.
    ReplaySelect(usize),
    /// In the replay room: the selected camera out of step.
    ReplayRemove,
    /// Keep the picture of the selected tile with its incident.
    Still,
    /// Ask why this tile may or may not be seen.
    Why,
    /// Go back: close what is open, end a replay, leave enlargement.
    Back,
    /// Show all keys.
    Help,
    /// Show every command.
    Palette,
    /// Put the cursor in the camera search.
    Search,
    /// Speak the other language.
    SwitchLanguage,
}

/// A key that always does the same, where no text is being typed.
pub struct Shortcut {
    /// The key.
    pub key: Key,
    /// With these held.
    pub modifiers: Modifiers,
    /// What it looks like on a key cap.
    pub cap: &'static str,
    /// What it does, as a key of the texts.
    pub text: &'static str,
    /// What it does.
    pub command: fn() -> Command,
}

const fn plain(key: Key, cap: &'static str, text: &'static str, command: fn() -> Command) -> Shortcut {
    Shortcut { key, modifiers: Modifiers::NONE, cap, text, command }
}

/// Every shortcut there is.
pub const SHORTCUTS: &[Shortcut] = &[
    plain(Key::M, "M", "do-mark", || Command::OpenMark),
    plain(Key::R, "R", "do-look-back", || Command::LookBack),
    plain(Key::S, "S", "do-still", || Command::Still),
    plain(Key::F, "F", "do-enlarge", || Command::Enlarge),
    plain(Key::Questionmark, "?", "do-why", || Command::Why),
    plain(Key::L, "L", "do-language", || Command::SwitchLanguage),
    plain(Key::Slash, "/", "do-search", || Command::Search),
    plain(Key::Escape, "Esc", "do-back", || Command::Back),
    plain(Key::F1, "F1", "do-help", || Command::Help),
    plain(Key::F2, "F2", "do-wall", || Command::Enter(Room::Wall)),
    plain(Key::F5, "F5", "do-replay", || Command::Enter(Room::Replay)),
    plain(Key::Space, "Spatie", "do-replay-play", || Command::ReplayPlay),
    plain(Key::Delete, "Del", "do-replay-remove", || Command::ReplayRemove),
    plain(Key::F3, "F3", "do-incidents", || Command::Enter(Room::Incidents)),
    plain(Key::F4, "F4", "do-health", || Command::Enter(Room::Health)),
    plain(Key::ArrowLeft, "←", "do-left", || Command::Move(Direction::Left)),
    plain(Key::ArrowRight, "→", "do-right", || Command::Move(Direction::Right)),
    plain(Key::ArrowUp, "↑", "do-up", || Command::Move(Direction::Up)),
    plain(Key::ArrowDown, "↓", "do-down", || Command::Move(Direction::Down)),
    Shortcut {
        key: Key::K,
        modifiers: Modifiers::COMMAND,
        cap: "Ctrl K",
        text: "do-palette",
        command: || Command::Palette,
    },
    Shortcut {
        key: Key::Q,
        modifiers: Modifiers::COMMAND,
        cap: "Ctrl Q",
        text: "do-log-out",
        command: || Command::LogOut,
    },
];

/// The shortcut of a key press, if it is one.
pub fn shortcut(key: Key, held: Modifiers) -> Option<&'static Shortcut> {
    SHORTCUTS.iter().find(|s| {
        // `?` and `/` need shift on some keyboards and not on others.
        let held = if s.modifiers == Modifiers::NONE { Modifiers { shift: false, ..held } } else { held };
        s.key == key && held.matches_exact(s.modifiers)
    })
}

/// The key of a category in the form that marks an incident.
pub const CATEGORY_KEYS: [(char, IncidentCategory); 9] = [
    ('1', IncidentCategory::Fight),
    ('2', IncidentCategory::Nuisance),
    ('3', IncidentCategory::Vandalism),
    ('4', IncidentCategory::Theft),
    ('5', IncidentCategory::Medical),
    ('6', IncidentCategory::Traffic),
    ('7', IncidentCategory::Drugs),
    ('8', IncidentCategory::Crowd),
    ('9', IncidentCategory::Other),
];

/// How long a keypad entry waits for its next key, in seconds.
pub const ENTRY_EXPIRES: f64 = 3.0;

/// What is being typed on the keypad: `7 ⏎` puts camera 7 on the selected tile, `3 . 7 ⏎` on tile 3, `* 2 ⏎` takes the
/// second layout.
#[derive(Clone, Debug, Default)]
pub struct Keypad {
    entry: String,
    typed_at: f64,
}

/// Longest entry: `16.99999999`.
const ENTRY_LENGTH: usize = 11;

impl Keypad {
    /// What stands there, for the large display; empty when nothing does.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// A character at a time in seconds. Returns whether it belongs to the grammar.
    pub fn push(&mut self, character: char, now: f64) -> bool {
        self.expire(now);
        let fits = match character {
            '0'..='9' => self.entry.len() < ENTRY_LENGTH,
            '.' | ',' => !self.entry.is_empty() && !self.entry.contains(['.', '*']),
            '*' => self.entry.is_empty(),
            _ => return false,
        };
        if fits {
            self.entry.push(if character == ',' { '.' } else { character });
            self.typed_at = now;
        }
        true
    }

    /// Takes back the last character. Returns whether there was one.
    pub fn erase(&mut self, now: f64) -> bool {
        self.expire(now);
        self.typed_at = now;
        self.entry.pop().is_some()
    }

    /// Forgets the entry. Returns whether there was one.
    pub fn clear(&mut self) -> bool {
        !std::mem::take(&mut self.entry).is_empty()
    }

    /// Forgets an entry nobody completed; returns how many seconds it still has.
    pub fn expire(&mut self, now: f64) -> Option<f64> {
        if self.entry.is_empty() {
            return None;
        }
        let left = self.typed_at + ENTRY_EXPIRES - now;
        if left <= 0.0 {
            self.entry.clear();
            return None;
        }
        Some(left)
    }

    /// Completes the entry: what it asks, `Err` with the entry when it asks nothing, `None` when nothing stood there.
    pub fn enter(&mut self, now: f64) -> Option<Result<Command, String>> {
        self.expire(now);
        let entry = std::mem::take(&mut self.entry);
        if entry.is_empty() {
            return None;
        }
        Some(Self::parse(&entry).ok_or(entry))
    }

    fn parse(entry: &str) -> Option<Command> {
        if let Some(number) = entry.strip_prefix('*') {
            return Some(Command::Divide(Layout::numbered(number.parse().ok()?)?));
        }
        let (tile, number) = match entry.split_once('.') {
            Some((tile, number)) => (Some(tile.parse::<usize>().ok()?.checked_sub(1)?), number),
            None => (None, entry),
        };
        Some(Command::ShowNumber { number: number.parse().ok()?, tile })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_shortcuts_clash() {
        for (i, a) in SHORTCUTS.iter().enumerate() {
            for b in SHORTCUTS.iter().skip(i + 1) {
                assert!(a.key != b.key || a.modifiers != b.modifiers, "{} and {} clash", a.text, b.text);
                assert_ne!(a.cap, b.cap, "{} and {} look alike", a.text, b.text);
            }
            // The keypad owns these.
            let keypad = [Key::Num0, Key::Num1, Key::Num9, Key::Enter, Key::Period, Key::Backspace];
            assert!(!keypad.contains(&a.key), "{} takes a key of the keypad", a.text);
        }
    }

    #[test]
    fn shortcuts_are_found_with_the_right_modifiers() {
        assert_eq!(shortcut(Key::M, Modifiers::NONE).map(|s| (s.command)()), Some(Command::OpenMark));
        assert_eq!(shortcut(Key::Questionmark, Modifiers::SHIFT).map(|s| (s.command)()), Some(Command::Why));
        assert!(shortcut(Key::M, Modifiers::CTRL).is_none());
        assert!(shortcut(Key::K, Modifiers::NONE).is_none());
        let ctrl = Modifiers { ctrl: true, command: true, ..Modifiers::NONE };
        assert_eq!(shortcut(Key::K, ctrl).map(|s| (s.command)()), Some(Command::Palette));
    }

    fn typed(keys: &str) -> Option<Result<Command, String>> {
        let mut keypad = Keypad::default();
        for key in keys.chars() {
            keypad.push(key, 0.0);
        }
        keypad.enter(1.0)
    }

    #[test]
    fn keypad_grammar() {
        assert_eq!(typed("7"), Some(Ok(Command::ShowNumber { number: 7, tile: None })));
        assert_eq!(typed("3.7"), Some(Ok(Command::ShowNumber { number: 7, tile: Some(2) })));
        assert_eq!(typed("3,7"), typed("3.7"));
        assert_eq!(typed("*2"), Some(Ok(Command::Divide(Layout::Four))));
        assert_eq!(typed("*9"), Some(Err("*9".to_owned())));
        assert_eq!(typed("0.7"), Some(Err("0.7".to_owned())));
        assert_eq!(typed("3."), Some(Err("3.".to_owned())));
        assert_eq!(typed(".x"), None, "nothing that begins wrongly stands there");
    }

    #[test]
    fn an_entry_expires() {
        let mut keypad = Keypad::default();
        keypad.push('7', 10.0);
        assert!(keypad.expire(12.9).is_some());
        assert!(keypad.expire(13.0).is_none());
        assert_eq!(keypad.enter(13.1), None);
        keypad.push('1', 20.0);
        keypad.push('2', 22.5);
        assert_eq!(keypad.enter(25.0), Some(Ok(Command::ShowNumber { number: 12, tile: None })));
    }
}
