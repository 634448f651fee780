//! Signed video: what a camera put into its pictures goes through the vault and into an exported file without a bit changed,
//! so that a signature made in the camera (ONVIF Media Signing, in SEI units) still proves the pictures.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use bytes::Bytes;
use common::{FRAME, START, config, units};
use media::{
    AccessUnit, Codec, Micros, Parameters, StreamId, Ticks,
    mp4::{Movie, read},
    nal_units,
};
use std::{path::PathBuf, sync::Arc};
use vault::Vault;

/// A clip of the material folder, or none, which is said.
fn material(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("RTR_MATERIAL").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/material")),
        PathBuf::from,
    );
    let path = folder.join("video").join(name);
    let clip = std::fs::read(&path).ok();
    if clip.is_none() {
        eprintln!("{} is absent (RTR_MATERIAL names its folder): not tested with it", path.display());
    }
    clip
}

fn is_sei(codec: Codec, unit: &[u8]) -> bool {
    let first = unit.first().copied().unwrap_or_default();
    match codec {
        Codec::H264 => first & 0x1F == 6,
        Codec::H265 => matches!(first >> 1 & 0x3F, 39 | 40),
    }
}

fn samples(file: &[u8]) -> (read::Track, Vec<&[u8]>) {
    let track = read::track(file).unwrap();
    let payloads = track.samples.iter().map(|s| &file[s.offset as usize..][..s.size as usize]).collect();
    (track, payloads)
}

/// Records the pictures, reads them back, writes a file, reads that, and gives the number of SEI units that came through.
fn through(parameters: &Arc<Parameters>, pictures: &[(bool, &[u8])]) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(config(folder.path())).unwrap();
    for (number, (key, payload)) in (0..).zip(pictures) {
        vault.accept(AccessUnit {
            stream: StreamId(1),
            parameters: Arc::clone(parameters),
            captured: Micros(START + number * FRAME),
            media_time: Ticks(number * 3600),
            duration: 3600,
            key: *key,
            discontinuity: false,
            received: Micros(START + number * FRAME),
            camera_time: None,
            received_within: 0,
            payload: Bytes::copy_from_slice(payload),
        });
    }
    vault.flush().unwrap();
    let recorded = units(vault.read(StreamId(1), Micros(START), Micros(i64::MAX - 1)).unwrap());
    assert_eq!(recorded.len(), pictures.len());
    let mut movie = Movie::new();
    for unit in &recorded {
        movie.push(unit).unwrap();
    }
    let mut file = Movie::head(movie.media_bytes());
    for unit in &recorded {
        file.extend_from_slice(&unit.payload);
    }
    file.extend(movie.tail());

    let (track, exported) = samples(&file);
    assert_eq!(track.entries[0].record, parameters.record);
    assert_eq!(exported.len(), pictures.len());
    let mut seis = 0;
    for (payload, (_, original)) in exported.iter().zip(pictures) {
        assert_eq!(payload, original);
        let sei = |payload| -> Vec<Vec<u8>> {
            let units = nal_units(payload).map(|unit| unit.unwrap().to_vec());
            units.filter(|unit| is_sei(parameters.codec, unit)).collect()
        };
        assert_eq!(sei(payload), sei(original));
        seis += sei(payload).len();
    }
    seis
}

#[test]
fn a_cameras_signature_survives() {
    for name in ["signed_h264.mp4", "signed_h265.mp4"] {
        let Some(clip) = material(name) else { continue };
        let (track, payloads) = samples(&clip);
        let pictures: Vec<_> = track.samples.iter().map(|sample| sample.key).zip(payloads).collect();
        let seis = through(&Arc::new(track.entries[0].clone()), &pictures);
        println!("{name}: {} pictures, {seis} SEI units identical", pictures.len());
        assert!(seis > 0, "{name} has no SEI units: not the signed clip");
    }
}

#[test]
fn user_data_of_both_codecs_survives() {
    for (codec, sei, slice) in [(Codec::H264, vec![6_u8, 5], 0x65_u8), (Codec::H265, vec![0x4E, 1, 5], 0x26)]
    {
        let record = Bytes::from_static(b"a record");
        let parameters = Arc::new(Parameters { generation: 1, codec, width: 64, height: 64, record });
        let pictures: Vec<Vec<u8>> = (0..60_u8)
            .map(|number| {
                let mut sei = sei.clone();
                // Size, the identifier of ONVIF Media Signing, and content with emulation prevention in it.
                sei.push(16 + 8);
                sei.extend(b"\x00\x5b\xc9\x3f\x2d\x71\x5e\x95\xad\xa4\x79\x6f\x90\x87\x7a\x6f");
                sei.extend([number, 0, 0, 3, 1, 0, 0, 3, 0x80]);
                let picture = [slice, number, 0, 0, 3, 2];
                [&sei[..], &picture].map(|u| [&(u.len() as u32).to_be_bytes()[..], u].concat()).concat()
            })
            .collect();
        let pictures: Vec<_> = (0..).zip(&pictures).map(|(n, picture)| (n % 25 == 0, &picture[..])).collect();
        assert_eq!(through(&parameters, &pictures), 60);
    }
}
