# The observer's workstation. Short, exact, no exclamation marks.

# Rooms
room-wall = Wall
room-back = Back
room-incidents = Incident
room-health = Health

# Words
word-camera = Camera
word-live = live
word-late = delayed
word-offline = no picture
word-closed = closed
word-waiting = opening
name-empty-tile = Tile { $tile }, empty
demo = DEMO

# Logging in
login-title = Regionale Toezicht Ruimte
login-no-server = No connection to the server
login-name = Name
login-password = Password
login-enter = Log in
login-asked = Logging in
unreachable = The server cannot be reached ({ $reason }). Check that it runs and that this is its address.

# Top bar
live-period = Live period
basis-until = until { $when } · { $left } left
shift = shift { $from }–{ $until }
no-shift = no shift
clock-differs = This workstation's clock is off by { $seconds } s
disconnected = No connection to the server. Connecting again; recording goes on.
ledger-failing = The log cannot be written (since { $time }). New pictures are refused and running ones stop within 30 s. Recording goes on. Warn the system administrator.

# Tiles
tile-empty = Empty. Type a camera number or drag a camera here.
tile-waiting = Opening
tile-no-picture-since = No picture since { $time }
tile-retry = again in { $seconds } s
tile-retrying = connecting
tile-late = Delayed: last picture { $time }
tile-late-why = No new pictures arrive
tile-disconnected = No connection to the server
tile-disconnected-why = This picture is not live
tile-log-failing = Closed: the log cannot be written
tile-log-unconfirmed = Closed: the police have not confirmed the log
tile-still = Still picture { $time } · Esc
tile-replay = Last 30 s · Esc live
tile-replay-opening = Opening the last 30 s
tile-replay-over = End of replay · Esc live
tile-incident = Incident { $time } · { $category }
tile-zoom = { $factor }×
closed = Closed
closed-until = Closed until { $when }
closed-outside-window = Outside the live period of decree { $decree }
closed-not-in-use = Not in use
closed-next-period = No use period now; next { $when }
closed-no-next-period = No next use period is known
closed-not-on-shift = Closed: not on shift
closed-not-authorised = Closed: not authorised

# Cameras
cameras = Cameras
search-hint = Camera, place or number
group-open = { $open } of { $all }
group-down = { $count ->
    [one] 1 fault
   *[other] { $count } faults
}
group-closed-until = closed until { $when }
group-closed = closed
group-not-in-use = not in use
on-tile = tile { $tile }
no-such-camera = There is no camera { $number } in your area.
no-such-tile = This layout has no tile { $number }.

# Incidents
shift-log = Shift log
shift-log-empty = No incidents in this shift yet.
mark-title = Incident · camera { $camera } · { $time }
mark-note = Note, without names
mark-instruction = Police instruction
mark-keys = A digit marks. N: a note first. ← →: source. Esc: do not mark.
police-instruction = Police instruction { $reference }
incident-close = Close
incident-closed = closed
category-fight = Fight
category-nuisance = Group nuisance
category-vandalism = Vandalism
category-theft = Theft or robbery
category-medical = Person unwell
category-traffic = Traffic
category-drugs = Drugs
category-crowd = Crowd
category-other = Other
source-own = Own observation
source-radio = Radio
source-112 = 112

# Why
why-open = You may see this picture live.
why-until = Until { $when }, { $left } left.
why-code = Reason
why-asked = Asking for the basis
why-chain = Basis
why-facts = Recorded in
why-decided-at = Decided at { $time }

