// One camera: decodes its packets and keeps the latest picture, no other.

import { codecOf } from './video_wire.js';

const STALE_MS = 500;
const MOST_QUEUED = 6;
const RATE_MS = 1500;

export class CameraStream {
  #decoder = null;
  #setup = '';
  #following = false;
  #pending = new Map();
  #times = [];
  #seq = null;

  /** @param {string} name @param {() => number} offsetMs host time minus page time */
  constructor(name, offsetMs) {
    this.name = name;
    this.width = 0;
    this.height = 0;
    this.frame = null; // the newest VideoFrame; whoever wants to keep it copies it
    this.drawn = 0; // counts pictures
    this.captureMs = 0; // host time of the newest picture
    this.cameMs = 0; // page time at which it was decoded
    this.wallTime = null; // time of day, for people
    this.lost = 0;
    this.problem = '';
    this.offsetMs = offsetMs;
  }

  take(packet) {
    if (this.#seq !== null && packet.seq > this.#seq + 1) this.lost += packet.seq - this.#seq - 1;
    this.#seq = packet.seq;
    if (packet.keyframe) this.#begin(packet);
    else if (this.#decoder?.decodeQueueSize > MOST_QUEUED) this.#following = false;
    if (!this.#following) return;
    const timestamp = Math.round(packet.captureMs * 1000);
    this.#pending.set(timestamp, packet);
    try {
      this.#decoder.decode(new EncodedVideoChunk({
        type: packet.keyframe ? 'key' : 'delta', timestamp, data: packet.payload,
      }));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Age of the newest picture [ms]: since the scene looked so. */
  ageMs(nowMs) {
    return nowMs + this.offsetMs() - this.captureMs;
  }

  /** No new picture for a while; also before the first. */
  stale(nowMs) {
    return !this.frame || nowMs - this.cameMs > STALE_MS;
  }

  fps(nowMs) {
    this.#times = this.#times.filter((time) => nowMs - time < RATE_MS);
    return this.#times.length / (RATE_MS / 1000);
  }

  /** What to say of it: age, rate and loss, or since when there is no picture. */
  words(nowMs) {
    if (this.problem) return this.problem;
    if (!this.frame) return 'no picture yet';
    if (this.stale(nowMs)) return `no picture since ${this.wallTime.toLocaleTimeString('en-GB')}`;
    const lost = this.lost ? `, ${this.lost} lost` : '';
    const age = this.ageMs(nowMs);
    return `${Number.isNaN(age) ? '-' : Math.max(0, age).toFixed(0)} ms, ${this.fps(nowMs).toFixed(0)} fps${lost}`;
  }

  /** Start anew with the next keyframe; the picture stays, as an old one. */
  restart() {
    this.#following = false;
    this.#seq = null;
    this.#pending.clear();
  }

  close() {
    this.restart();
    if (this.#decoder && this.#decoder.state !== 'closed') this.#decoder.close();
    this.#decoder = null;
    this.frame?.close();
    this.frame = null;
  }

  #begin(packet) {
    const codec = codecOf(packet.payload);
    const setup = `${codec} ${packet.width}x${packet.height}`;
    const fresh = this.#decoder?.state === 'configured';
    if (fresh && setup === this.#setup && this.#decoder.decodeQueueSize <= MOST_QUEUED) {
      this.#following = true;
      return;
    }
    if (!codec) {
      this.problem = 'a keyframe without parameter sets';
      return;
    }
    if (!this.#decoder || this.#decoder.state === 'closed') {
      this.#decoder = new VideoDecoder({ output: (frame) => this.#show(frame), error: (error) => this.#fail(error) });
    } else {
      this.#decoder.reset();
    }
    this.#pending.clear();
    this.#setup = setup;
    this.#decoder.configure({
      codec, codedWidth: packet.width, codedHeight: packet.height, optimizeForLatency: true,
    });
    this.#following = true;
    this.problem = '';
  }

  #show(frame) {
    const packet = this.#pending.get(frame.timestamp);
    for (const key of [...this.#pending.keys()]) if (key <= frame.timestamp) this.#pending.delete(key);
    this.frame?.close();
    this.frame = frame;
    this.width = frame.displayWidth;
    this.height = frame.displayHeight;
    this.captureMs = packet?.captureMs ?? frame.timestamp / 1000;
    this.cameMs = performance.now();
    this.wallTime = new Date();
    this.drawn += 1;
    this.#times.push(this.cameMs);
  }

  #fail(error) {
    this.#following = false;
    this.#pending.clear();
    this.problem = error.name === 'NotSupportedError'
      ? 'this browser cannot decode H.264' : '';
  }
}
