//! How fast footage becomes a file, decryption and proof of every record included, against `cp` of that same file, in one
//! run: medians of five, each pair one after the other. `cargo xtask bench export`.
//!
//! `export_speed [--mib N] [--json] [FOLDER]`: works in a folder of its own below FOLDER (the temporary folder by
//! default), which it removes.

use bytes::Bytes;
use media::{AccessUnit, Codec, Micros, Parameters, StreamId, Ticks, mp4::Movie};
use std::{
    error::Error,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Instant,
};
use vault::{Item, Vault, VaultConfig};

const START: i64 = 1_795_323_600_000_000;
const RUNS: usize = 5;
const STREAM: StreamId = StreamId(1);

/// Groups of two seconds at about 4 Mbit/s and 25 pictures a second: a key frame of 100 kB and 49 others of 18 kB.
fn record(vault: &Vault, mib: usize) -> Result<Micros, Box<dyn Error>> {
    let record = Bytes::from_static(b"a record");
    let parameters =
        Arc::new(Parameters { generation: 1, codec: Codec::H264, width: 1920, height: 1080, record });
    // Noise, as compressed pictures are; a xorshift is enough for that.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let noise: Vec<u8> = (0..1 << 20)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    let noise = Bytes::from(noise);
    let (mut written, mut number) = (0, 0_i64);
    while written < mib << 20 {
        let key = number % 50 == 0;
        let size = if key { 100_000 } else { 18_000 };
        let at = (number as usize * 7919) % (noise.len() - size);
        vault.accept(AccessUnit {
            stream: STREAM,
            parameters: Arc::clone(&parameters),
            captured: Micros(START + number * 40_000),
            media_time: Ticks(number * 3600),
            duration: 3600,
            key,
            discontinuity: false,
            received: Micros(START + number * 40_000),
            camera_time: None,
            received_within: 0,
            payload: noise.slice(at..at + size),
        });
        written += size;
        number += 1;
        if number % 1000 == 0 {
            vault.flush()?;
        }
    }
    vault.flush()?;
    Ok(Micros(START + number * 40_000))
}

/// As the daemon does it: one pass, the table behind the pictures.
fn export(items: impl Iterator<Item = Item>, until: Micros, path: &Path) -> Result<u64, Box<dyn Error>> {
    let mut file = File::create(path)?;
    let mut movie = Movie::cut(Micros(START + 1_000_000), until);
    file.write_all(&Movie::head(0))?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, &file);
    for item in items {
        if let Item::Unit(unit) = item {
            movie.push(&unit)?;
            out.write_all(&unit.payload)?;
        }
    }
    out.write_all(&movie.tail())?;
    out.flush()?;
    drop(out);
    file.write_all_at(&Movie::head(movie.media_bytes()), 0)?;
    Ok(movie.file_bytes())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut mib, mut json, mut folder) = (512, false, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--mib" => mib = arguments.next().ok_or("--mib needs a number")?.parse()?,
            other => folder = Some(PathBuf::from(other)),
        }
    }
    let parent = folder.unwrap_or_else(std::env::temp_dir);
    let root = parent.join(format!("rtr-export-speed-{}", std::process::id()));
    fs::create_dir_all(&root)?;
    let measured = measure(&root, mib, json);
    fs::remove_dir_all(&root)?;
    measured
}

fn measure(root: &Path, mib: usize, json: bool) -> Result<(), Box<dyn Error>> {
    let config = VaultConfig::new(root.join("vault"), [root.join("keys-a"), root.join("keys-b")]);
    let vault = Vault::open(config)?;
    let until = record(&vault, mib)?;
    vault.hold("export", STREAM, Micros(START), until)?;
    let (made, copied) = (root.join("made.mp4"), root.join("copied.mp4"));
    let (mut held, mut read, mut cp) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = 0;
    for _ in 0..RUNS {
        let began = Instant::now();
        export(vault.read_hold("export")?, until, &made)?;
        held.push(began.elapsed().as_secs_f64());
        fs::remove_file(&made)?;
        let began = Instant::now();
        bytes = export(vault.read(STREAM, Micros(START), until)?, until, &made)?;
        read.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        if !Command::new("cp").arg(&made).arg(&copied).status()?.success() {
            return Err("cp failed".into());
        }
        cp.push(began.elapsed().as_secs_f64());
        fs::remove_file(&copied)?;
        fs::remove_file(&made)?;
    }
    let rate = |seconds: f64| bytes as f64 / f64::from(1 << 20) / seconds;
    let (held, read, cp) = (rate(median(held)), rate(median(read)), rate(median(cp)));
    if json {
        println!(
            "{{\"bytes\":{bytes},\"export_mib_s\":{held:.0},\"from_volumes_mib_s\":{read:.0},\"cp_mib_s\":{cp:.0},\
             \"ratio\":{:.2}}}",
            held / cp
        );
    } else {
        println!("a file of {} MiB, medians of {RUNS}", bytes >> 20);
        println!("export of an approved request  {held:6.0} MiB/s  {:.2} of cp (at least 0.50)", held / cp);
        println!("export from the volumes        {read:6.0} MiB/s  {:.2} of cp", read / cp);
        println!("cp                             {cp:6.0} MiB/s");
    }
    Ok(())
}
