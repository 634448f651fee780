# De werkplek van de observant. Kort, exact, zonder uitroeptekens.

# Ruimtes
room-wall = Wand
room-back = Terug
room-incidents = Incident
room-health = Techniek

# Woorden
word-camera = Camera
word-live = live
word-late = vertraagd
word-offline = geen beeld
word-closed = gesloten
word-waiting = wordt geopend
name-empty-tile = Tegel { $tile }, leeg
demo = DEMO

# Inloggen
login-title = Regionale Toezicht Ruimte
login-no-server = Geen verbinding met de server
login-name = Naam
login-password = Wachtwoord
login-enter = Inloggen
login-asked = Bezig met inloggen
unreachable = De server is niet bereikbaar ({ $reason }). Controleer of hij draait en of dit het goede adres is.

# Bovenbalk
live-period = Uitkijkperiode
basis-until = tot { $when } · nog { $left }
shift = dienst { $from }–{ $until }
no-shift = geen dienst
clock-differs = Klok van deze werkplek wijkt { $seconds } s af
disconnected = Geen verbinding met de server. Er wordt opnieuw verbonden; de opname gaat door.
ledger-failing = Het logboek kan niet worden geschreven (sinds { $time }). Nieuwe beelden worden geweigerd en lopende beelden stoppen binnen 30 s. De opname gaat door. Waarschuw de technisch beheerder.

# Tegels
tile-empty = Leeg. Typ een cameranummer of sleep een camera hierheen.
tile-waiting = Wordt geopend
tile-no-picture-since = Geen beeld sinds { $time }
tile-retry = opnieuw over { $seconds } s
tile-retrying = verbinding wordt gemaakt
tile-late = Vertraagd: laatste beeld { $time }
tile-late-why = Er komen geen nieuwe beelden binnen
tile-disconnected = Geen verbinding met de server
tile-disconnected-why = Dit beeld is niet live
tile-log-failing = Gesloten: het logboek kan niet worden geschreven
tile-log-unconfirmed = Gesloten: de politie heeft het logboek niet bevestigd
tile-still = Stilstaand beeld { $time } · Esc
tile-replay = Terugblik 30 s · Esc live
tile-replay-opening = Terugblik wordt geopend
tile-replay-over = Einde terugblik · Esc live
tile-incident = Incident { $time } · { $category }
tile-zoom = { $factor }×
closed = Gesloten
closed-until = Gesloten tot { $when }
closed-outside-window = Buiten de uitkijkperiode van besluit { $decree }
closed-not-in-use = Niet in gebruik
closed-next-period = Geen gebruiksperiode nu; volgende { $when }
closed-no-next-period = Geen volgende gebruiksperiode bekend
closed-not-on-shift = Gesloten: geen dienst
closed-not-authorised = Gesloten: niet geautoriseerd

# Camera's
cameras = Camera’s
search-hint = Camera, plein of nummer
group-open = { $open } van { $all }
group-down = { $count ->
    [one] 1 storing
   *[other] { $count } storingen
}
group-closed-until = gesloten tot { $when }
group-closed = gesloten
group-not-in-use = niet in gebruik
on-tile = tegel { $tile }
no-such-camera = Er is geen camera { $number } in uw gebied.
no-such-tile = Deze indeling heeft geen tegel { $number }.

# Incidenten
shift-log = Dienstverslag
shift-log-empty = Nog geen incidenten in deze dienst.
mark-title = Incident · camera { $camera } · { $time }
mark-note = Notitie, zonder namen
mark-instruction = Opdracht politie
mark-keys = Een cijfer legt vast. N: eerst een notitie. ← →: bron. Esc: niet vastleggen.
police-instruction = Opdracht politie { $reference }
incident-close = Afsluiten
incident-closed = afgesloten
category-fight = Vechtpartij
category-nuisance = Overlast groep
category-vandalism = Vernieling
category-theft = Diefstal of beroving
category-medical = Persoon onwel
category-traffic = Verkeer
category-drugs = Drugs
category-crowd = Drukte
category-other = Anders
source-own = Eigen waarneming
source-radio = Portofoon
source-112 = 112

# Waarom
why-open = U mag dit beeld live zien.
why-until = Tot { $when }, nog { $left }.
why-code = Reden
why-asked = De grondslag wordt opgevraagd
why-chain = Grondslag
why-facts = Vastgelegd in
why-decided-at = Besloten om { $time }

