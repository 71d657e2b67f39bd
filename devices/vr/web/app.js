// The page: pairs, connects, shows the station, and starts the XR session.

import { pulse } from './haptics.js';
import { legendRows } from './legend.js';
import { Link } from './link.js';
import { encodeFrame } from './packet.js';
import { shown } from './view.js';
import { XrRun } from './xr.js';

const UNPAIRED = 1008;
const at = (id) => document.getElementById(id);
const link = new Link(`wss://${location.host}/ws`);
const xr = new XrRun();

let connected = false;
let welcome = null;
let role = { drives: false, driver: '', waiting: [] };
let station = {};
let seq = 0;
let wall = null;

function show(view) {
  document.body.dataset.view = view;
  at('pair').hidden = view !== 'pair';
  at('monitor').hidden = !['monitor', 'xr', 'reconnecting'].includes(view);
  if (view === 'pair') at('pin').focus();
}

function refresh() {
  const now = shown(connected, role, station, xr.running);
  if (welcome) show(!connected ? 'reconnecting' : xr.running ? 'xr' : 'monitor');
  at('robot').textContent = now.robot;
  at('robot').className = now.headTint;
  at('driver').textContent = now.driver;
  at('task').textContent = now.task;
  at('recording').textContent = now.recording;
  at('recording').className = now.isRecording ? 'bad' : '';
  at('warning').textContent = now.warning;
  at('warning').hidden = !now.warning;
  at('estop').disabled = !connected;
  const badge = at('badge');
  badge.hidden = !welcome;
  badge.textContent = !connected ? 'Reconnecting' : role.drives ? 'You drive' : 'Watching';
  badge.className = `badge ${connected && role.drives ? 'drives' : 'watches'}`;
  xr.show(now);
}

// Pairing.

async function post(path, body) {
  const answer = await fetch(path, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  return { ok: answer.ok, ...(await answer.json().catch(() => ({}))) };
}

function ownTitle() {
  const agent = navigator.userAgent;
  const known = [['Quest 3', 'Quest 3'], ['Quest', 'Quest'], ['Pico', 'Pico'], ['Vision', 'Vision Pro'], ['iPhone', 'iPhone'],
    ['iPad', 'iPad'], ['Android', 'Android'], ['Macintosh', 'Mac'], ['Windows', 'Windows'], ['Linux', 'Linux']];
  return `${known.find(([mark]) => agent.includes(mark))?.[1] ?? 'Browser'}`;
}

async function pair(secret) {
  at('pair-error').textContent = '';
  const answer = await post('/pair', { type: 'pair', title: ownTitle(), ...secret }).catch(() => ({
    ok: false, error: 'The station does not answer. Is it running?',
  }));
  if (answer.ok) return enter();
  show('pair');
  at('pin').value = '';
  at('pair-error').textContent = answer.error ?? 'The station refused.';
  return undefined;
}

function enter() {
  at('link').textContent = 'Connecting';
  show('loading');
  link.start();
}

async function begin() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (location.hash) history.replaceState(null, '', location.pathname);
  const me = await fetch('/me').then((answer) => answer.json()).catch(() => null);
  if (!me) {
    at('link').textContent = 'The station does not answer';
    setTimeout(begin, 2000);
  } else if (me.paired) {
    enter();
  } else if (token) {
    await pair({ token });
  } else {
    at('link').textContent = 'Not paired';
    show('pair');
  }
}

// The station.

link.addEventListener('open', () => {
  connected = true;
  seq = 0;
  at('link').textContent = 'Connected';
  if (xr.running) link.send({ type: 'drive' });
  refresh();
});

link.addEventListener('close', async ({ detail: { code, reason } }) => {
  connected = false;
  role = { drives: false, driver: '', waiting: [] };
  at('link').textContent = reason ? `Disconnected: ${reason}` : 'Reconnecting';
  refresh();
  const me = await fetch('/me').then((answer) => answer.json()).catch(() => null);
  if (me && !me.paired) {
    link.stop();
    welcome = null;
    await xr.end();
    at('pair-error').textContent = code === UNPAIRED ? 'The pairing was revoked. Pair anew.' : '';
    show('pair');
  }
});

link.addEventListener('message', ({ detail: message }) => {
  if (message.type === 'welcome') meet(message);
  else if (message.type === 'role') role = message;
  else if (message.type === 'station') station = message;
  else if (message.type === 'cue') pulse(xr.inputSources, message.kind, message.hands);
  refresh();
});

async function meet(message) {
  welcome = message;
  document.title = message.station;
  at('station').textContent = message.station;
  at('legend').replaceChildren(...legendRows(message).map(([control, effect]) => {
    const row = document.createElement('tr');
    row.innerHTML = '<th scope="row"></th><td></td>';
    row.cells[0].textContent = control;
    row.cells[1].textContent = effect;
    return row;
  }));
  const { vr, ar } = await XrRun.modes();
  at('enter').hidden = !vr;
  at('enter-ar').hidden = !ar;
  at('xr-note').textContent = vr || ar ? '' : 'This browser shows the station. To drive, open this page in a headset.';
  if (message.video && !wall) {
    const { CameraWall } = await import('./video.js');
    wall = new CameraWall({ url: `wss://${location.host}/video`, cycles: !message.base });
    wall.attachMonitor(at('cameras'));
    at('cameras').hidden = false;
    wall.start();
  }
}

// Driving.

async function enterXr(mode) {
  try {
    await xr.start(mode, legendRows(welcome), wall);
  } catch (error) {
    at('xr-note').textContent = `The headset did not start: ${error.message}`;
  }
}

at('enter').addEventListener('click', () => enterXr('immersive-vr'));
at('enter-ar').addEventListener('click', () => enterXr('immersive-ar'));
at('estop').addEventListener('click', () => link.send({ type: 'estop' }));
at('unpair').addEventListener('click', async () => {
  link.stop();
  await post('/unpair', {});
  location.reload();
});
at('pin-form').addEventListener('submit', (event) => {
  event.preventDefault();
  pair({ pin: at('pin').value });
});
xr.addEventListener('start', () => {
  link.send({ type: 'drive' });
  refresh();
});
xr.addEventListener('end', () => {
  link.send({ type: 'release' });
  refresh();
});
xr.addEventListener('frame', ({ detail: frame }) => {
  if (!role.drives) return;
  link.sendFrame(encodeFrame({ ...frame, seq: seq++, sentMs: performance.now() }));
});
window.addEventListener('hashchange', begin); // a code scanned while this page is open

begin();
