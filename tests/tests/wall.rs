//! An observer logs in and sees moving pictures on the wall. The judge is the screenshot: the frame number that each
//! simulated camera draws into its picture is read off the tiles, as a person would read the clock in it.

use anyhow::{Context as _, Result, ensure};
use camsim::code::{Picture, Rect, read};
use end_to_end::{plan, programs};
use serde_json::Value;
use std::{
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use xtask::{
    demo::{self, Display, Seat},
    processes,
    room::{Periods, Plan, Room, material},
};

/// The frame numbers that can be read anywhere in a picture, by a search over the positions a tile can have.
fn frame_numbers(picture: &image::RgbImage, tiles: &[Rect]) -> Vec<Option<u16>> {
    let view = Picture {
        pixels: picture.as_raw(),
        width: picture.width() as usize,
        height: picture.height() as usize,
        channels: 3,
    };
    tiles.iter().map(|tile| read(&view, *tile)).collect()
}

/// The picture rectangles of the tiles, as the console's report gives them: `[x, y, width, height]` in pixels.
fn rectangles(report: &Value) -> Vec<(String, String, Rect)> {
    let tiles = report["tiles"].as_array().cloned().unwrap_or_default();
    tiles
        .iter()
        .filter_map(|t| {
            let r: Vec<usize> =
                t["picture"].as_array()?.iter().filter_map(|n| Some(n.as_f64()? as usize)).collect();
            let [x, y, width, height] = r[..] else { return None };
            Some((
                t["camera"].as_str()?.to_owned(),
                t["state"].as_str()?.to_owned(),
                Rect { x, y, width, height },
            ))
        })
        .collect()
}

/// One wall at a time: two would fight for the same two cores.
static WALL: Mutex<()> = Mutex::new(());

#[test]
fn an_observer_sees_moving_pictures_on_the_wall() -> Result<()> {
    let _alone = WALL.lock().unwrap_or_else(PoisonError::into_inner);
    let room = Room::open(&programs()?, &plan("wall", 16, Periods::Demo))?;
    let (open, closed) = watch_wall(&room)?;
    ensure!(closed == 2, "Borne's two cameras are not both closed");
    ensure!(open >= 10, "only {open} tiles are open");
    Ok(())
}

#[test]
fn real_clips_on_the_wall() -> Result<()> {
    let Some(material) = material() else { return Ok(()) };
    let _alone = WALL.lock().unwrap_or_else(PoisonError::into_inner);
    let plan = Plan { footage: Some(material.join("video")), ..plan("wall-clips", 16, Periods::Open) };
    let (open, closed) = watch_wall(&Room::open(&programs()?, &plan)?)?;
    ensure!((open, closed) == (16, 0), "{open} open, {closed} closed");
    Ok(())
}

/// Sits before the wall for 25 seconds and judges its pictures; how many tiles were open and closed.
fn watch_wall(room: &Room) -> Result<(usize, usize)> {
    let bin = programs()?;
    let display = Display::start()?;
    let picture = room.data.join("wall.png");
    let report = room.data.join("report.json");
    let seat = Seat {
        display: Some(&display),
        duration: Some(25),
        screenshot: Some(&picture),
        report: Some(&report),
        hz: None,
    };
    let mut console = demo::console(&bin, room, &seat)?;

    // Two more pictures are taken from outside the console, by the display itself, while it runs.
    let outside = [room.data.join("outside-1.png"), room.data.join("outside-2.png")];
    for (seconds, path) in [(16, &outside[0]), (2, &outside[1])] {
        processes::pause(Duration::from_secs(seconds))?;
        let mut import = Command::new("import");
        import.args(["-display", &display.name, "-window", "root"]).arg(path);
        processes::run(&mut import).context("the display's picture cannot be taken")?;
    }
    ensure!(
        console.wait()?.success(),
        "the console failed; see {}",
        room.data.join("console.err.log").display()
    );

    let report: Value = serde_json::from_str(&std::fs::read_to_string(&report)?)?;
    let rectangles = rectangles(&report);
    let tiles = report["tiles"].as_array().map_or(0, Vec::len);
    ensure!(tiles == 16, "{tiles} tiles in the report: {report:#}");
    let closed = report["tiles"].as_array().into_iter().flatten().filter(|t| t["state"] == "closed");
    for tile in closed.clone() {
        ensure!(
            tile["frames_shown"] == 0 && tile["picture"].is_null(),
            "a closed tile shows a picture: {tile:#}"
        );
        ensure!(tile["reason_code"].is_string(), "a closed tile gives no reason: {tile:#}");
    }
    let closed = closed.count();
    let places: Vec<Rect> = rectangles.iter().map(|(_, _, r)| *r).collect();
    let read_off = |path: &std::path::Path| -> Result<Vec<Option<u16>>> {
        Ok(frame_numbers(&image::open(path)?.to_rgb8(), &places))
    };
    let (first, second) = (read_off(&outside[0])?, read_off(&outside[1])?);
    let own = read_off(&picture)?;
    let mut moving = 0;
    for (i, (camera, state, _)) in rectangles.iter().enumerate() {
        ensure!(own[i].is_some(), "{camera} ({state}) shows no readable picture");
        if let (Some(a), Some(b)) = (first[i], second[i]) {
            let passed = (u32::from(b) + 1500 - u32::from(a)) % 1500;
            ensure!((1..1000).contains(&passed), "{camera} went from frame {a} to {b}");
            moving += 1;
        }
    }
    let open = rectangles.len();
    ensure!(moving * 10 >= open * 9, "only {moving} of {open} open tiles move");
    Ok((open, closed))
}
