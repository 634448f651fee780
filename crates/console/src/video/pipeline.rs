//! One decoder: appsrc, parser, decoder, appsink, all of GStreamer's on one thread of its own.
//!
//! Debian's ranks leave hardware decoders unused, and auto-plugging hides which decoder runs, so the choice is ours:
//! an ordered list per codec, the first that exists and gets ready. What worked is tried first next time; what failed
//! a player before its first picture is not offered to that player again.

use super::{
    frame::Frame,
    player::{Decoder, DecoderConfig, Decoders, Outlet},
};
use bytes::Bytes;
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use media::Codec;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// In the order of preference: graphics cards, boards, software.
const H264: &[&str] = &["vah264dec", "nvh264dec", "v4l2slh264dec", "avdec_h264", "openh264dec"];
const H265: &[&str] = &["vah265dec", "nvh265dec", "v4l2slh265dec", "avdec_h265", "libde265dec"];

/// Above this many pixels a software decoder may use a thread pool: sixteen pools for small tiles only fight.
const ONE_THREAD_PIXELS: u32 = 1280 * 720;

/// Why no decoder could be made.
#[derive(Debug, thiserror::Error)]
enum PipelineError {
    /// GStreamer itself, or a base plug-in, is not installed.
    #[error("GStreamer lacks {element}: {cause}")]
    Element { element: &'static str, cause: String },
    /// None of the list is installed, or none works.
    #[error("no decoder for {codec:?}; looked for {looked_for}")]
    NoDecoder { codec: Codec, looked_for: String },
    /// The parts do not fit, or do not start.
    #[error("the decoder {decoder} does not start: {cause}")]
    Start { decoder: String, cause: String },
}

/// Makes GStreamer decoders and remembers which one works.
#[derive(Debug, Default)]
pub(super) struct GstDecoders {
    worked: Mutex<HashMap<Codec, String>>,
    forced: Option<String>,
}

impl GstDecoders {
    /// `forced` names the only decoder to use, from the workstation's settings.
    pub(super) fn new(forced: Option<String>) -> Self {
        Self { worked: Mutex::default(), forced }
    }

    /// Loads the plug-ins and finds the decoders, so that the first look need not wait for that.
    pub(super) fn warm_up(&self) {
        if let Err(error) = gst::init() {
            tracing::error!(%error, "GStreamer does not start");
            return;
        }
        for codec in [Codec::H264, Codec::H265] {
            if let Some(decoder) = self.choose(codec, &[]) {
                tracing::debug!(?codec, decoder = %decoder.name(), "decoder found");
            }
        }
        for element in ["appsrc", "h264parse", "h265parse", "videoconvert", "appsink"] {
            if let Err(error) = make(element) {
                tracing::error!(%error, "no pictures without it");
            }
        }
    }

    /// The first decoder of the list that exists, is not in `except`, and reaches READY.
    fn choose(&self, codec: Codec, except: &[String]) -> Option<gst::Element> {
        let worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner).get(&codec).cloned();
        let list = match codec {
            Codec::H264 => H264,
            Codec::H265 => H265,
        };
        let names: Vec<&str> = match &self.forced {
            Some(forced) => vec![forced.as_str()],
            None => worked.as_deref().into_iter().chain(list.iter().copied()).collect(),
        };
        names.into_iter().filter(|name| !except.iter().any(|failed| failed == name)).find_map(|name| {
            let element = gst::ElementFactory::make(name).build().ok()?;
            // A plug-in may be installed without the device it drives; READY is where that shows.
            let ready = element.set_state(gst::State::Ready).is_ok();
            let back = element.set_state(gst::State::Null);
            (ready && back.is_ok()).then_some(element)
        })
    }
}

impl Decoders for GstDecoders {
    type Picture = Frame;

    fn make(
        &self,
        config: &DecoderConfig,
        except: &[String],
        outlet: Outlet<Frame>,
    ) -> Result<Box<dyn Decoder>, String> {
        gst::init().map_err(|error| error.to_string())?;
        let decoder = self
            .choose(config.codec, except)
            .ok_or_else(|| PipelineError::NoDecoder {
                codec: config.codec,
                looked_for: match config.codec {
                    Codec::H264 => H264.join(", "),
                    Codec::H265 => H265.join(", "),
                },
            })
            .map_err(|error| error.to_string())?;
        let pipeline = Pipeline::start(config, decoder, outlet).map_err(|error| error.to_string())?;
        Ok(Box::new(pipeline))
    }

    fn worked(&self, codec: Codec, name: &str) {
        let mut worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        if worked.get(&codec).is_none_or(|known| known != name) {
            tracing::info!(decoder = name, ?codec, "decoder chosen");
            worked.insert(codec, name.to_owned());
        }
    }
}

/// A running pipeline; dropping it stops its thread.
struct Pipeline {
    graph: gst::Pipeline,
    source: gst_app::AppSrc,
    name: String,
}

