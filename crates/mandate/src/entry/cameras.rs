//! Signs, cameras, positions and masks (Gemeentewet 151c lid 6 and 7).

use super::{Finding, Look, Severity};
use crate::{
    decision::FactKind,
    facts::{Camera, FactBody, Mask, Position, Role, Signage},
    ids::CameraId,
};

/// A camera hangs in one place at a time.
pub(super) fn overlap(camera: &CameraId, first: &str, second: &str) -> Finding {
    Finding {
        severity: Severity::Objection,
        kind: FactKind::Position,
        id: second.into(),
        field: "from",
        source: "Gemeentewet 151c lid 2",
        nl: format!("camera `{camera}` hangt dan ook nog op `{first}`; beëindig eerst die opstelling"),
        en: format!("camera `{camera}` still hangs at `{first}` then; end that position first"),
    }
}

impl Look<'_> {
    pub(super) fn signage(&mut self, f: &Signage) {
        let known = self.with.municipality_of_area(&f.area).is_some();
        self.known(known, "area", f.area.as_str());
        self.need(
            f.location.as_ref().is_some_and(|text| !text.trim().is_empty()),
            "location",
            "Gemeentewet 151c lid 6",
            (
                "noem de plek; een nieuw bord op dezelfde plek vervangt het oude",
                "name the place; a new sign at the same place replaces the old one",
            ),
        );
        self.past(f.placed_at, "placed_at");
        self.past(f.checked_at, "checked_at");
        let ordered = |after: Option<_>| match (f.placed_at, after) {
            (Some(placed_at), Some(after)) => placed_at <= after,
            (None, Some(_)) => false,
            (_, None) => true,
        };
        self.need(
            ordered(f.checked_at) && ordered(f.removed_at),
            "placed_at",
            "Gemeentewet 151c lid 6",
            (
                "een bord staat er eerst, dan wordt het gezien of weggehaald; controleer de datums",
                "a sign is placed before it is seen or removed; check the dates",
            ),
        );
        self.expect(
            f.placed_at.is_some(),
            "placed_at",
            "Gemeentewet 151c lid 6",
            (
                "zolang dit bord er niet staat, is het gebied niet kenbaar en blijft alles dicht",
                "until this sign stands the area is not announced and everything stays closed",
            ),
        );
    }

    pub(super) fn camera(&mut self, f: &Camera) {
        self.known_municipality("municipality", &f.municipality);
        self.said(&f.name, "name");
        let twin = self.others().find_map(|body| match body {
            FactBody::Camera(other) if other.number == f.number => Some(other.id.as_str()),
            _ => None,
        });
        let nl = format!("camera `{}` heeft dit nummer al", twin.unwrap_or_default());
        let en = format!("camera `{}` has this number already", twin.unwrap_or_default());
        self.need(twin.is_none(), "number", "policy", (&nl, &en));
        if let Some(FactBody::Camera(earlier)) = self.earlier() {
            self.need(
                earlier.municipality == f.municipality,
                "municipality",
                "Gemeentewet 151c lid 2",
                (
                    "een camera verandert niet van gemeente; leg een nieuwe camera vast",
                    "a camera does not change its municipality; enter a new camera",
                ),
            );
        }
        self.expect(
            !f.audio,
            "audio",
            "Gemeentewet 151c lid 3",
            (
                "een camera met geluid wordt niet opgenomen en niet getoond; zet het geluid af",
                "a camera that delivers sound is neither recorded nor shown; switch its sound off",
            ),
        );
    }

    pub(super) fn position(&mut self, f: &Position) {
        let camera = self.with.grounds().camera(&f.camera);
        self.known(camera.is_some(), "camera", f.camera.as_str());
        self.ordered(f.from, f.until, "until");
        let [x, y] = f.point;
        let on_earth = (-180.0..=180.0).contains(&x) && (-90.0..=90.0).contains(&y);
        self.need(
            on_earth,
            "point",
            "policy",
            (
                "schrijf [lengte, breedte] in graden, bijvoorbeeld [6.8936, 52.2215]",
                "write [longitude, latitude] in degrees, for example [6.8936, 52.2215]",
            ),
        );
        if let Some(FactBody::Position(earlier)) = self.earlier() {
            self.need(
                earlier.camera == f.camera,
                "camera",
                "policy",
                ("een opstelling hoort bij één camera", "a position belongs to one camera"),
            );
            self.expect(
                earlier.point.map(f64::to_bits) == f.point.map(f64::to_bits),
                "point",
                "Gemeentewet 151c lid 7",
                (
                    "een verplaatste camera krijgt een nieuwe opstelling; verbeter hier alleen \
                     een meetfout",
                    "a camera that was moved gets a new position; correct nothing but a \
                     measuring error here",
                ),
            );
        }
        let ground = camera.and_then(|camera| camera.positions.iter().find(|p| p.position.id == f.id));
        if let Some(ground) = ground {
            self.expect(
                ground.areas.iter().any(|areas| !areas.is_empty()),
                "point",
                "Gemeentewet 151c lid 2",
                (
                    "dit punt ligt in geen aangewezen gebied: de camera blijft dicht",
                    "this point lies in no designated area: the camera stays closed",
                ),
            );
        }
    }

    pub(super) fn mask(&mut self, f: &Mask) {
        let position = self.with.facts().iter().find_map(|fact| match &fact.body {
            FactBody::Position(position) if position.id == f.position => Some(position),
            _ => None,
        });
        self.known(position.is_some(), "position", f.position.as_str());
        self.past(f.verified_at, "verified_at");
        self.need(
            f.verified_at.is_some() == f.verified_by.is_some(),
            "verified_by",
            "Gemeentewet 151c lid 7",
            (
                "noem wie het masker controleerde en wanneer, of geen van beide",
                "name who verified the mask and when, or neither",
            ),
        );
        if let (Some(at), Some(by)) = (f.verified_at, &f.verified_by) {
            let police = self
                .with
                .authorisations(by)
                .any(|a| a.role == Role::PoliceOperator && a.from <= at && at < a.until);
            self.need(
                police,
                "verified_by",
                "Gemeentewet 151c lid 7",
                (
                    "een masker wordt gecontroleerd door een politieregisseur die dan \
                     geautoriseerd is",
                    "a mask is verified by a police operator who is authorised then",
                ),
            );
        }
        self.expect(
            f.verified_at.is_some(),
            "verified_at",
            "Gemeentewet 151c lid 7",
            (
                "zolang het masker niet gecontroleerd is, blijft de camera dicht",
                "until the mask is verified the camera stays closed",
            ),
        );
        if let Some(FactBody::Mask(earlier)) = self.earlier() {
            self.need(
                earlier.position == f.position,
                "position",
                "Gemeentewet 151c lid 7",
                (
                    "een masker is voor één opstelling gemaakt; leg voor de nieuwe een nieuw \
                     masker vast",
                    "a mask was made for one position; enter a new mask for the new one",
                ),
            );
        }
    }
}
