//! The scenes cameras show, encoded once and kept: drawn streets, or real clips from a folder.

use crate::{
    code,
    draw::{Canvas, Street, StreetKind},
    encode::{self, Quality},
    footage::Clip,
    loops::{Codec, Loop},
    serve::Pair,
};
use anyhow::{Context, Result, anyhow};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

/// Goes into every file name: raise it when drawing or encoding changes, so that old loops are not served.
const EDITION: u32 = 2;
/// Frames of the minute at which the scenes' groups start: spread over the two seconds, so that a quarter of the cameras
/// sends its key frames at a time, as unsynchronised cameras would.
const FIRST_KEYS: [u16; 4] = [0, 12, 25, 37];
/// Scenes encoded at the same time: one for each core of the smallest machine we promise.
const WORKERS: usize = 2;

/// Where a minute of pictures comes from.
#[derive(Debug, Clone)]
enum Origin {
    Street(StreetKind),
    Clip(PathBuf),
}

/// One minute to have in one codec.
#[derive(Debug, Clone)]
struct Wanted {
    origin: Origin,
    codec: Codec,
    first_key: u16,
    main: PathBuf,
    sub: PathBuf,
}

/// What to prepare.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder in which encoded loops are kept.
    pub folder: PathBuf,
    /// Folder with real clips to show instead of drawn streets.
    pub footage: Option<PathBuf>,
    /// How many different scenes.
    pub count: usize,
    /// Whether any camera speaks H.265.
    pub h265: bool,
    /// Sizes and rates.
    pub quality: Quality,
}

/// The prepared loops for each codec; H.265 has one scene, as encoding it costs the most.
#[derive(Debug)]
pub struct Scenes {
    /// For H.264 cameras.
    pub h264: Vec<Pair>,
    /// For H.265 cameras; empty when none was asked for.
    pub h265: Vec<Pair>,
}

/// Loads the scenes, encoding those that are not kept yet.
pub fn prepare(options: &Options) -> Result<Scenes> {
    fs::create_dir_all(&options.folder).with_context(|| format!("creating {}", options.folder.display()))?;
    // Two camsims that start together must not encode the same minute twice.
    let lock = fs::File::create(options.folder.join("lock"))?;
    lock.lock().context("locking the folder of scenes")?;
    let wanted = wanted(options)?;
    let missing: Vec<&Wanted> = wanted.iter().filter(|w| !(w.main.exists() && w.sub.exists())).collect();
    if !missing.is_empty() {
        encode_all(&missing, options.quality)?;
    }
    let mut scenes = Scenes { h264: Vec::new(), h265: Vec::new() };
    for want in &wanted {
        let pair = (Arc::new(Loop::load(&want.main)?), Arc::new(Loop::load(&want.sub)?));
        match want.codec {
            Codec::H264 => scenes.h264.push(pair),
            Codec::H265 => scenes.h265.push(pair),
        }
    }
    Ok(scenes)
}

fn wanted(options: &Options) -> Result<Vec<Wanted>> {
    let origins: Vec<(String, Origin)> = match &options.footage {
        None => StreetKind::ALL.iter().map(|&kind| (kind.name().to_owned(), Origin::Street(kind))).collect(),
        Some(folder) => clips(folder)?,
    };
    let want = |(at, (name, origin)): (usize, &(String, Origin)), codec: Codec| {
        let first_key = FIRST_KEYS[at % FIRST_KEYS.len()];
        let Quality { width, height, main_kbps, .. } = quality_for(codec, options.quality);
        let stem = format!("{name}-{}-{width}x{height}-{main_kbps}k-e{EDITION}", codec.name());
        Wanted {
            origin: origin.clone(),
            codec,
            first_key,
            main: options.folder.join(format!("{stem}.main.loop")),
            sub: options.folder.join(format!("{stem}.sub.loop")),
        }
    };
    let chosen: Vec<_> = origins.iter().take(options.count.max(1)).enumerate().collect();
    // The H.265 scene first: it takes longest.
    let mut all = Vec::new();
    if options.h265 {
        all.extend(chosen.last().map(|&scene| want(scene, Codec::H265)));
    }
    all.extend(chosen.iter().map(|&scene| want(scene, Codec::H264)));
    Ok(all)
}

/// The clips in a folder by name, each with a name that changes with its contents.
fn clips(folder: &Path) -> Result<Vec<(String, Origin)>> {
    const KINDS: [&str; 6] = ["mp4", "mkv", "mov", "avi", "ts", "webm"];
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("reading the footage in {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().and_then(|e| e.to_str()).is_some_and(|e| KINDS.contains(&e)))
        .collect();
    files.sort();
    files.truncate(FIRST_KEYS.len());
    if files.is_empty() {
        return Err(anyhow!("{} holds no clip ({})", folder.display(), KINDS.join(", ")));
    }
    files
        .into_iter()
        .map(|path| {
            let mut hasher = blake3::Hasher::new();
            std::io::copy(&mut fs::File::open(&path)?, &mut hasher)?;
            Ok((format!("clip-{}", &hasher.finalize().to_hex()[..16]), Origin::Clip(path)))
        })
        .collect()
}

fn encode_all(missing: &[&Wanted], quality: Quality) -> Result<()> {
    let started = Instant::now();
    tracing::info!(scenes = missing.len(), "encoding scenes; once, later starts use the files");
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(want) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
            encode_one(want, quality).with_context(|| format!("encoding {}", want.main.display()))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|w| w.join().map_err(|_| anyhow!("an encoding thread died"))?)
    })?;
    tracing::info!(seconds = started.elapsed().as_secs_f32(), "scenes encoded");
    Ok(())
}

/// H.265 costs several times as much to encode, so its pictures are three quarters as wide and high.
fn quality_for(codec: Codec, quality: Quality) -> Quality {
    let part = |pixels: usize| match codec {
        Codec::H264 => pixels,
        Codec::H265 => (pixels * 3 / 4) & !3,
    };
    Quality { width: part(quality.width), height: part(quality.height), ..quality }
}

fn encode_one(want: &Wanted, quality: Quality) -> Result<()> {
    let started = Instant::now();
    let quality = quality_for(want.codec, quality);
    let (main, sub) = match &want.origin {
        Origin::Street(kind) => {
            let mut street = Street::new(*kind, quality.width, quality.height);
            encode::minute(want.codec, quality, want.first_key, |frame, canvas| {
                street.draw(frame, canvas);
                Ok(())
            })?
        }
        Origin::Clip(path) => {
            let mut clip = Clip::open(path, quality.width, quality.height)?;
            encode::minute(want.codec, quality, want.first_key, |_, canvas| clip.next_into(canvas))?
        }
    };
    main.save(&want.main)?;
    sub.save(&want.sub)?;
    tracing::info!(
        scene = %want.main.file_name().unwrap_or_default().to_string_lossy(),
        seconds = started.elapsed().as_secs_f32(),
        main_kbps = main.bit_rate() / 1000,
        sub_kbps = sub.bit_rate() / 1000,
        "encoded one minute"
    );
    Ok(())
}

/// Draws one frame of a scene without encoding it, for looking at.
pub fn still(scene: &str, frame: u16, width: usize, height: usize) -> Option<Canvas> {
    let kind = StreetKind::ALL.into_iter().find(|kind| kind.name() == scene)?;
    let mut canvas = Canvas::new(width, height);
    Street::new(kind, width, height).draw(frame % code::FRAMES, &mut canvas);
    crate::draw::overlay::draw(&mut canvas, frame);
    Some(canvas)
}
