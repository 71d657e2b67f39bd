// The cameras on the page: one large, the others beside it, each with its name, age, rate and loss.

const WORDS_MS = 250;

export class Mosaic {
  #element;
  #tiles = new Map();
  #choice;
  #actions;
  #saidMs = -Infinity;
  #order = '';

  constructor(element, actions) {
    this.#element = element;
    this.#actions = actions;
    this.#choice = document.createElement('div');
    this.#choice.className = 'choice';
    element.replaceChildren(this.#choice);
  }

  /** Show a sentence instead of pictures. */
  say(sentence) {
    const words = document.createElement('p');
    words.className = 'note';
    words.textContent = sentence;
    this.#element.replaceChildren(words);
  }

  draw(streams, names, hidden, nowMs) {
    this.#arrange(streams, names, hidden);
    const say = nowMs - this.#saidMs > WORDS_MS;
    if (say) this.#saidMs = nowMs;
    for (const stream of streams) {
      const tile = this.#tiles.get(stream.name);
      if (tile.picture !== stream.drawn && stream.frame) this.#paint(tile, stream, nowMs);
      const stale = stream.stale(nowMs);
      if (!say && stale === tile.stale) continue;
      tile.stale = stale;
      tile.figure.classList.toggle('stale', stale);
      tile.words.textContent = stream.words(nowMs);
    }
  }

  #paint(tile, stream, nowMs) {
    const { canvas } = tile;
    if (canvas.width !== stream.width || canvas.height !== stream.height) {
      canvas.width = stream.width;
      canvas.height = stream.height;
    }
    tile.pen.drawImage(stream.frame, 0, 0);
    tile.picture = stream.drawn;
    canvas.dataset.captureMs = stream.captureMs;
    canvas.dataset.ageMs = stream.ageMs(nowMs);
  }

  #arrange(streams, names, hidden) {
    const order = JSON.stringify([streams.map(({ name }) => name), names, [...hidden]]);
    if (order === this.#order) return;
    this.#order = order;
    this.#choice.replaceChildren(...(names.length > 1 ? names.map((name) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = name;
      button.setAttribute('aria-pressed', String(!hidden.has(name)));
      button.addEventListener('click', () => this.#actions.toggle(name));
      return button;
    }) : []));
    const figures = streams.map(({ name }, place) => {
      const tile = this.#tiles.get(name) ?? this.#make(name);
      this.#tiles.set(name, tile);
      tile.figure.classList.toggle('large', place === 0 && streams.length > 1);
      return tile.figure;
    });
    this.#element.replaceChildren(this.#choice, ...figures);
  }

  #make(name) {
    const figure = document.createElement('figure');
    const canvas = document.createElement('canvas');
    canvas.width = 320;
    canvas.height = 240;
    canvas.dataset.camera = name;
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'button');
    canvas.setAttribute('aria-label', `${name}: show large`);
    const enlarge = () => this.#actions.enlarge(name);
    canvas.addEventListener('click', enlarge);
    canvas.addEventListener('keydown', ({ key }) => key === 'Enter' && enlarge());
    const caption = document.createElement('figcaption');
    const title = document.createElement('b');
    title.textContent = name;
    const words = document.createElement('span');
    caption.append(title, words);
    figure.append(canvas, caption);
    return { figure, canvas, pen: canvas.getContext('2d', { alpha: false }), words, picture: -1, stale: null };
  }
}
