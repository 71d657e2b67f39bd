// The station's clock, by the quickest of the last answers.

const KEPT = 16;

export class StationClock {
  #answers = [];

  /** @param {number} askedMs page clock; @param {number} hostMs station clock; @param {number} nowMs page clock */
  answer(askedMs, hostMs, nowMs) {
    this.#answers.push({ tripMs: nowMs - askedMs, offsetMs: hostMs - (askedMs + nowMs) / 2 });
    if (this.#answers.length > KEPT) this.#answers.shift();
  }

  get answers() {
    return this.#answers.length;
  }

  get known() {
    return this.#answers.length > 0;
  }

  /** Host time minus page time [ms]. */
  get offsetMs() {
    return this.#answers.reduce((best, each) => (each.tripMs < best.tripMs ? each : best)).offsetMs;
  }

  forget() {
    this.#answers = [];
  }
}
