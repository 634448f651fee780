//! Facts as the API (JSON) and the files (TOML) bring them: read, looked at, compiled, decided about, looked ahead.
#![no_main]

use chrono::{DateTime, TimeDelta, Utc};
use libfuzzer_sys::fuzz_target;
use mandate::{
    Action, Fact, FactBody, Object, ROLE_MATRIX, Register, Request, decide, endings, entry, outlook,
};

fn read(data: &[u8]) -> Vec<FactBody> {
    let Ok(text) = std::str::from_utf8(data) else { return Vec::new() };
    // JSON documents, or TOML tables between lines of dashes.
    match serde_json::from_str::<Vec<FactBody>>(text) {
        Ok(bodies) => bodies,
        Err(_) => text.split("\n---\n").filter_map(|table| toml::from_str(table).ok()).collect(),
    }
}

fuzz_target!(|data: &[u8]| {
    let bodies = read(data);
    let at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
    let empty = Register::build(&[], at).expect("nothing contradicts itself");
    let Ok(_findings) = entry::check(&empty, &[], &bodies, Some(at)) else { return };
    let facts: Vec<Fact> = outlook::proposed(&[], &bodies, at - TimeDelta::days(1));
    let Ok(register) = Register::build(&facts, at) else { return };
    let cameras: Vec<_> = register.cameras().map(|camera| camera.id.clone()).take(3).collect();
    let persons: Vec<_> = register.persons().map(|person| person.id.clone()).take(3).collect();
    for camera in &cameras {
        for (action, roles) in ROLE_MATRIX {
            for role in *roles {
                for person in &persons {
                    let object = Object::Camera(camera.clone());
                    let decision =
                        decide(&register, &Request::new(person.clone(), *role, *action, object), at);
                    assert!(decision.until().is_none_or(|until| until > at));
                }
            }
        }
        let record = Request::by_system(Action::Record, Object::Camera(camera.clone()));
        let _ = mandate::open_intervals(&register, &record, at, at + TimeDelta::days(3));
        let _ = mandate::judgement::judge(&register, camera, at - TimeDelta::days(2), at);
    }
    let _ = endings::endings(&register, at, at + TimeDelta::days(90));
});
