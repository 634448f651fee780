//! Clips as access units, made or read by GStreamer: for the player's tests and the tiles example.

use bytes::Bytes;
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;

/// A stream in the form the daemon sends it.
pub(crate) struct Clip {
    /// avcC or hvcC.
    pub(crate) record: Bytes,
    /// Coded size in pixels.
    pub(crate) size: (u16, u16),
    /// Whether decoding can begin there, presentation time in µs, and the length-prefixed unit; in decoding order.
    pub(crate) units: Vec<(bool, i64, Bytes)>,
}

/// Runs `head` (a launch line that ends in an encoded stream) and collects its access units.
pub(crate) fn clip(codec: media::Codec, head: &str) -> Result<Clip, String> {
    gst::init().map_err(|error| error.to_string())?;
    let tail = match codec {
        media::Codec::H264 => "h264parse ! video/x-h264,stream-format=avc,alignment=au",
        media::Codec::H265 => "h265parse ! video/x-h265,stream-format=hvc1,alignment=au",
    };
    let line = format!("{head} ! {tail} ! appsink name=out sync=false");
    let pipeline = gst::parse::launch(&line).map_err(|error| format!("{line}: {error}"))?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| "not a pipeline".to_owned())?;
    let sink =
        pipeline.by_name("out").and_then(|sink| sink.downcast::<gst_app::AppSink>().ok()).ok_or("no sink")?;
    pipeline.set_state(gst::State::Playing).map_err(|error| error.to_string())?;
    let mut clip = Clip { record: Bytes::new(), size: (0, 0), units: Vec::new() };
    while let Ok(sample) = sink.pull_sample() {
        if clip.record.is_empty()
            && let Some(caps) = sample.caps().and_then(|caps| caps.structure(0))
        {
            let record = caps.get::<gst::Buffer>("codec_data").map_err(|error| error.to_string())?;
            clip.record = Bytes::copy_from_slice(&record.map_readable().map_err(|error| error.to_string())?);
            let number = |name| caps.get::<i32>(name).unwrap_or_default() as u16;
            clip.size = (number("width"), number("height"));
        }
        if let Some(buffer) = sample.buffer() {
            let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            let at = buffer.pts().or(buffer.dts()).map_or(0, gst::ClockTime::useconds) as i64;
            let unit = buffer.map_readable().map_err(|error| error.to_string())?;
            clip.units.push((key, at, Bytes::copy_from_slice(&unit)));
        }
    }
    let failed = pipeline.bus().and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
    pipeline.set_state(gst::State::Null).map_err(|error| error.to_string())?;
    if clip.units.is_empty() {
        return Err(format!("{line}: no units, {failed:?}"));
    }
    Ok(clip)
}
