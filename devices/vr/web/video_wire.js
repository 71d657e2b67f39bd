// Video packets as docs/vr.md describes them, and what their H.264 says of itself.

const KIND = 2;
const VERSION = 1;
const HEAD_BYTES = 40;
const SPS = 7;

/** @returns {{keyframe: boolean, camera: number, number: number, seq: number, captureMs: number,
 *   encodedMs: number, sentMs: number, width: number, height: number, payload: Uint8Array}} */
export function decodePacket(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < HEAD_BYTES || view.getUint8(0) !== KIND) throw new Error('this is not a video packet');
  if (view.getUint8(1) !== VERSION) throw new Error('the station speaks another version; load the page anew');
  return {
    keyframe: (view.getUint8(2) & 1) === 1,
    camera: view.getUint8(3),
    number: view.getUint32(4, true),
    seq: view.getUint32(8, true),
    captureMs: view.getFloat64(12, true),
    encodedMs: view.getFloat64(20, true),
    sentMs: view.getFloat64(28, true),
    width: view.getUint16(36, true),
    height: view.getUint16(38, true),
    payload: new Uint8Array(buffer, HEAD_BYTES),
  };
}

/** The codec's name out of the sequence parameter set of a keyframe (ISO/IEC 14496-15, RFC 6381); '' without one. */
export function codecOf(payload) {
  const hex = (value) => value.toString(16).padStart(2, '0');
  for (let i = 0; i + 6 < payload.length; i += 1) {
    if (payload[i] || payload[i + 1] || payload[i + 2] !== 1) continue;
    if ((payload[i + 3] & 31) === SPS) return `avc1.${hex(payload[i + 4])}${hex(payload[i + 5])}${hex(payload[i + 6])}`;
  }
  return '';
}
