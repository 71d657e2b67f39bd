// What is drawn in the headset: floor grid, controllers coloured by who drives, the panel, and the cameras.

import { Panel, PANEL_ASPECT } from './panel.js';

const COLOURS = {
  moving: [0.31, 0.82, 0.54], held: [1, 0.76, 0.36], ready: [0.35, 0.66, 1], watching: [0.5, 0.55, 0.62],
  stopped: [1, 0.42, 0.39], grid: [0.17, 0.21, 0.27],
};
const PANEL_WIDTH_M = 1.0;
const PANEL_AWAY_M = 1.25;
const PANEL_BELOW_EYES_M = 0.38;
const PANEL_BELOW_CAMERAS_M = 0.85;
const GRID_M = 4;
const GRID_STEP_M = 0.5;

const VERTEX = `#version 300 es
uniform mat4 projection, view, model;
layout(location = 0) in vec3 place;
layout(location = 1) in vec2 uv;
out vec2 at;
void main() { at = uv; gl_Position = projection * view * model * vec4(place, 1.0); }`;
const FRAGMENT = `#version 300 es
precision mediump float;
uniform vec4 colour;
uniform sampler2D picture;
uniform bool textured;
in vec2 at;
out vec4 shown;
void main() { shown = textured ? texture(picture, at) : colour; }`;

// Column-major, as WebGL and WebXR have them.
const scaled = (m, x, y, z) => m.map((value, i) => value * [x, y, z, 1][i >> 2]);
const shifted = (m, x, y, z) => m.map((value, i) =>
  i < 12 ? value : m[i - 12] * x + m[i - 8] * y + m[i - 4] * z + m[i]);
const standing = (x, y, z, yaw, pitch) => {
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return [cy, 0, -sy, 0, sy * sp, cp, cy * sp, 0, sy * cp, -sp, cy * cp, 0, x, y, z, 1];
};
const IDENTITY = standing(0, 0, 0, 0, 0);

export class Scene {
  #gl;
  #seeThrough;
  #wall;
  #state = {};
  #panel;
  #panelPlace = null;

