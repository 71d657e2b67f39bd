// The panel in the headset: state, task, recording, last warning and the legend, drawn into a canvas.

const WIDTH = 1280;
const HEIGHT = 800;
const EDGE = 56;
const LEGEND = 480;
const FONT = 'system-ui, "Segoe UI", Roboto, sans-serif';
const TINTS = { good: '#4fd08a', warn: '#ffc35c', bad: '#ff6b63', policy: '#a99bff', soft: '#a3b1c4', plain: '#eef2f7' };

export const PANEL_ASPECT = WIDTH / HEIGHT;

export class Panel {
  #canvas;
  #pen;
  #legend;
  #drawn = '';

  constructor(legend) {
    this.#canvas = document.createElement('canvas');
    this.#canvas.width = WIDTH;
    this.#canvas.height = HEIGHT;
    this.#pen = this.#canvas.getContext('2d');
    this.#legend = legend;
  }

  /** Draw what has changed; the canvas, or null when nothing has. */
  draw(state) {
    const content = JSON.stringify([state.head, state.headTint, state.driver, state.task, state.recording, state.warning]);
    if (content === this.#drawn) return null;
    this.#drawn = content;
    const pen = this.#pen;
    pen.fillStyle = '#161d28';
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    pen.fillStyle = TINTS[state.headTint] ?? TINTS.plain;
    pen.fillRect(0, 0, 16, HEIGHT);
    this.#text(state.head ?? 'Connecting', EDGE, 96, 64, TINTS[state.headTint] ?? TINTS.plain, 600);
    this.#text(state.driver ?? '', EDGE, 152, 34, TINTS.soft, 400, 'left', 0.52 * WIDTH);
    const recording = state.recording ?? '';
    this.#text(recording, WIDTH - EDGE, 152, 36, state.isRecording ? TINTS.bad : TINTS.plain, 600, 'right', 0.38 * WIDTH);
    this.#text(state.task ?? '', EDGE, 216, 36, TINTS.plain);
    if (state.warning) this.#wrap(state.warning, EDGE, 284, 34, TINTS.warn, 2);
    let y = 400;
    pen.fillStyle = '#2b3646';
    pen.fillRect(EDGE, y - 44, WIDTH - 2 * EDGE, 2);
    for (const [control, effect] of this.#legend.slice(0, 9)) {
      this.#text(control, EDGE, y, 30, TINTS.soft);
      this.#text(effect, LEGEND, y, 30, TINTS.plain, 400, 'left', WIDTH - LEGEND - EDGE);
      y += 44;
    }
    return this.#canvas;
  }

  #text(words, x, y, size, colour, weight = 400, align = 'left', most = WIDTH - 2 * EDGE) {
    const pen = this.#pen;
    pen.font = `${weight} ${size}px ${FONT}`;
    pen.fillStyle = colour;
    pen.textAlign = align;
    pen.fillText(words, x, y, most);
  }

  #wrap(words, x, y, size, colour, lines) {
    this.#pen.font = `400 ${size}px ${FONT}`;
    const rows = [''];
    for (const word of words.split(' ')) {
      const longer = rows.at(-1) ? `${rows.at(-1)} ${word}` : word;
      if (this.#pen.measureText(longer).width > WIDTH - 2 * EDGE) rows.push(word);
      else rows[rows.length - 1] = longer;
    }
    rows.slice(0, lines).forEach((row, i) => this.#text(row, x, y + i * size * 1.25, size, colour));
  }
}
