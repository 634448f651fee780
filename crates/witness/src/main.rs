//! `rtr-witness`: run by the police, on the police's machine, with the police's key.

// Before the others: its `println!` is this program's.
#[macro_use]
mod output;

use anyhow::{Context, Result};
use chrono::{TimeDelta, Utc};
use clap::{Parser, Subcommand};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::ExitCode,
    sync::mpsc,
    time::Duration,
};
use witness::{Refusal, Witness, epoch, http, keys, letters, log_directory, watch::Watch};

/// Checks that the ledger only grows, and cosigns it.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Prints the witness's public key, made when there is none yet.
    Key {
        /// The witness's key: a file (made with mode 0600), or a token as `pkcs11:…` (RFC 7512).
        #[arg(long)]
        key: String,
        /// The name under which it signs.
        #[arg(long, default_value = NAME)]
        name: String,
    },
    /// Reads the log's folder again and again and leaves the cosigned checkpoint in it.
    Cosign {
        /// The log's published folder.
        #[arg(long)]
        log: PathBuf,
        /// How often: `10s`, `1m`; `once` for a single round.
        #[arg(long, default_value = "60s", value_parser = interval)]
        every: Interval,
        /// Serves `GET /status` and `GET /metrics` here, for the police's own monitoring.
        #[arg(long)]
        listen: Option<SocketAddr>,
        #[command(flatten)]
        alarm: Alarm,
        #[command(flatten)]
        who: Who,
    },
    /// Serves `POST /add-checkpoint` (C2SP tlog-witness), `GET /status` and `GET /metrics` over plain HTTP.
    Serve {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:7411")]
        listen: SocketAddr,
        /// A path that only the log's host knows: `POST /PREFIX/add-checkpoint`, and nothing else is answered. With it nobody
        /// but the host can even offer a checkpoint.
        #[arg(long, default_value = "")]
        prefix: String,
        #[command(flatten)]
        alarm: Alarm,
        #[command(flatten)]
        who: Who,
    },
    /// On the host: writes a request that is carried to the police (separate networks).
    Request {
        /// The log's folder.
        #[arg(long)]
        log: PathBuf,
        /// The log's public key (text, or a file with it).
        #[arg(long)]
        log_key: String,
        /// The size that the witness signed last, when it is not the newest cosigned one.
        #[arg(long)]
        old: Option<u64>,
        /// Where to write it.
        #[arg(long)]
        out: PathBuf,
    },
    /// At the police: answers a request that was carried here.
    Answer {
        /// The request.
        #[arg(long)]
        request: PathBuf,
        /// Where to write the answer.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        alarm: Alarm,
        #[command(flatten)]
        who: Who,
    },
    /// At the police: the first cosignature of a log that was granted as a new epoch, for those that serve or answer letters.
    Begin {
        /// The tlog-proof of the new log's entry 0, as `rtrctl ledger proof LOG 0` writes it.
        #[arg(long)]
        proof: PathBuf,
        /// Where to write the cosigned checkpoint, for `deliver`.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        who: Who,
    },
    /// On the host: hands an answer to the log.
    Deliver {
        /// The answer.
        #[arg(long)]
        answer: PathBuf,
        /// The log's folder.
        #[arg(long)]
        log: PathBuf,
        /// The log's public key (text, or a file with it).
        #[arg(long)]
        log_key: String,
    },
    /// At the police: lets a log begin anew under another name and key, after the old one was lost in part.
    Epoch {
        /// The new log's public key (text, or a file with it).
        #[arg(long)]
        new_log_key: String,
        /// The state file that the witness will keep for the new log.
        #[arg(long)]
        new_state: PathBuf,
        /// Why, in one line; it stands in the new log for ever.
        #[arg(long)]
        reason: String,
        /// Where to write the grant.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        who: Who,
    },
}

/// How the police hear of it.
#[derive(clap::Args)]
struct Alarm {
    /// A program that is run with the text of each new alarm, and when it is over.
    #[arg(long, value_name = "PROGRAM")]
    on_alarm: Option<PathBuf>,
}

const NAME: &str = "rtr-witness";