  constructor(gl, { seeThrough, legend, wall }) {
    this.#gl = gl;
    this.#seeThrough = seeThrough;
    this.#wall = wall;
    this.#panel = new Panel(legend);
    this.#program = link(gl, VERTEX, FRAGMENT);
    this.#at = Object.fromEntries(['projection', 'view', 'model', 'colour', 'textured']
      .map((name) => [name, gl.getUniformLocation(this.#program, name)]));
    this.#grid = mesh(gl, gridLines(), 3);
    this.#box = mesh(gl, boxTriangles(), 3);
    this.#quad = mesh(gl, [-.5, -.5, 0, 0, 1, .5, -.5, 0, 1, 1, -.5, .5, 0, 0, 0, .5, .5, 0, 1, 0], 5);
    this.#texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.#texture);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  }

  #program;
  #at;
  #grid;
  #box;
  #quad;
  #texture;

  show(state) {
    this.#state = state;
  }

  /** Put the panel before these eyes (a viewer's transform); null: before the next ones. */
  placePanel(head) {
    if (!head) {
      this.#panelPlace = null;
      return;
    }
    const { x, y, z } = head.position;
    const [, , , , , , , , bx, , bz] = head.matrix; // the head's z axis points backwards
    const yaw = Math.atan2(bx, bz);
    const below = this.#wall?.streams.length ? PANEL_BELOW_CAMERAS_M : PANEL_BELOW_EYES_M;
    this.#panelPlace = standing(
      x - PANEL_AWAY_M * Math.sin(yaw), y - below, z - PANEL_AWAY_M * Math.cos(yaw), yaw, -Math.atan2(below, PANEL_AWAY_M));
  }

  draw(layer, viewer, controllers) {
    const gl = this.#gl;
    if (!this.#panelPlace) {
      this.placePanel(viewer.transform);
      this.#wall?.recentreXr({ seeThrough: this.#seeThrough });
    }
    this.#wall?.sticks(controllers);
    this.#updatePanel();
    gl.bindFramebuffer(gl.FRAMEBUFFER, layer.framebuffer);
    if (this.#seeThrough) gl.clearColor(0, 0, 0, 0);
    else gl.clearColor(0.045, 0.06, 0.085, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    for (const view of viewer.views) {
      const { x, y, width, height } = layer.getViewport(view);
      gl.viewport(x, y, width, height);
      this.#drawView(view.transform.inverse.matrix, view.projectionMatrix, controllers);
      this.#wall?.drawXr(gl, view.transform.inverse.matrix, view.projectionMatrix);
    }
  }

  #drawView(view, projection, controllers) {
    const gl = this.#gl;
    gl.useProgram(this.#program);
    gl.enable(gl.DEPTH_TEST);
    gl.disable(gl.CULL_FACE);
    gl.disable(gl.BLEND);
    gl.uniformMatrix4fv(this.#at.projection, false, projection);
    gl.uniformMatrix4fv(this.#at.view, false, view);
    gl.uniform1i(this.#at.textured, 0);
    if (!this.#seeThrough) this.#mesh(gl.LINES, this.#grid, IDENTITY, COLOURS.grid);
    for (const controller of controllers) this.#gizmo(controller);
    gl.uniform1i(this.#at.textured, 1);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.#texture);
    const panel = scaled(this.#panelPlace, PANEL_WIDTH_M, PANEL_WIDTH_M / PANEL_ASPECT, 1);
    this.#mesh(gl.TRIANGLE_STRIP, this.#quad, panel, COLOURS.grid);
  }

  #gizmo({ hand, grip, aim, joints }) {
    const colour = COLOURS[this.#state.hands?.[hand] ?? 'watching'];
    const gl = this.#gl;
    const box = (m, x, y, z) => this.#mesh(gl.TRIANGLES, this.#box, scaled(m, x, y, z), colour);
    if (joints) {
      for (let i = 0; i < joints.length; i += 7) {
        box(standing(joints[i], joints[i + 1], joints[i + 2], 0, 0), 0.012, 0.012, 0.012);
      }
    } else if (grip) {
      const m = [...grip.matrix];
      box(m, 0.035, 0.035, 0.11);
      box(shifted(m, 0, 0.028, -0.045), 0.055, 0.02, 0.055);
    }
    if (aim && !joints) box(shifted([...aim.matrix], 0, 0, -0.12), 0.004, 0.004, 0.2);
  }

  #mesh(mode, { array, count }, model, [r, g, b]) {
    const gl = this.#gl;
    gl.bindVertexArray(array);
    gl.uniformMatrix4fv(this.#at.model, false, model);
    gl.uniform4f(this.#at.colour, r, g, b, 1);
    gl.drawArrays(mode, 0, count);
    gl.bindVertexArray(null);
  }

  #updatePanel() {
    const canvas = this.#panel.draw(this.#state);
    if (!canvas) return;
    const gl = this.#gl;
    gl.bindTexture(gl.TEXTURE_2D, this.#texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, canvas);
  }
}

function link(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

function mesh(gl, values, stride) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(values), gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 4 * stride, 0);
  if (stride === 5) {
    gl.enableVertexAttribArray(1);
    gl.vertexAttribPointer(1, 2, gl.FLOAT, false, 20, 12);
  }
  gl.bindVertexArray(null);
  return { array, count: values.length / stride };
}

function gridLines() {
  const lines = [];
  // In short pieces: drivers drop long lines that pass behind the eye.
  for (let i = -GRID_M; i <= GRID_M; i += GRID_STEP_M) {
    for (let j = -GRID_M; j < GRID_M; j += GRID_STEP_M) {
      const k = j + GRID_STEP_M;
      lines.push(i, 0, j, i, 0, k, j, 0, i, k, 0, i);
    }
  }
  return lines;
}

function boxTriangles() {
  const corner = (i) => [(i & 1) - 0.5, ((i >> 1) & 1) - 0.5, (i >> 2) - 0.5];
  const faces = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]];
  return faces.flatMap(([a, b, c, d]) => [a, b, c, a, c, d].flatMap(corner));
}
