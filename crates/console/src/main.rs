//! `rtr-console`: the operator's window on one daemon.

use anyhow::Context as _;
use clap::Parser;
use console::{
    app::{App, Backend, Unattended},
    gallery::{MadeUp, made_up_clock},
    i18n::Language,
    layout::Layout,
    model::Model,
    net::Net,
    receipts::{Pinned, Receipts, default_folder},
    theme,
    video::VideoSystem,
};
use std::{path::PathBuf, time::Duration};

/// The operator's window of the Regionale Toezicht Ruimte.
#[derive(Parser)]
#[command(name = "rtr-console", version)]
struct Arguments {
    /// Address of the daemon, for example https://127.0.0.1:8443
    #[arg(long, required_unless_present = "gallery")]
    server: Option<String>,
    /// Certificate of the daemon's own authority (`tls/ca.pem` in its data folder); no other is trusted
    #[arg(long, required_unless_present = "gallery")]
    ca: Option<PathBuf>,
    /// The log's public key (`rtrctl ledger vkeys`), brought here by hand; with the witness's it makes this workstation
    /// check what the daemon says of its log
    #[arg(long, requires = "witness_key")]
    log_key: Option<PathBuf>,
    /// The public key of the police's witness, brought here by hand
    #[arg(long, requires = "log_key")]
    witness_key: Option<PathBuf>,
    /// Folder for the receipts of looks, when both keys are given [default: rtr/receipts in the XDG state folder]
    #[arg(long, requires = "log_key")]
    receipts: Option<PathBuf>,
    /// Log in as this person without asking (demo and tests)
    #[arg(long, requires = "password_file")]
    username: Option<String>,
    /// File that holds the password, on its first line
    #[arg(long, requires = "username")]
    password_file: Option<PathBuf>,
    /// Language at start; L switches
    #[arg(long, default_value = "nl")]
    lang: Language,
    /// Tiles at start: 1, 4, 6, 9 or 16
    #[arg(long, value_parser = layout, default_value = "16")]
    layout: Layout,
    /// Size of the window
    #[arg(long, value_parser = size, default_value = "1920x1080")]
    size: [f32; 2],
    /// Write a picture of the window at the end of --for
    #[arg(long, requires = "run_for")]
    screenshot: Option<PathBuf>,
    /// Write a JSON report of all tiles, anew each second
    #[arg(long)]
    report: Option<PathBuf>,
    /// End after this time, for example 30s or 5m
    #[arg(long = "for", value_parser = duration)]
    run_for: Option<Duration>,
    /// Force a decoder, for example avdec_h264
    #[arg(long)]
    decoder: Option<String>,
    /// Repaint at most so often a second, from 5 to 60; a weak machine falls back to 15 by itself
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(5..=60))]
    hz: u32,
    /// Show every component with made-up data, without a daemon
    #[arg(long)]
    gallery: bool,
}

fn layout(text: &str) -> Result<Layout, String> {
    text.parse().ok().and_then(Layout::with_tiles).ok_or_else(|| "one of 1, 4, 6, 9 and 16".to_owned())
}

fn size(text: &str) -> Result<[f32; 2], String> {
    let (width, height) = text.split_once('x').ok_or("for example 1920x1080")?;
    match (width.parse::<u16>(), height.parse::<u16>()) {
        (Ok(width @ 640..), Ok(height @ 360..)) => Ok([f32::from(width), f32::from(height)]),
        _ => Err("at least 640x360".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| "for example 30s or 5m".to_owned())?;
    match unit {
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(60 * number)),
        _ => Err(format!("the unit `{unit}` is not known; write 30s or 5m")),
    }
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,console=info")),
        )
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let credentials = match (&arguments.username, &arguments.password_file) {
        (Some(username), Some(file)) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("the password file {} cannot be read", file.display()))?;
            Some((username.clone(), text.lines().next().unwrap_or_default().to_owned()))
        }
        _ => None,
    };
    let client = match (&arguments.server, &arguments.ca) {
        (Some(server), Some(ca)) if !arguments.gallery => {
            let pem = std::fs::read(ca).with_context(|| {
                format!("the certificate of the daemon's authority, {}, cannot be read", ca.display())
            })?;
            Some(protocol::client::Client::connect(server, &pem)?)
        }
        _ => None,
    };
    let pinned = match (&arguments.log_key, &arguments.witness_key) {
        (Some(log), Some(witness)) => {
            let read = |path: &PathBuf| {
                std::fs::read_to_string(path)
                    .with_context(|| format!("the key file {} cannot be read", path.display()))
            };
            let pinned = Pinned::new(&read(log)?, &read(witness)?);
            Some(pinned.with_context(|| format!("{} is no key of a witness", witness.display()))?)
        }
        _ => None,
    };
    let receipts = Receipts::new(pinned, arguments.receipts.or_else(default_folder));
    let unattended = Unattended {
        report: arguments.report,
        screenshot: arguments.screenshot,
        run_for: arguments.run_for,
        credentials,
    };
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("RTR")
            .with_app_id("rtr-console")
            .with_position([0.0, 0.0])
            .with_inner_size(arguments.size)
            .with_min_inner_size([640.0, 360.0]),
        // Costs a pass over every pixel on a software rasteriser; the surfaces are flat.
        dithering: false,
        system_font_fallback: false,
        ..eframe::NativeOptions::default()
    };
    let (language, layout, decoder, hz) = (arguments.lang, arguments.layout, arguments.decoder, arguments.hz);
    eframe::run_native(
        "rtr-console",
        options,
        Box::new(move |creation| {
            let ctx = creation.egui_ctx.clone();
            theme::install(&ctx);
            let mut video = VideoSystem::new(ctx.clone(), creation.gl.clone());
            video.force_decoder(decoder);
            video.limit_hz(hz);
            let mut model = Model::new(language, layout);
            let backend = if let Some(client) = client {
                Backend::Daemon(Net::start(client, ctx, receipts)?)
            } else {
                model.clock = made_up_clock();
                Backend::MadeUp(Box::new(MadeUp::logged_in()))
            };
            Ok(Box::new(App::new(model, backend, video, unattended)))
        }),
    )
    .map_err(|error| anyhow::anyhow!("the window could not be opened: {error}"))
}
