//! Real clips as a source of pictures: decoded, scaled, brought to 25 frames a second and repeated without end.

use crate::{code, draw::Canvas};
use anyhow::{Context, Result, anyhow, ensure};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSink;
use std::path::{Path, PathBuf};

/// A clip being decoded.
#[derive(Debug)]
pub struct Clip {
    path: PathBuf,
    width: usize,
    height: usize,
    pipeline: gst::Pipeline,
    sink: AppSink,
    frames_this_round: usize,
}

impl Clip {
    /// Opens a clip that any of the installed decoders can read.
    pub fn open(path: &Path, width: usize, height: usize) -> Result<Clip> {
        let (pipeline, sink) = start(path, width, height)?;
        Ok(Clip { path: path.to_owned(), width, height, pipeline, sink, frames_this_round: 0 })
    }

    /// The next picture; after the last comes the first again.
    pub fn next_into(&mut self, canvas: &mut Canvas) -> Result<()> {
        loop {
            if let Ok(sample) = self.sink.pull_sample() {
                let buffer = sample.buffer().context("a sample without data")?;
                let map = buffer.map_readable()?;
                ensure!(map.len() == canvas.planes.len(), "the decoder gave pictures of another size");
                canvas.planes.copy_from_slice(&map);
                self.frames_this_round += 1;
                return Ok(());
            }
            ensure!(self.frames_this_round > 0, "{} has no picture that can be decoded", self.path.display());
            self.pipeline.set_state(gst::State::Null)?;
            (self.pipeline, self.sink) = start(&self.path, self.width, self.height)?;
            self.frames_this_round = 0;
        }
    }
}

impl Drop for Clip {
    fn drop(&mut self) {
        if let Err(error) = self.pipeline.set_state(gst::State::Null) {
            tracing::debug!(%error, "a clip did not stop");
        }
    }
}

fn start(path: &Path, width: usize, height: usize) -> Result<(gst::Pipeline, AppSink)> {
    // A clip of another shape is cropped by the scaler's borders: black bars, as a camera would have none to spare.
    let launch = format!(
        "filesrc name=file ! decodebin ! videoconvert ! videoscale add-borders=true ! videorate \
         ! video/x-raw,format=I420,width={width},height={height},pixel-aspect-ratio=1/1,framerate={}/1 \
         ! appsink name=out sync=false max-buffers=3",
        code::RATE
    );
    let pipeline =
        gst::parse::launch(&launch)?.downcast::<gst::Pipeline>().map_err(|_| anyhow!("no pipeline"))?;
    pipeline.by_name("file").context("no source")?.set_property("location", path.to_string_lossy().as_ref());
    let sink = pipeline.by_name("out").and_then(|e| e.downcast::<AppSink>().ok()).context("no sink")?;
    pipeline.set_state(gst::State::Playing)?;
    Ok((pipeline, sink))
}
