//! Each reason in one sentence, Dutch and English, for the tile and for the log reader. The console shows these words;
//! the articles stand in `domain.md` and move with the law, so no lid number is written here.

use crate::decision::ReasonCode;

impl ReasonCode {
    /// The reason in Dutch and in English.
    pub fn sentence(self) -> (&'static str, &'static str) {
        use ReasonCode as R;
        match self {
            R::RoleNotPermitted => ("Uw rol mag dit niet.", "Your role may not do this."),
            R::AuthorisationMissing => {
                ("U bent hiervoor niet geautoriseerd.", "You have no authorisation for this.")
            }
            R::AuthorisationExpired => (
                "Uw autorisatie is op dit moment niet geldig.",
                "Your authorisation is not valid at this time.",
            ),
            R::AuthorisationScope => (
                "Uw autorisatie geldt niet voor deze gemeente.",
                "Your authorisation does not cover this municipality.",
            ),
            R::ConfidentialityMissing => {
                ("De geheimhoudingsverklaring ontbreekt.", "The undertaking of secrecy is missing.")
            }
            R::ProcessorAgreementLapsed => (
                "Er is geen geldige verwerkersovereenkomst tussen politie en Veiligheidsregio.",
                "There is no valid processor agreement between the police and the safety region.",
            ),
            R::SubprocessorAgreementLapsed => (
                "Er is geen geldige subverwerkersovereenkomst met het beveiligingsbedrijf.",
                "There is no valid sub-processor agreement with the security company.",
            ),
            R::SubprocessorNotApproved => (
                "De politie heeft de subverwerker niet schriftelijk toegestaan.",
                "The police have not consented in writing to the sub-processor.",
            ),
            R::PersonNotCleared => (
                "De toestemming van de korpschef voor deze medewerker is er niet (meer).",
                "The chief constable's permission for this employee is missing or has ended.",
            ),
            R::NotOnShift => ("U hebt nu geen dienst.", "You are not on shift now."),
            R::OrdinanceNotInForce => (
                "De verordening geeft de burgemeester nu niet de bevoegdheid.",
                "The ordinance does not give the mayor the power at this time.",
            ),
            R::NoDecreeForMunicipality => (
                "Voor deze gemeente is geen aanwijzingsbesluit bekend.",
                "No designation decree is known for this municipality.",
            ),
            R::NotCompetent => (
                "Het besluit is niet door of namens de burgemeester genomen.",
                "The decision was not taken by or on behalf of the mayor.",
            ),
            R::DecreeNotInForce => (
                "Het aanwijzingsbesluit is nog niet bekendgemaakt of nog niet ingegaan.",
                "The designation decree is not published yet or has not started yet.",
            ),
            R::DecreeExpired => {
                ("Het aanwijzingsbesluit is afgelopen.", "The designation decree has expired.")
            }
            R::DecreeRevoked => {
                ("Het aanwijzingsbesluit is ingetrokken.", "The designation decree was revoked.")
            }
            R::DecreeExceedsOrdinance => (
                "Het aanwijzingsbesluit duurt langer dan de verordening toestaat.",
                "The designation decree runs longer than the ordinance allows.",
            ),
            R::CameraOutsideArea => (
                "De camera staat nu niet in een aangewezen gebied.",
                "The camera does not stand in a designated area at this time.",
            ),
            R::OvjConsultationMissing => (
                "Het overleg met de officier van justitie vooraf ontbreekt.",
                "The prior consultation with the public prosecutor is missing.",
            ),
            R::SignageMissing => (
                "De borden die het cameratoezicht aankondigen, staan er niet allemaal.",
                "Not all signs that announce the cameras are in place.",
            ),
            R::OutsideUsePeriod => (
                "Buiten de gebruiksperiode: de camera's zijn nu niet in gebruik.",
                "Outside the use period: the cameras are not in use now.",
            ),
            R::OutsideLiveWindow => (
                "Buiten de uitkijktijden: nu mag niet live worden meegekeken.",
                "Outside the live windows: no live viewing now.",
            ),
            R::MaskNotVerified => (
                "Het privacymasker is voor deze opstelling niet gecontroleerd.",
                "The privacy mask has not been verified for this position.",
            ),
            R::MaskRemovalForbidden => {
                ("Een privacymasker wordt nooit opgeheven.", "A privacy mask is never lifted.")
            }
            R::AudioNotPermitted => (
                "De camera levert geluid; dat mag niet.",
                "The camera delivers sound, which is not permitted.",
            ),
            R::TargetNotPublic => ("Het doel is geen openbare plaats.", "The target is not a public place."),
            R::TargetOutsideArea => (
                "Het doel ligt buiten het aangewezen gebied.",
                "The target lies outside the designated area.",
            ),
            R::UnlawfullyRecorded => (
                "Voor het opnemen van deze beelden was er geen grondslag.",
                "There was no legal basis for recording this footage.",
            ),
            R::HoldOtherCase => (
                "Deze beelden zijn veiliggesteld voor een andere zaak.",
                "This footage is held for another case.",
            ),
            R::RetentionExceeded => ("De bewaartermijn is verstreken.", "The retention term has passed."),
            R::ReplayLimit => ("Zo ver mag u niet terugkijken.", "You may not look back this far."),
            R::IncidentRequired => ("Hiervoor is een open incident nodig.", "This needs an open incident."),
            R::PurposeNotAllowed => (
                "Voor dit doel mogen de beelden niet worden gebruikt.",
                "The footage may not be used for this purpose.",
            ),
            R::NoConcreteOffence => {
                ("Er is geen concreet strafbaar feit genoemd.", "No concrete offence was given.")
            }
            R::CaseNumberRequired => ("Het zaaknummer ontbreekt.", "The case number is missing."),
            R::RecipientNotEntitled => (
                "Deze ontvanger mag de beelden niet krijgen.",
                "This recipient is not entitled to the footage.",
            ),
            R::DisclosureRecordIncomplete => (
                "De verstrekking is niet volledig vastgelegd: aanvrager, omschrijving of doel ontbreekt.",
                "The record of the disclosure is incomplete: requester, description or purpose is missing.",
            ),
            R::FourEyes => (
                "Een tweede bevoegde persoon moet dit bevestigen.",
                "A second competent person must confirm this.",
            ),
            R::NotApproved => ("De aanvraag is niet goedgekeurd.", "The request has not been approved."),
            R::RecipientMismatch => {
                ("U bent niet de genoemde ontvanger.", "You are not the named recipient.")
            }
            R::ExportExpired => ("De tijd om op te halen is voorbij.", "The time to fetch this is over."),
            R::IntegrityFailed => {
                ("Het pakket is niet meer wat is goedgekeurd.", "The package is no longer what was approved.")
            }
            R::Held => ("De beelden zijn veiliggesteld.", "The footage is held."),
            R::RetroactiveDecree => (
                "Een besluit kan niet terugwerken: laat het beginnen op of na zijn bekendmaking en het moment van vastleggen.",
                "A decision cannot act before it is published and entered: let it begin at or after both.",
            ),
            R::RetentionAboveMaximum => (
                "Beelden mogen ten hoogste 28 dagen bewaard worden.",
                "Footage may be kept for 28 days at most.",
            ),
            R::WindowExceedsDecree => {
                ("De periode valt niet binnen het besluit.", "The window does not lie inside the decree.")
            }
            R::AuthorisationDocumentMissing => (
                "De autorisatie van de verwerkingsverantwoordelijke ontbreekt.",
                "The controller's authorisation document is missing.",
            ),
            R::SelfGrant => ("Niemand kent zichzelf een rol toe.", "Nobody grants a role to themselves."),
            R::RoleConflict => (
                "Deze rollen of organisatie gaan niet samen.",
                "These roles, or role and organisation, do not go together.",
            ),
            R::LogPurposeNotAllowed => (
                "Voor dit doel mag het logboek niet worden gebruikt.",
                "The log may not be used for this purpose.",
            ),
            R::LogImmutable => ("Logregels worden nooit verwijderd.", "Log entries are never deleted."),
            R::LogRetention => {
                ("De bewaartermijn van het logboek is nog niet om.", "The log's own term has not passed yet.")
            }
            R::StatisticsPersonalData => {
                ("Cijfers bevatten geen persoonsgegevens.", "Figures contain no personal data.")
            }
            R::BiometricNotPermitted => {
                ("Zoeken op gezicht mag nooit.", "Searching by face is never permitted.")
            }
            R::ReferToController => (
                "Dit verzoek gaat naar de politie, die erover beslist.",
                "This request goes to the police, who decide on it.",
            ),
            R::NotDue => (
                "De beelden zijn nog niet aan vernietiging toe.",
                "The footage is not due for destruction yet.",
            ),
        }
    }
}