# Onderbalk
keys-number = camera op nummer
keys-mark = incident
keys-back = 30 s terug
keys-enlarge = vergroten
keys-why = waarom mag ik dit zien
keys-all = alle toetsen
keys-wall = naar de wand
keys-palette = alle opdrachten
latency = Vertraging { $ms } ms
pictures = { $count ->
    [one] 1 beeld
   *[other] { $count } beelden
}
log-witnessed = Logboek bevestigd door politie { $time }
log-witnessed-told = Logboek bevestigd { $time }, zegt de meldkamer
log-witness-late = Politie bevestigt het logboek niet sinds { $time }
log-mismatch = Logboek klopt niet
log-mismatch-alarm = Het logboek is niet het logboek dat de politie heeft gezien. Bel de politie en laat deze werkplek aan staan.
log-unconfirmed-alarm = De politie heeft het logboek al { $minutes } minuten niet bevestigd. Waarschuw de politie. De opname gaat door.
log-never-witnessed = Politie heeft het logboek nog niet bevestigd
log-entries = Logboek { $entries } regels · nog niet bevestigd door politie
log-failing = Logboek schrijft niet
shed-slower = Werkplek traag: 15 beelden per seconde
shed-smaller = Werkplek traag: kleine beelden
shed-key-frames = Werkplek traag: alleen sleutelbeelden

# Toetsen en opdrachten
keypad-camera = camera 7 op de gekozen tegel
keypad-tile = camera 7 op tegel 3
keypad-layout = indeling 2 (1, 4, 1+5, 9 of 16 tegels)
entry-keys = ⏎ toont · Esc wist
entry-unknown = „{ $entry }” is geen camera, tegel of indeling.
palette-hint = Opdracht of camera
do-mark = Incident vastleggen op de gekozen tegel
do-look-back = Laatste 30 seconden terugkijken
do-still = Beeld stilzetten
do-enlarge = Gekozen tegel vergroten
do-why = Waarom mag ik dit zien
do-language = Taal wisselen: English
do-search = Camera zoeken
do-back = Terug
do-help = Alle toetsen
do-wall = Naar de wand
do-incidents = Naar de incidenten
do-health = Naar de techniek
do-left = Tegel links
do-right = Tegel rechts
do-up = Tegel omhoog
do-down = Tegel omlaag
do-palette = Alle opdrachten
do-log-out = Uitloggen
do-divide = Wand met { $tiles } tegels

# Techniek
health-asked = De toestand wordt opgevraagd
health-log = Regels in het logboek
health-recorded = Opgenomen
health-number = Nr
health-camera = Camera
health-state = Toestand
health-rate = Bitrate
health-pictures = Beelden
health-skips = Overgeslagen
state-idle = Niet verbonden: geen gebruiksperiode
state-connecting = Verbinding wordt gemaakt
state-up = In beeld sinds { $time }

# Tijd
weekday-1 = maandag
weekday-2 = dinsdag
weekday-3 = woensdag
weekday-4 = donderdag
weekday-5 = vrijdag
weekday-6 = zaterdag
weekday-7 = zondag
weekday-short-1 = ma
weekday-short-2 = di
weekday-short-3 = wo
weekday-short-4 = do
weekday-short-5 = vr
weekday-short-6 = za
weekday-short-7 = zo
month-1 = januari
month-2 = februari
month-3 = maart
month-4 = april
month-5 = mei
month-6 = juni
month-7 = juli
month-8 = augustus
month-9 = september
month-10 = oktober
month-11 = november
month-12 = december

# Feiten van het register
fact-municipality = gemeente
fact-organisation = organisatie
fact-ordinance = verordening
fact-decree = besluit
fact-area = gebied
fact-extension = verlenging
fact-revocation = intrekking
fact-consultation = OvJ-overleg
fact-period = gebruiksperiode
fact-window = uitkijkperiode
fact-extra-window = extra periode
fact-signage = bord
fact-camera = camera
fact-position = opstelling
fact-mask = privacymasker
fact-processor-agreement = verwerkersovereenkomst
fact-subprocessor-agreement = subverwerkersovereenkomst
fact-person = persoon
fact-authorisation = autorisatie
fact-shift = dienst
fact-instruction = opdracht politie
fact-incident = incident

# Terugkijken
do-replay = Terugkijken
do-replay-play = Terugkijken: afspelen of stilstaan
do-replay-remove = Terugkijken: camera weghalen
replay-full = Meer dan negen camera's tegelijk terugkijken kan niet
replay-closed = Deze camera is voor u niet open
replay-marking = Het incident wordt vastgelegd
replay-opening = Het beeld van toen wordt gezocht
replay-nothing = Op dit moment is er geen beeld
replay-over = Deze terugblik is geëindigd
replay-in-step = { $cameras ->
    [one] Eén camera
   *[other] Gelijk lopend: { $cameras } camera's
}
replay-limit = Terugkijken tot { $time }: { $why }
replay-speed = { $speed }×
replay-play = Afspelen
replay-pause = Stilstaan
replay-back = Achteruit
replay-picture-back = Eén beeld terug
replay-picture-on = Eén beeld verder
replay-start = Naar het begin
replay-end = Naar het einde
replay-by-picture = beeld voor beeld
replay-by-seconds = 5 seconden
replay-by-speed = sneller, langzamer
replay-axis = Tijdas van camera { $number }
replay-position = Tijdstip { $time }
