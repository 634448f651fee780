//! The thread behind the writer that commits to the index what is synced, and removes from it what is destroyed.

use crate::{
    error::VaultError,
    index::{Batch, Index, Removed},
    tidy,
    vault::Shared,
};
use media::StreamId;
use std::{
    collections::{HashSet, VecDeque},
    sync::{
        atomic::Ordering,
        mpsc::{Receiver, SyncSender},
    },
};

/// What the index thread is asked.
pub(crate) enum IndexCommand {
    Commit(Batch),
    Destroy {
        stream: StreamId,
        minutes: (i64, i64),
        reply: SyncSender<Result<Removed, VaultError>>,
    },
    /// Marks volumes in which nothing lives and whose newest instant lies before this minute, and unlinks them.
    Sweep {
        before: i64,
        reply: SyncSender<Result<Removed, VaultError>>,
    },
    /// A volume that the index knows has no file.
    Forget(u64),
    /// A volume lies in the folder that the index does not know.
    Adopt(u64),
    /// Answers when everything sent before is committed.
    Barrier(SyncSender<()>),
}

/// The thread that commits the index, and removes from it.
pub(crate) fn run(shared: &Shared, mut index: Index, commands: &Receiver<IndexCommand>) {
    // What could not be committed yet: it stays readable from memory, and the next start finds it in the volumes.
    let mut waiting: VecDeque<Batch> = VecDeque::new();
    while let Ok(command) = commands.recv() {
        match command {
            IndexCommand::Commit(batch) => {
                waiting.push_back(batch);
                while let Some(batch) = waiting.front() {
                    if let Err(error) = index.commit(batch) {
                        tracing::error!(%error, "the index could not be written; it is tried again with the next minute");
                        break;
                    }
                    #[cfg(test)]
                    if !batch.sealed.is_empty() {
                        crate::powercut::Disk::index_is_durable(&shared.config.dir);
                    }
                    shared.acknowledged().extend(batch.sealed.iter().map(|volume| volume.number));
                    forget(shared, batch);
                    waiting.pop_front();
                }
            }
            IndexCommand::Destroy { stream, minutes, reply } => {
                let pinned = shared.pinned();
                drop(reply.send(index.destroy(&shared.config.dir, stream, minutes, &pinned)));
            }
            IndexCommand::Sweep { before, reply } => {
                let pinned = shared.pinned();
                drop(reply.send(index.sweep(&shared.config.dir, before, &pinned)));
            }
            IndexCommand::Forget(number) => tidy::forget(shared, &mut index, number),
            IndexCommand::Adopt(number) => tidy::adopt(shared, &mut index, number),
            IndexCommand::Barrier(reply) => drop(reply.send(())),
        }
    }
}

/// Removes from memory what the index now has.
fn forget(shared: &Shared, batch: &Batch) {
    let mut chunks = batch.chunks.iter().peekable();
    while let Some((stream, _)) = chunks.peek() {
        let stream = *stream;
        let mut committed = HashSet::new();
        let mut units = 0;
        while let Some((_, chunk)) = chunks.next_if(|(next, _)| *next == stream) {
            committed.insert((chunk.volume, chunk.offset));
            units += u64::from(chunk.units);
        }
        if let Some(queue) = shared.queues.known(stream) {
            let mut state = queue.lock();
            let before = state.chunks.len();
            state.chunks.retain(|chunk| !committed.contains(&(chunk.volume, chunk.offset)));
            state.sent = state.sent.saturating_sub(before - state.chunks.len());
        }
        shared.queues.indexed.fetch_add(units, Ordering::SeqCst);
    }
    for (stream, gap) in &batch.gaps {
        if let Some(queue) = shared.queues.known(*stream) {
            queue.lock().gaps.retain(|known| known != gap);
        }
    }
}
