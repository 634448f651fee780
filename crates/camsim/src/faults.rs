//! What a camera can be told to do wrong, and the line protocol that tells it.
//!
//! One command per line on a TCP port of 127.0.0.1, answered by one line: `ok`, or `error` and the reason.
//!
//! | command | effect |
//! | --- | --- |
//! | `stall N` | nothing is sent any more, the connection stays |
//! | `drop N` | connections are closed; new ones are served |
//! | `refuse N` | the password is no longer good and connections are closed |
//! | `jump N SECONDS` | RTP timestamps leap, back when negative |
//! | `resize N` | main and sub change resolution with new parameter sets, from the next key frame |
//! | `loss N PERCENT` | that share of the RTP packets is not sent |
//! | `heal N` | all of the above ends |
//! | `state` | one line of JSON about every camera |

use serde::Serialize;

/// What is wrong with one camera; the default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Faults {
    /// Sends nothing.
    pub stalled: bool,
    /// Knows no password.
    pub refusing: bool,
    /// Seconds added to its RTP clock.
    pub jump_seconds: i64,
    /// Main serves the sub stream's pictures and the other way round.
    pub resized: bool,
    /// Share of RTP packets that is not sent.
    pub loss_percent: f32,
}

/// A command of the control port, addressed to a camera by its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Command {
    /// `stall N`
    Stall(u16),
    /// `drop N`
    Drop(u16),
    /// `refuse N`
    Refuse(u16),
    /// `jump N SECONDS`
    Jump(u16, i64),
    /// `resize N`
    Resize(u16),
    /// `loss N PERCENT`
    Loss(u16, f32),
    /// `heal N`
    Heal(u16),
    /// `state`
    State,
}

impl Command {
    /// Reads a line; the error is the sentence for the answer.
    pub fn parse(line: &str) -> Result<Command, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| word.parse().map_err(|_| format!("`{word}` is no camera number"));
        match words.as_slice() {
            ["stall", n] => Ok(Command::Stall(number(n)?)),
            ["drop", n] => Ok(Command::Drop(number(n)?)),
            ["refuse", n] => Ok(Command::Refuse(number(n)?)),
            ["jump", n, seconds] => {
                let by = seconds.parse().map_err(|_| format!("`{seconds}` is no number of seconds"))?;
                Ok(Command::Jump(number(n)?, by))
            }
            ["resize", n] => Ok(Command::Resize(number(n)?)),
            ["loss", n, percent] => match percent.parse() {
                Ok(share) if (0.0..=100.0).contains(&share) => Ok(Command::Loss(number(n)?, share)),
                _ => Err(format!("`{percent}` is no percentage")),
            },
            ["heal", n] => Ok(Command::Heal(number(n)?)),
            ["state"] => Ok(Command::State),
            _ => Err("commands: stall N, drop N, refuse N, jump N SECONDS, resize N, loss N PERCENT, heal N, state".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood_or_answered_with_a_reason() {
        assert_eq!(Command::parse("stall 3"), Ok(Command::Stall(3)));
        assert_eq!(Command::parse(" jump 4  -90 "), Ok(Command::Jump(4, -90)));
        assert_eq!(Command::parse("loss 2 2.5"), Ok(Command::Loss(2, 2.5)));
        assert_eq!(Command::parse("loss 2 200"), Err("`200` is no percentage".to_owned()));
        assert!(Command::parse("stall").is_err());
        assert!(Command::parse("stall x").is_err());
    }
}
