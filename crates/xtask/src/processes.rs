//! Child processes that never outlive this one: each in a group of its own, ended when its handle is dropped.

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static READER_GONE: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C and SIGTERM only set a flag; whoever waits sees it and unwinds, ending every child.
pub fn catch_interrupt() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst)).context("Ctrl-C cannot be caught")
}

/// Whether Ctrl-C was pressed.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Nobody reads what is printed any more: as if Ctrl-C had been pressed.
pub(crate) fn reader_gone() {
    READER_GONE.store(true, Ordering::SeqCst);
    INTERRUPTED.store(true, Ordering::SeqCst);
}

/// Whether nobody reads what is printed any more.
pub(crate) fn is_reader_gone() -> bool {
    READER_GONE.load(Ordering::SeqCst)
}

/// A running child and its descendants.
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a command in a process group of its own.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("{name} cannot be started ({})", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails when it has ended, as a service must not.
    pub fn must_run(&mut self) -> Result<()> {
        match self.ended()? {
            Some(status) => bail!("{} ended by itself: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Waits until it ends, or until Ctrl-C.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            pause(Duration::from_millis(50))?;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // The group may be gone already, which is what is wanted.
            kill_process_group(pid, signal).ok();
        }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        drop(self.child.wait());
    }

    /// Asks it to end, then makes it end.
    pub fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            self.signal(Signal::KILL);
            return;
        }
        self.signal(Signal::TERM);
        let patience = Instant::now() + Duration::from_secs(30);
        while Instant::now() < patience {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::KILL);
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sleeps, unless Ctrl-C was pressed.
pub fn pause(duration: Duration) -> Result<()> {
    let end = Instant::now() + duration;
    loop {
        if interrupted() {
            bail!("interrupted");
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

/// Runs a command to its end; fails when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let status = Process::start(&name, command)?.wait()?;
    if status.success() { Ok(()) } else { bail!("`{name}` ended with {status}") }
}

/// Waits for a file that a child writes when it is ready.
pub fn wait_for_file(path: &Path, patience: Duration, child: &mut Process) -> Result<String> {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if let Ok(text) = std::fs::read_to_string(path)
            && !text.trim().is_empty()
        {
            return Ok(text);
        }
        child.must_run()?;
        pause(Duration::from_millis(100))?;
    }
    bail!("{} was not ready after {} s", child.name, patience.as_secs())
}