#[derive(clap::Args)]
struct Who {
    /// The witness's key: a file (made with mode 0600 when it is not there), or a key in a token as `pkcs11:…` (RFC 7512).
    #[arg(long)]
    key: String,
    /// The file that remembers what was signed. Losing it means trusting the log anew.
    #[arg(long)]
    state: PathBuf,
    /// The log's public key (text, or a file with it), brought here by hand.
    #[arg(long)]
    log_key: String,
    /// The name under which it signs.
    #[arg(long, default_value = NAME)]
    name: String,
}

impl Who {
    fn witness(&self) -> Result<Witness> {
        let log_key = text_or_file(&self.log_key);
        let key = keys::open(&self.key, &self.name)?;
        let witness = Witness::open(key, &self.state, &log_key)?;
        println!("witness {}", witness.vkey());
        Ok(witness)
    }

    /// The watch over this witness's log. A log that was never seen is given its five minutes from now.
    fn watch(&self, witness: &Witness, alarm: &Alarm) -> Watch {
        let mut evidence = self.state.as_os_str().to_owned();
        evidence.push(".evidence");
        let grew_at = witness.grew_at().unwrap_or_else(Utc::now);
        Watch::new(witness.seen_size(), grew_at, evidence.into(), alarm.on_alarm.clone())
    }
}

fn text_or_file(key: &str) -> String {
    fs::read_to_string(key).unwrap_or_else(|_| key.to_owned()).trim().to_owned()
}

/// Looks for alarms every few seconds, for ever.
fn stand_guard(watch: Watch) {
    std::thread::spawn(move || {
        loop {
            watch.sound(Utc::now());
            std::thread::sleep(Duration::from_secs(2));
        }
    });
}

/// One look at the log: 0 when it was cosigned and all is well, 3 when there is an alarm, 1 when it could not be read.
fn round(witness: &mut Witness, watch: &Watch, log: &std::path::Path) -> u8 {
    let now = Utc::now();
    let failed = match log_directory::cosign(witness, log, now) {
        Ok(done) => {
            watch.cosigned(done.size, done.newest, now);
            println!("cosigned {} entries, {} of them new", done.size, done.new);
            false
        }
        Err(e) if e.is_alarm() => {
            let offered = fs::read_to_string(log.join("checkpoint")).unwrap_or_default();
            watch.refused(&e.to_string(), &offered, witness.signed_note().as_deref(), now);
            eprintln!("ALARM: {e}");
            false
        }
        Err(e @ (Refusal::Shorter { .. } | Refusal::Inconsistent { .. })) => {
            let offered = fs::read_to_string(log.join("checkpoint")).unwrap_or_default();
            // Nobody but the host writes the log's folder: a shorter log there is one that was cut, or an old copy.
            match e {
                Refusal::Shorter { size, .. } => watch.shorter(size, &offered, TimeDelta::zero(), now),
                Refusal::Inconsistent { new, .. } => {
                    watch.unproven(new, &offered, http::PATIENCE_WITH_OFFERS, now);
                }
                _ => {}
            }
            eprintln!("not cosigned: {e}");
            true
        }
        Err(e) => {
            watch.unreachable(&e.to_string());
            eprintln!("not cosigned: {e}");
            true
        }
    };
    watch.sound(now);
    match watch.alarm(now) {
        Some(_) => 3,
        None => u8::from(failed),
    }
}

#[derive(Clone, Copy)]
enum Interval {
    Once,
    Every(Duration),
}

fn interval(text: &str) -> Result<Interval, String> {
    if text == "once" {
        return Ok(Interval::Once);
    }
    let (number, unit) = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 60),
        _ => return Err("write it as 10s, 1m or once".to_owned()),
    };
    match number.parse::<u64>() {
        Ok(n) if (1..=3600).contains(&n) => Ok(Interval::Every(Duration::from_secs(n * unit))),
        _ => Err("between 1s and 3600s".to_owned()),
    }
}

