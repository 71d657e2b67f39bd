// The cameras' video: receives, decodes, and shows it on the page and in the headset.

import { StationClock } from './video_clock.js';
import { CameraStream } from './video_stream.js';
import { Mosaic } from './video_mosaic.js';
import { CameraPlanes } from './video_planes.js';
import { decodePacket } from './video_wire.js';

const NO_DECODER = 'This browser cannot decode video (no WebCodecs): the cameras are not shown. Use a current Chrome, Edge, '
  + 'Safari or headset browser.';
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5000;
const ASK_TIME_MS = 500;
const FIRST_ANSWERS = 6;
const XR_MS = 1000;

export class CameraWall {
  #url;
  #socket = null;
  #wanted = false;
  #waitMs = FIRST_WAIT_MS;
  #timers = [];
  #reconnect = 0;
  #clock = new StationClock();
  #streams = new Map();
  #cameras = [];
  #mosaic = null;
  #planes = new CameraPlanes();
  #large = '';
  #hidden = new Set(JSON.parse(localStorage.getItem('hiddenCameras') ?? '[]'));
  #asked = '';
  #xrMs = -Infinity;
  #cycles;
  #flicked = false;

  /** @param {{url: string, cycles: boolean}} options whether the left stick is free to choose the large camera */
  constructor({ url, cycles }) {
    this.#url = url;
    this.#cycles = cycles;
  }

  /** Show the pictures in this element of the page. */
  attachMonitor(element) {
    this.#mosaic = new Mosaic(element, {
      enlarge: (name) => this.#enlarge(name),
      toggle: (name) => this.#toggle(name),
    });
    if (!('VideoDecoder' in window)) this.#mosaic.say(NO_DECODER);
  }

  start() {
    if (!('VideoDecoder' in window) || this.#wanted) return;
    this.#wanted = true;
    this.#connect();
    this.#timers = [setInterval(() => this.#askTime(), ASK_TIME_MS), setInterval(() => this.#choose(), 250)];
    requestAnimationFrame(this.#draw);
  }

  stop() {
    this.#wanted = false;
    clearTimeout(this.#reconnect);
    this.#timers.forEach(clearInterval);
    this.#socket?.close(1000);
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }

  /** The streams by camera, in the station's order. */
  get streams() {
    return this.#cameras.map(({ name }) => this.#streams.get(name)).filter(Boolean);
  }

  /** Draw the cameras into one eye's view; matrices are column-major, view is world to eye. */
  drawXr(gl, view, projection) {
    const now = performance.now();
    this.#xrMs = now;
    this.#planes.draw(gl, view, projection, this.#shown(), now);
  }

  /** Put the planes before the eyes that are drawn next: the room has moved, or the session is new. */
  recentreXr({ seeThrough }) {
    this.#planes.place(seeThrough);
  }

  /** The left stick, pushed sideways, makes the next camera the large one. */
  sticks(controllers) {
    const x = controllers.find(({ hand }) => hand === 0)?.stick[0] ?? 0;
    if (Math.abs(x) < 0.3) this.#flicked = false;
    if (!this.#cycles || this.#flicked || Math.abs(x) < 0.7) return;
    this.#flicked = true;
    const names = this.#visible().map(({ name }) => name);
    const now = Math.max(0, names.indexOf(this.#large));
    if (names.length) this.#enlarge(names[(now + (x > 0 ? 1 : names.length - 1)) % names.length]);
  }

  /** Streams that are shown, the large one first; of the next two, a left one stands left of a right one. */
  #shown() {
    const all = this.#visible();
    const large = all.find(({ name }) => name === this.#large) ?? all[0];
    const others = all.filter((stream) => stream !== large);
    if (others.length > 1 && /right/i.test(others[0].name) && !/right/i.test(others[1].name)) {
      [others[0], others[1]] = [others[1], others[0]];
    }
    return large ? [large, ...others] : [];
  }

  #visible() {
    return this.streams.filter(({ name }) => !this.#hidden.has(name));
  }

  #enlarge(name) {
    this.#large = name;
  }

  #toggle(name) {
    if (!this.#hidden.delete(name)) this.#hidden.add(name);
    localStorage.setItem('hiddenCameras', JSON.stringify([...this.#hidden]));
    this.#choose();
  }

  #draw = () => {
    if (!this.#wanted) return;
    requestAnimationFrame(this.#draw);
    const now = performance.now();
    this.#mosaic?.draw(this.#shown(), this.streams.map(({ name }) => name), this.#hidden, now);
  };

  /** Ask for what is shown, and nothing while nobody looks. */
  #choose() {
    const looks = !document.hidden || performance.now() - this.#xrMs < XR_MS;
    const names = looks ? this.#cameras.map(({ name }) => name).filter((name) => !this.#hidden.has(name)) : [];
    const asked = JSON.stringify({ type: 'show', cameras: names });
    if (asked === this.#asked || this.#socket?.readyState !== WebSocket.OPEN || !this.#cameras.length) return;
    const before = this.#asked ? JSON.parse(this.#asked).cameras : names;
    for (const name of names) if (!before.includes(name)) this.#streams.get(name)?.restart();
    this.#asked = asked;
    this.#socket.send(asked);
  }

  #askTime() {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ type: 'clock', page_ms: performance.now() }));
    }
  }

  #connect() {
    const socket = new WebSocket(this.#url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onopen = () => {
      this.#waitMs = FIRST_WAIT_MS;
      this.#asked = '';
      this.#clock.forget();
      for (const stream of this.#streams.values()) stream.restart();
      this.#askTime();
    };
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = () => {
      if (!this.#wanted || socket !== this.#socket) return;
      this.#reconnect = setTimeout(() => this.#connect(), this.#waitMs * (0.75 + Math.random() / 2));
      this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_WAIT_MS);
    };
  }

  #take(data) {
    if (typeof data === 'string') {
      const message = JSON.parse(data);
      if (message.type === 'clock') this.#tellTime(message);
      else if (message.type === 'cameras') this.#introduce(message.cameras);
      return;
    }
    const packet = decodePacket(data);
    this.#socket.send(JSON.stringify({ type: 'got', number: packet.number }));
    this.#streams.get(this.#cameras[packet.camera]?.name)?.take(packet);
  }

  #tellTime({ page_ms: askedMs, host_ms: hostMs }) {
    this.#clock.answer(askedMs, hostMs, performance.now());
    if (this.#clock.answers < FIRST_ANSWERS) this.#askTime(); // at the start the page is busy and answers seem late
  }

  #introduce(cameras) {
    this.#cameras = cameras;
    const offsetMs = () => (this.#clock.known ? this.#clock.offsetMs : NaN);
    for (const { name } of cameras) {
      if (!this.#streams.has(name)) this.#streams.set(name, new CameraStream(name, offsetMs));
    }
    this.#choose();
  }
}
