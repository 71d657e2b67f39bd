// The WebSocket to the station: comes back by itself, waiting longer each time.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5000;
const BACKLOG_FRAMES = 2;

export class Link extends EventTarget {
  #socket = null;
  #waitMs = FIRST_WAIT_MS;
  #timer = 0;
  #wanted = false;

  constructor(url) {
    super();
    this.url = url;
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  start() {
    this.#wanted = true;
    this.#connect();
  }

  stop() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
  }

  send(message) {
    if (this.open) this.#socket.send(JSON.stringify(message));
  }

  /** Send a frame; one that would only grow old behind others is left out, and its number stays a gap. */
  sendFrame(bytes) {
    if (!this.open || this.#socket.bufferedAmount > BACKLOG_FRAMES * bytes.byteLength) return false;
    this.#socket.send(bytes);
    return true;
  }

  #connect() {
    const socket = new WebSocket(this.url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onopen = () => {
      this.#waitMs = FIRST_WAIT_MS;
      this.dispatchEvent(new Event('open'));
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === 'ping') this.send({ type: 'pong', id: message.id });
      else this.dispatchEvent(new CustomEvent('message', { detail: message }));
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      this.dispatchEvent(new CustomEvent('close', { detail: { code, reason, waitMs: this.#waitMs } }));
      if (!this.#wanted) return;
      this.#timer = setTimeout(() => this.#connect(), this.#waitMs * (0.75 + Math.random() / 2));
      this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_WAIT_MS);
    };
  }
}
