//! Drawn or decoded pictures in, loops out: one pass of the encoders over the minute.

use crate::{
    code,
    draw::{Canvas, overlay},
    loops::{Codec, Loop},
};
use anyhow::{Context, Result, anyhow, ensure};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSrc};
use std::thread;

/// Frames between two key frames: two seconds.
pub const GROUP: u16 = 50;

/// What a minute is encoded to: the main stream's size and rate; the sub stream is half as wide and high.
#[derive(Debug, Clone, Copy)]
pub struct Quality {
    /// Width of the main stream.
    pub width: usize,
    /// Height of the main stream.
    pub height: usize,
    /// Rate of the main stream in kbit/s.
    pub main_kbps: u32,
    /// Rate of the sub stream in kbit/s.
    pub sub_kbps: u32,
}

/// Encodes a minute of pictures, main and sub in one pass, with the overlay on top. `first_key` is the frame of the
/// minute at which the first group starts; cameras with different ones do not send their key frames all at once.
pub fn minute(
    codec: Codec,
    quality: Quality,
    first_key: u16,
    mut picture: impl FnMut(u16, &mut Canvas) -> Result<()>,
) -> Result<(Loop, Loop)> {
    let mut main = Canvas::new(quality.width, quality.height);
    let mut sub = Canvas::new(quality.width / 2, quality.height / 2);
    let main_encoder = Encoder::start(codec, &main, quality.main_kbps)?;
    let sub_encoder = Encoder::start(codec, &sub, quality.sub_kbps)?;
    for n in 0..code::FRAMES {
        let frame = (n + first_key) % code::FRAMES;
        picture(frame, &mut main)?;
        overlay::draw(&mut main, frame);
        main.halved_into(&mut sub);
        main_encoder.push(n, &main)?;
        sub_encoder.push(n, &sub)?;
    }
    Ok((main_encoder.finish(codec, &main, first_key)?, sub_encoder.finish(codec, &sub, first_key)?))
}

struct Encoder {
    pipeline: gst::Pipeline,
    source: AppSrc,
    collected: thread::JoinHandle<Result<Vec<Vec<u8>>>>,
}

impl Encoder {
    fn start(codec: Codec, canvas: &Canvas, kbps: u32) -> Result<Encoder> {
        // One thread each: two scenes are encoded side by side. Half a second of rate buffer gives the key frames room
        // and keeps the rate as even as a camera's.
        let encoder = match codec {
            Codec::H264 => format!(
                "x264enc bitrate={kbps} speed-preset=superfast tune=zerolatency key-int-max={GROUP} bframes=0 threads=1 \
                 byte-stream=true aud=false vbv-buf-capacity=500 \
                 option-string=scenecut=0:keyint={GROUP}:min-keyint={GROUP} \
                 ! video/x-h264,stream-format=byte-stream,alignment=au"
            ),
            Codec::H265 => format!(
                "x265enc bitrate={kbps} speed-preset=ultrafast tune=zerolatency key-int-max={GROUP} log-level=error \
                 option-string=scenecut=0:bframes=0:open-gop=0:repeat-headers=1:pools=none:frame-threads=1:keyint={GROUP}:\
                 min-keyint={GROUP}:vbv-maxrate={kbps}:vbv-bufsize={} \
                 ! video/x-h265,stream-format=byte-stream,alignment=au",
                kbps / 2
            ),
        };
        let launch = format!(
            "appsrc name=in format=time block=true max-buffers=3 max-bytes=0 ! {encoder} ! appsink name=out sync=false"
        );
        let pipeline = gst::parse::launch(&launch)
            .context("building the encoder (are the GStreamer ugly and bad plug-ins installed?)")?
            .downcast::<gst::Pipeline>()
            .map_err(|_| anyhow!("no pipeline"))?;
        let source = pipeline
            .by_name("in")
            .and_then(|e| e.downcast::<AppSrc>().ok())
            .context("the encoder has no entrance")?;
        let sink = pipeline
            .by_name("out")
            .and_then(|e| e.downcast::<AppSink>().ok())
            .context("the encoder has no exit")?;
        source.set_caps(Some(
            &gst::Caps::builder("video/x-raw")
                .field("format", "I420")
                .field("width", canvas.width as i32)
                .field("height", canvas.height as i32)
                .field("framerate", gst::Fraction::new(i32::from(code::RATE), 1))
                .field("colorimetry", "bt709")
                .build(),
        ));
        pipeline.set_state(gst::State::Playing)?;
        let collected = thread::Builder::new().name("encoded".to_owned()).spawn(move || collect(&sink))?;
        Ok(Encoder { pipeline, source, collected })
    }

    fn push(&self, n: u16, canvas: &Canvas) -> Result<()> {
        let mut buffer = gst::Buffer::from_slice(canvas.planes.clone());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_mseconds(u64::from(n) * 40));
            buffer.set_duration(gst::ClockTime::from_mseconds(40));
        }
        self.source.push_buffer(buffer).map_err(|flow| anyhow!("the encoder stopped: {flow}"))?;
        Ok(())
    }

    fn finish(self, codec: Codec, canvas: &Canvas, first_key: u16) -> Result<Loop> {
        self.source.end_of_stream().map_err(|flow| anyhow!("the encoder stopped: {flow}"))?;
        let collected = self.collected.join().map_err(|_| anyhow!("the encoder's reader died"))?;
        self.pipeline.set_state(gst::State::Null)?;
        let mut units = collected?;
        ensure!(units.len() == usize::from(code::FRAMES), "the encoder gave {} of 1500 frames", units.len());
        units.rotate_right(usize::from(first_key));
        let made = Loop::from_annex_b(codec, canvas.width, canvas.height, &units)?;
        for frame in 0..code::FRAMES {
            let due = (frame + code::FRAMES - first_key).is_multiple_of(GROUP);
            ensure!(made.is_key(frame) == due, "the encoder put its key frames elsewhere (frame {frame})");
        }
        Ok(made)
    }
}

fn collect(sink: &AppSink) -> Result<Vec<Vec<u8>>> {
    let mut units = Vec::with_capacity(usize::from(code::FRAMES));
    // An error in the pipeline ends the stream for the sink as well; the count of frames tells the difference.
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().context("a sample without data")?;
        units.push(buffer.map_readable()?.to_vec());
    }
    Ok(units)
}