fn main() -> Result<ExitCode> {
    let done = Ok(ExitCode::SUCCESS);
    match Arguments::parse().verb {
        Verb::Key { key, name } => {
            println!("{}", keys::open(&key, &name)?.vkey());
            done
        }
        Verb::Serve { listen, prefix, alarm, who } => {
            let mut witness = who.witness()?;
            let watch = who.watch(&witness, &alarm);
            let listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
            println!("ready http://{}", listener.local_addr()?);
            stand_guard(watch.clone());
            http::serve(&listener, Some(&mut witness), &watch, &prefix)?;
            done
        }
        Verb::Cosign { log, every, listen, alarm, who } => {
            let mut witness = who.witness()?;
            let watch = who.watch(&witness, &alarm);
            let Interval::Every(pause) = every else {
                return Ok(ExitCode::from(round(&mut witness, &watch, &log)));
            };
            if let Some(listen) = listen {
                let listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
                println!("status http://{}/status", listener.local_addr()?);
                let watch = watch.clone();
                std::thread::spawn(move || http::serve(&listener, None, &watch, ""));
            }
            stand_guard(watch.clone());
            let (stop, stopped) = mpsc::channel();
            ctrlc::set_handler(move || {
                // Nobody listens any more: then it is ending already.
                stop.send(()).ok();
            })?;
            loop {
                round(&mut witness, &watch, &log);
                if stopped.recv_timeout(pause).is_ok() {
                    return done;
                }
            }
        }
        Verb::Request { log, log_key, old, out } => {
            let request = letters::request(&log, &text_or_file(&log_key), old)?;
            fs::write(&out, request).with_context(|| out.display().to_string())?;
            println!("carry {} to the witness", out.display());
            done
        }
        Verb::Answer { request, out, alarm, who } => {
            let mut witness = who.witness()?;
            let watch = who.watch(&witness, &alarm);
            let text = fs::read_to_string(&request).with_context(|| request.display().to_string())?;
            match letters::answer(&mut witness, &text, Utc::now()) {
                Ok(answer) => {
                    fs::write(&out, answer).with_context(|| out.display().to_string())?;
                    println!("cosigned {} entries; carry {} back", witness.seen_size(), out.display());
                    done
                }
                Err(e) if e.is_alarm() => {
                    watch.refused(&e.to_string(), &text, witness.signed_note().as_deref(), Utc::now());
                    watch.sound(Utc::now());
                    Ok(ExitCode::from(3))
                }
                Err(e @ Refusal::Shorter { size, .. }) => {
                    // A letter comes when somebody carries it: nothing newer is on its way to contradict this one.
                    watch.shorter(size, &text, TimeDelta::zero(), Utc::now());
                    watch.sound(Utc::now());
                    eprintln!("not cosigned: {e}");
                    Ok(ExitCode::from(3))
                }
                Err(e @ Refusal::Inconsistent { new, .. }) => {
                    watch.unproven(new, &text, TimeDelta::zero(), Utc::now());
                    watch.sound(Utc::now());
                    eprintln!("not cosigned: {e}");
                    Ok(ExitCode::from(3))
                }
                Err(e) => Err(e.into()),
            }
        }
        Verb::Begin { proof, out, who } => {
            let mut witness = who.witness()?;
            let text = fs::read_to_string(&proof).with_context(|| proof.display().to_string())?;
            let answer = witness.begin(&text, Utc::now())?;
            fs::write(&out, answer).with_context(|| out.display().to_string())?;
            println!(
                "the new log begins with its grant; cosigned {} entries; carry {} back",
                witness.seen_size(),
                out.display()
            );
            done
        }
        Verb::Deliver { answer, log, log_key } => {
            let text = fs::read_to_string(&answer).with_context(|| answer.display().to_string())?;
            let size = letters::deliver(&log, &text_or_file(&log_key), &text)?;
            println!("handed over: a cosignature on {size} entries");
            done
        }
        Verb::Epoch { new_log_key, new_state, reason, out, who } => {
            let witness = who.witness()?;
            let grant = witness.grant_epoch(&text_or_file(&new_log_key), &reason, Utc::now())?;
            epoch::expect(&new_state, &grant)?;
            fs::write(&out, grant).with_context(|| out.display().to_string())?;
            println!(
                "the old log ends at {} entries; carry {} to the host",
                witness.seen_size(),
                out.display()
            );
            done
        }
    }
}
