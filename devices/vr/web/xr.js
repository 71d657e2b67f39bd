// The XR session: reads head and hands once a frame, hands them to `onFrame`, draws.

import { Scene } from './scene.js';

const HANDS = ['left', 'right'];
const BUTTON_BITS = 7;
const JOINTS = 25;
const FRAME_AGE_MS = 50;

export class XrRun extends EventTarget {
  #session = null;
  #space = null;
  #scene = null;
  #resets = 0;
  #lastHead = null;

  /** @returns {Promise<{vr: boolean, ar: boolean}>} what this browser can do */
  static async modes() {
    const can = async (mode) => (await navigator.xr?.isSessionSupported(mode).catch(() => false)) ?? false;
    return { vr: await can('immersive-vr'), ar: await can('immersive-ar') };
  }

  get running() {
    return this.#session !== null;
  }

  get inputSources() {
    return this.#session?.inputSources ?? [];
  }

  /** Start; must be called from a click. */
  async start(mode, legend, wall) {
    const session = await navigator.xr.requestSession(mode, {
      requiredFeatures: ['local-floor'],
      optionalFeatures: ['hand-tracking'],
    });
    const canvas = document.createElement('canvas');
    const gl = canvas.getContext('webgl2', { xrCompatible: true, antialias: true });
    if (!gl) {
      await session.end();
      throw new Error('this browser has no WebGL 2');
    }
    await gl.makeXRCompatible();
    session.updateRenderState({ baseLayer: new XRWebGLLayer(session, gl) });
    this.#space = await session.requestReferenceSpace('local-floor');
    this.#space.addEventListener('reset', () => {
      this.#resets += 1;
      this.#scene.placePanel(null);
    });
    this.#session = session;
    this.#scene = new Scene(gl, { seeThrough: mode === 'immersive-ar', legend, wall });
    session.addEventListener('visibilitychange', () => {
      if (session.visibilityState !== 'visible') this.#emit(performance.now(), null);
      this.dispatchEvent(new CustomEvent('visibility', { detail: session.visibilityState }));
    });
    session.addEventListener('end', () => {
      this.#session = null;
      this.dispatchEvent(new Event('end'));
    });
    session.requestAnimationFrame(this.#turn);
    this.dispatchEvent(new Event('start'));
  }

  async end() {
    await this.#session?.end();
  }

  /** What the panel and the colours of the controllers show. */
  show(state) {
    this.#scene?.show(state);
  }

  #turn = (time, frame) => {
    const session = this.#session;
    if (!session) return;
    session.requestAnimationFrame(this.#turn);
    const now = performance.now();
    const controllers = this.#emit(time <= now && now - time < FRAME_AGE_MS ? time : now, frame);
    const viewer = frame.getViewerPose(this.#space);
    if (viewer) this.#scene.draw(session.renderState.baseLayer, viewer, controllers);
  };

  #emit(deviceMs, frame) {
    const visible = frame !== null && this.#session.visibilityState === 'visible';
    const viewer = frame?.getViewerPose(this.#space);
    this.#lastHead = viewer && !viewer.emulatedPosition ? viewer.transform : null;
    const controllers = frame ? this.#controllers(frame) : [];
    this.dispatchEvent(new CustomEvent('frame', {
      detail: { resets: this.#resets, deviceMs, visible, head: this.#lastHead, controllers },
    }));
    return controllers;
  }

  #controllers(frame) {
    const best = new Map();
    for (const source of this.#session.inputSources) {
      const hand = HANDS.indexOf(source.handedness);
      if (hand < 0 || (source.targetRayMode === 'transient-pointer' && best.has(hand))) continue;
      const known = best.get(hand);
      if (!known || known.targetRayMode === 'transient-pointer' || source.gamepad) best.set(hand, source);
    }
    return [...best].map(([hand, source]) => this.#controller(frame, hand, source));
  }

  #controller(frame, hand, source) {
    const pose = (space) => {
      const found = space && frame.getPose(space, this.#space);
      return found && !found.emulatedPosition ? found.transform : null;
    };
    const transient = source.targetRayMode === 'transient-pointer';
    const buttons = source.gamepad?.buttons ?? [];
    const axes = source.gamepad?.axes ?? [];
    const bits = [...buttons].slice(0, BUTTON_BITS)
      .reduce((sum, button, bit) => sum | (button.pressed ? 1 << bit : 0), 0);
    return {
      hand,
      grip: pose(source.gripSpace),
      aim: pose(source.targetRaySpace),
      joints: source.hand ? this.#joints(frame, source.hand) : null,
      trigger: buttons[0]?.value ?? 0,
      squeeze: transient ? 1 : buttons[1]?.value ?? 0,
      stick: [axes[2] ?? 0, axes[3] ?? 0],
      buttons: bits,
      transient,
    };
  }

  #joints(frame, hand) {
    const found = new Float32Array(JOINTS * 7);
    let place = 0;
    for (const joint of hand.values()) {
      const pose = frame.getJointPose(joint, this.#space);
      if (!pose || pose.emulatedPosition || place >= found.length) return null;
      const { position: p, orientation: q } = pose.transform;
      found.set([p.x, p.y, p.z, q.x, q.y, q.z, q.w], place);
      place += 7;
    }
    return place === found.length ? found : null;
  }
}