impl Pipeline {
    fn start(
        config: &DecoderConfig,
        decoder: gst::Element,
        outlet: Outlet<Frame>,
    ) -> Result<Self, PipelineError> {
        let name = decoder.factory().map_or_else(|| decoder.name().to_string(), |f| f.name().to_string());
        let (media_type, format, parser) = match config.codec {
            Codec::H264 => ("video/x-h264", "avc", "h264parse"),
            Codec::H265 => ("video/x-h265", "hvc1", "h265parse"),
        };
        let caps = gst::Caps::builder(media_type)
            .field("stream-format", format)
            .field("alignment", "au")
            .field("codec_data", gst::Buffer::from_slice(config.record.clone()))
            .build();
        let source = gst_app::AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .is_live(true)
            // The backlog is bounded by the player, which alone knows where the key frames are.
            .max_bytes(0)
            .build();
        let parser = make(parser)?;
        // Passes I420 and NV12 through untouched; odd formats (10 bit, 4:2:2, grey) become one of them.
        let convert = make("videoconvert")?;
        let caps =
            gst::Caps::builder("video/x-raw").field("format", gst::List::new(["I420", "NV12"])).build();
        let sink = gst_app::AppSink::builder()
            .caps(&caps)
            // Decoded pictures are shed freely, and the callback takes each at once anyway.
            .max_buffers(1)
            .drop(true)
            .sync(false)
            .qos(false)
            .enable_last_sample(false)
            .build();
        if decoder.find_property("max-threads").is_some_and(|p| p.value_type() == i32::static_type()) {
            let small = u32::from(config.width) * u32::from(config.height) <= ONE_THREAD_PIXELS;
            decoder.set_property("max-threads", i32::from(small));
        }
        accept_padding(sink.upcast_ref());

        let pipeline = gst::Pipeline::new();
        let elements: [&gst::Element; 5] =
            [source.upcast_ref(), &parser, &decoder, &convert, sink.upcast_ref()];
        let fit = |error: gst::glib::BoolError| PipelineError::Start {
            decoder: name.clone(),
            cause: error.message.to_string(),
        };
        pipeline.add_many(elements).map_err(fit)?;
        gst::Element::link_many(elements).map_err(fit)?;

        let on_error = outlet.clone();
        if let Some(bus) = pipeline.bus() {
            bus.set_sync_handler(move |_, message| {
                if let gst::MessageView::Error(error) = message.view() {
                    let source = error.src().map(|s| s.name().to_string()).unwrap_or_default();
                    on_error.failed(format!("{source}: {}", error.error()));
                }
                gst::BusSyncReply::Drop
            });
        }
        sink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    if let Some((tag, frame)) = frame_from_sample(&sample) {
                        outlet.picture(tag, frame);
                    }
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        );
        let this = Self { graph: pipeline, source, name };
        if let Err(error) = this.graph.set_state(gst::State::Playing) {
            return Err(PipelineError::Start { decoder: this.name.clone(), cause: error.to_string() });
        }
        Ok(this)
    }
}

impl Decoder for Pipeline {
    fn name(&self) -> &str {
        &self.name
    }

    fn decode(&mut self, tag: u64, key: bool, payload: Bytes) -> Result<(), String> {
        let mut buffer = gst::Buffer::from_slice(payload);
        if let Some(buffer) = buffer.get_mut() {
            // The time stamp is only a tag that comes back with the picture: nothing here waits for a clock.
            buffer.set_pts(gst::ClockTime::from_useconds(tag));
            if !key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        self.source.push_buffer(buffer).map(|_| ()).map_err(|error| format!("{}: {error}", self.name))
    }

    fn waiting(&self) -> usize {
        usize::try_from(self.source.property::<u64>("current-level-buffers")).unwrap_or(usize::MAX)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if let Some(bus) = self.graph.bus() {
            bus.unset_sync_handler();
        }
        if self.graph.set_state(gst::State::Null).is_err() {
            tracing::warn!(decoder = self.name, "decoder did not stop cleanly");
        }
    }
}

fn make(element: &'static str) -> Result<gst::Element, PipelineError> {
    gst::ElementFactory::make(element)
        .build()
        .map_err(|error| PipelineError::Element { element, cause: error.message.to_string() })
}

/// Tells decoders that rows may be padded: they then decode into the very memory that goes to the texture, instead of
/// copying each picture into a tight one first.
fn accept_padding(sink: &gst::Element) {
    if let Some(pad) = sink.static_pad("sink") {
        pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
            if let Some(query) = info.query_mut()
                && let gst::QueryViewMut::Allocation(allocation) = query.view_mut()
            {
                allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
                return gst::PadProbeReturn::Handled;
            }
            gst::PadProbeReturn::Ok
        });
    }
}

fn frame_from_sample(sample: &gst::Sample) -> Option<(u64, Frame)> {
    let buffer = sample.buffer_owned()?;
    let tag = buffer.pts()?.useconds();
    let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
    Some((tag, Frame::map(buffer, &info)?))
}
