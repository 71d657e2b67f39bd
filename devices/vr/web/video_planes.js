// The cameras in the headset: one large plane ahead, the others beside it, all beyond the reach of hands.

const AWAY_M = 2.0;
const LARGE_WIDTH_M = 1.7;
const SMALL_WIDTH_M = 0.72;
const BESIDE_M = 1.4;
const ABOVE_ROOM_M = 0.95; // where the room is seen, the robot ahead stays free
const CAPTION_ASPECT = 12;
const CAPTION = [768, 64];
const WORDS_MS = 250;

const VERTEX = `#version 300 es
uniform mat4 projection, view, model;
layout(location = 0) in vec2 place;
out vec2 at;
void main() { at = vec2(place.x + 0.5, 0.5 - place.y); gl_Position = projection * view * model * vec4(place, 0.0, 1.0); }`;
const FRAGMENT = `#version 300 es
precision mediump float;
uniform sampler2D picture;
uniform float light;
in vec2 at;
out vec4 shown;
void main() { shown = vec4(texture(picture, at).rgb * light, 1.0); }`;

export class CameraPlanes {
  #gl = null;
  #made = null;
  #slots = new Map();
  #eyes = null;
  #seeThrough = false;

  /** Stand before the eyes that are drawn next. */
  place(seeThrough) {
    this.#eyes = null;
    this.#seeThrough = seeThrough;
  }

  draw(gl, view, projection, streams, nowMs) {
    if (gl !== this.#gl) this.#begin(gl);
    this.#eyes ??= standpoint(view);
    const { program, at, array } = this.#made;
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    gl.disable(gl.BLEND);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindVertexArray(array);
    gl.uniformMatrix4fv(at.projection, false, projection);
    gl.uniformMatrix4fv(at.view, false, view);
    gl.uniform1i(at.picture, 0);
    streams.forEach((stream, place) => this.#plane(gl, stream, place, streams.length, nowMs));
    gl.bindVertexArray(null);
  }

  #plane(gl, stream, place, count, nowMs) {
    const slot = this.#slots.get(stream.name) ?? this.#slot(gl, stream.name);
    const stale = stream.stale(nowMs);
    if (stream.frame && slot.picture !== stream.drawn) {
      gl.bindTexture(gl.TEXTURE_2D, slot.texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, stream.frame);
      slot.picture = stream.drawn;
    }
    const small = place > 0 || this.#seeThrough;
    const width = small ? SMALL_WIDTH_M : LARGE_WIDTH_M;
    const height = width * (stream.width ? stream.height / stream.width : 0.75);
    const [x, y, turn] = this.#seeThrough ? inRow(place, count) : beside(place);
    const model = (w, h, dy) => planeMatrix(this.#eyes, x, y + dy, turn, w, h);
    if (stream.frame) this.#quad(gl, slot.texture, model(width, height, 0), stale ? 0.35 : 1);
    this.#caption(gl, slot, stream, stale, nowMs);
    const strip = width / CAPTION_ASPECT;
    this.#quad(gl, slot.caption, model(width, strip, -(height + strip) / 2), 1);
  }

  #quad(gl, texture, model, light) {
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.uniformMatrix4fv(this.#made.at.model, false, model);
    gl.uniform1f(this.#made.at.light, light);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  #caption(gl, slot, stream, stale, nowMs) {
    if (nowMs - slot.saidMs < WORDS_MS && stale === slot.stale) return;
    Object.assign(slot, { saidMs: nowMs, stale });
    const [width, height] = CAPTION;
    const pen = slot.pen;
    pen.fillStyle = stale ? '#5a3d00' : '#161d28';
    pen.fillRect(0, 0, width, height);
    pen.font = '600 36px system-ui, sans-serif';
    pen.textAlign = 'left';
    pen.fillStyle = '#eef2f7';
    pen.fillText(stream.name, 20, 45, 260);
    pen.font = '400 32px system-ui, sans-serif';
    pen.textAlign = 'right';
    pen.fillStyle = stale ? '#ffc35c' : '#a3b1c4';
    pen.fillText(stream.words(nowMs), width - 20, 44, 460);
    gl.bindTexture(gl.TEXTURE_2D, slot.caption);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, slot.canvas);
  }

  #slot(gl, name) {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = CAPTION;
    const slot = {
      texture: picture(gl), caption: picture(gl), canvas, pen: canvas.getContext('2d'), picture: -1, saidMs: -Infinity,
      stale: null,
    };
    this.#slots.set(name, slot);
    return slot;
  }

  #begin(gl) {
    this.#gl = gl; // what belonged to an earlier session went with its context
    this.#slots.clear();
    this.#eyes = null;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-.5, -.5, .5, -.5, -.5, .5, .5, .5]), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 8, 0);
    gl.bindVertexArray(null);
    const at = Object.fromEntries(['projection', 'view', 'model', 'picture', 'light']
      .map((name) => [name, gl.getUniformLocation(program, name)]));
    this.#made = { program, at, array };
  }
}

function picture(gl) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  return texture;
}

/** Where the eyes are and which way they look, out of a view matrix (world to eye, column-major). */
function standpoint(view) {
  const [x, y, z] = [0, 1, 2].map((i) =>
    -(view[4 * i] * view[12] + view[4 * i + 1] * view[13] + view[4 * i + 2] * view[14]));
  return { x, y, z, yaw: Math.atan2(view[2], view[10]) };
}

/** Sideways and upwards of the middle [m], and how far the plane turns towards the eyes [rad]. */
function beside(place) {
  if (place === 0) return [0, 0, 0];
  const side = place % 2 ? -1 : 1;
  const row = Math.floor((place - 1) / 2);
  return [side * BESIDE_M, 0.32 - 0.66 * row, -side * 0.5];
}

function inRow(place, count) {
  return [(place - (count - 1) / 2) * (SMALL_WIDTH_M + 0.06), ABOVE_ROOM_M, 0];
}

function planeMatrix({ x, y, z, yaw }, right, up, turn, width, height) {
  const [c, s] = [Math.cos(yaw), Math.sin(yaw)];
  const away = AWAY_M - Math.abs(right) * 0.22; // on a shallow arc around the eyes
  const [ct, st] = [Math.cos(yaw + turn), Math.sin(yaw + turn)];
  return [
    width * ct, 0, -width * st, 0, 0, height, 0, 0, st, 0, ct, 0,
    x + right * c - away * s, y + up, z - right * s - away * c, 1,
  ];
}
