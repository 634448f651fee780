//! The element that stands where the RTSP server expects a payloader: it takes finished RTP packets from outside.
//!
//! The server reads the payload type from a property `pt`, which a bare `appsrc` has not; so this is a bin with that
//! property around one.

use crate::rtp;
use anyhow::{Context, Result};
use gstreamer::{self as gst, glib, prelude::*};
use gstreamer_app::AppSrc;

/// The name under which the element can be launched.
pub const ELEMENT: &str = "camsimentrance";

glib::wrapper! {
    /// A bin with an `appsrc` for RTP packets.
    pub struct Entrance(ObjectSubclass<inside::Entrance>) @extends gst::Bin, gst::Element, gst::Object;
}

impl Entrance {
    /// Where packets are pushed.
    pub fn source(&self) -> Option<AppSrc> {
        self.by_name("packets").and_then(|element| element.downcast().ok())
    }
}

/// Makes the element known to this process.
pub fn register() -> Result<()> {
    gst::Element::register(None, ELEMENT, gst::Rank::NONE, Entrance::static_type())
        .context("registering the entrance")
}

mod inside {
    use super::{AppSrc, glib, gst, rtp};
    use gst::subclass::prelude::*;
    use gstreamer::prelude::*;
    use std::sync::OnceLock;

    #[derive(Debug, Default)]
    pub struct Entrance;

    #[glib::object_subclass]
    impl ObjectSubclass for Entrance {
        const NAME: &'static str = "CamsimEntrance";
        type Type = super::Entrance;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Entrance {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
            PROPERTIES.get_or_init(|| {
                let pt = glib::ParamSpecUInt::builder("pt")
                    .nick("Payload type")
                    .blurb("The RTP payload type of every packet")
                    .default_value(u32::from(rtp::PAYLOAD_TYPE))
                    .read_only();
                vec![pt.build()]
            })
        }

        fn property(&self, _id: usize, _pspec: &glib::ParamSpec) -> glib::Value {
            u32::from(rtp::PAYLOAD_TYPE).to_value()
        }

        fn constructed(&self) {
            self.parent_constructed();
            let source = AppSrc::builder()
                .name("packets")
                .is_live(true)
                .format(gst::Format::Time)
                .max_bytes(0)
                .build();
            let bin = self.obj();
            let exit = source.static_pad("src");
            // Without its pad the server finds no stream and answers DESCRIBE with an error.
            if let (Ok(()), Some(exit)) = (bin.add(&source), exit)
                && let Ok(exit) = gst::GhostPad::with_target(&exit)
                && let Err(error) = exit.set_active(true).and_then(|()| bin.add_pad(&exit))
            {
                tracing::error!(%error, "the entrance has no pad");
            }
        }
    }

    impl GstObjectImpl for Entrance {}
    impl ElementImpl for Entrance {}
    impl BinImpl for Entrance {}
}