# Status bar
keys-number = camera by number
keys-mark = incident
keys-back = 30 s back
keys-enlarge = enlarge
keys-why = why may I see this
keys-all = all keys
keys-wall = to the wall
keys-palette = all commands
latency = Latency { $ms } ms
pictures = { $count ->
    [one] 1 picture
   *[other] { $count } pictures
}
log-witnessed = Log confirmed by the police { $time }
log-witnessed-told = Log confirmed { $time }, says the control room
log-witness-late = Not confirmed by the police since { $time }
log-mismatch = The log does not match
log-mismatch-alarm = The log is not the log that the police saw. Call the police and leave this workstation on.
log-unconfirmed-alarm = The police have not confirmed the log for { $minutes } minutes. Call the police. Recording goes on.
log-never-witnessed = The police have not yet confirmed the log
log-entries = Log { $entries } entries · not yet confirmed by the police
log-failing = The log is not being written
shed-slower = Workstation slow: 15 pictures a second
shed-smaller = Workstation slow: small pictures
shed-key-frames = Workstation slow: key frames only

# Keys and commands
keypad-camera = camera 7 on the selected tile
keypad-tile = camera 7 on tile 3
keypad-layout = layout 2 (1, 4, 1+5, 9 or 16 tiles)
entry-keys = ⏎ shows · Esc clears
entry-unknown = “{ $entry }” is no camera, tile or layout.
palette-hint = Command or camera
do-mark = Mark an incident on the selected tile
do-look-back = Look back at the last 30 seconds
do-still = Hold the picture still
do-enlarge = Enlarge the selected tile
do-why = Why may I see this
do-language = Switch language: Nederlands
do-search = Find a camera
do-back = Back
do-help = All keys
do-wall = To the wall
do-incidents = To the incidents
do-health = To health
do-left = Tile to the left
do-right = Tile to the right
do-up = Tile up
do-down = Tile down
do-palette = All commands
do-log-out = Log out
do-divide = Wall with { $tiles } tiles

# Health
health-asked = Asking for the state
health-log = Entries in the log
health-recorded = Recorded
health-number = No
health-camera = Camera
health-state = State
health-rate = Bit rate
health-pictures = Pictures
health-skips = Skipped
state-idle = Not connected: no use period
state-connecting = Connecting
state-up = Up since { $time }

# Time
weekday-1 = Monday
weekday-2 = Tuesday
weekday-3 = Wednesday
weekday-4 = Thursday
weekday-5 = Friday
weekday-6 = Saturday
weekday-7 = Sunday
weekday-short-1 = Mon
weekday-short-2 = Tue
weekday-short-3 = Wed
weekday-short-4 = Thu
weekday-short-5 = Fri
weekday-short-6 = Sat
weekday-short-7 = Sun
month-1 = January
month-2 = February
month-3 = March
month-4 = April
month-5 = May
month-6 = June
month-7 = July
month-8 = August
month-9 = September
month-10 = October
month-11 = November
month-12 = December

# Facts of the register
fact-municipality = municipality
fact-organisation = organisation
fact-ordinance = ordinance
fact-decree = decree
fact-area = area
fact-extension = extension
fact-revocation = revocation
fact-consultation = consultation
fact-period = use period
fact-window = live window
fact-extra-window = extra window
fact-signage = sign
fact-camera = camera
fact-position = position
fact-mask = privacy mask
fact-processor-agreement = processor agreement
fact-subprocessor-agreement = sub-processor agreement
fact-person = person
fact-authorisation = authorisation
fact-shift = shift
fact-instruction = police instruction
fact-incident = incident

# Looking back
do-replay = Look back
do-replay-play = Looking back: play or stand still
do-replay-remove = Looking back: remove the camera
replay-full = More than nine cameras in step is not possible
replay-closed = This camera is not open to you
replay-marking = Marking the incident
replay-opening = Looking for the picture of that time
replay-nothing = There is no picture at this moment
replay-over = This look back has ended
replay-in-step = { $cameras ->
    [one] One camera
   *[other] In step: { $cameras } cameras
}
replay-limit = You may look back to { $time }: { $why }
replay-speed = { $speed }×
replay-play = Play
replay-pause = Stand still
replay-back = Backward
replay-picture-back = One picture back
replay-picture-on = One picture on
replay-start = To the start
replay-end = To the end
replay-by-picture = picture by picture
replay-by-seconds = 5 seconds
replay-by-speed = faster, slower
replay-axis = Time axis of camera { $number }
replay-position = Instant { $time }
