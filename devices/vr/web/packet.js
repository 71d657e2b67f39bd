// A frame in bytes, as docs/vr.md describes it (little endian).

const KIND = 1;
const VERSION = 1;
const HEAD_BYTES = 56;
const CONTROLLER_BYTES = 76;
const HAND_BYTES = 25 * 7 * 4;
const IDENTITY = [0, 0, 0, 0, 0, 0, 1];

const numbersOf = (pose) => {
  if (!pose) return IDENTITY;
  const { position: p, orientation: q } = pose;
  return [p.x, p.y, p.z, q.x, q.y, q.z, q.w];
};

/**
 * @param {{seq: number, resets: number, deviceMs: number, sentMs: number, visible: boolean, head: object|null,
 *   controllers: {hand: number, grip: object|null, aim: object|null, joints: Float32Array|null, trigger: number,
 *   squeeze: number, stick: number[], buttons: number, transient: boolean}[]}} frame
 * @returns {ArrayBuffer}
 */
export function encodeFrame(frame) {
  const length = frame.controllers.reduce(
    (sum, each) => sum + CONTROLLER_BYTES + (each.joints ? HAND_BYTES : 0), HEAD_BYTES);
  const buffer = new ArrayBuffer(length);
  const view = new DataView(buffer);
  view.setUint8(0, KIND);
  view.setUint8(1, VERSION);
  view.setUint16(2, (frame.visible ? 1 : 0) | (frame.head ? 2 : 0), true);
  view.setUint32(4, frame.seq, true);
  view.setUint32(8, frame.resets, true);
  view.setFloat64(12, frame.deviceMs, true);
  view.setFloat64(20, frame.sentMs, true);
  numbersOf(frame.head).forEach((value, i) => view.setFloat32(28 + 4 * i, value, true));
  let place = HEAD_BYTES;
  for (const each of frame.controllers) {
    const flags = (each.grip ? 1 : 0) | (each.aim ? 2 : 0) | (each.joints ? 4 : 0) | (each.transient ? 8 : 0);
    view.setUint8(place, each.hand);
    view.setUint8(place + 1, flags);
    view.setUint16(place + 2, each.buttons, true);
    const levels = [each.trigger, each.squeeze, ...each.stick, ...numbersOf(each.grip), ...numbersOf(each.aim)];
    levels.forEach((value, i) => view.setFloat32(place + 4 + 4 * i, value, true));
    place += CONTROLLER_BYTES;
    if (each.joints) {
      each.joints.forEach((value, i) => view.setFloat32(place + 4 * i, value, true));
      place += HAND_BYTES;
    }
  }
  return buffer;
}
