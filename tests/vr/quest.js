// Installs the emulated headset into a page; `questHz` and IWER are there already.
(() => {
  const { questHz } = window;
  // IWER takes its frames from the page's clock, which stands at 60 Hz; a headset's is faster.
  let due = performance.now();
  const waiting = new Map();
  let next = 1;
  const channel = new MessageChannel();
  const turn = () => {
    const now = performance.now();
    if (now < due) return now < due - 4 ? setTimeout(turn, due - now - 3) : channel.port2.postMessage(0);
    due = Math.max(due + 1000 / questHz, now - 1000 / questHz);
    const calls = [...waiting.values()];
    waiting.clear();
    for (const call of calls) call(now);
    if (waiting.size) setTimeout(turn, 0);
  };
  channel.port1.onmessage = turn;
  window.requestAnimationFrame = (call) => {
    if (!waiting.size) setTimeout(turn, 0);
    waiting.set(next, call);
    return next++;
  };
  window.cancelAnimationFrame = (handle) => waiting.delete(handle);
  const quest = new IWER.XRDevice(IWER.metaQuest3);
  quest.installRuntime({ forceInstall: true });
  window.quest = quest;
  quest.position.set(0, 1.6, 0);
  for (const [hand, x] of [['left', -0.2], ['right', 0.2]]) {
    quest.controllers[hand].position.set(x, 1.2, -0.4);
    quest.controllers[hand].quaternion.set(0, 0, 0, 1);
  }
  // A hand that the cameras do not see: its position is guessed. (IWER 2.5 says so of every controller.)
  window.unseen = new Set();
  const getPose = XRFrame.prototype.getPose;
  XRFrame.prototype.getPose = function (space, base) {
    const pose = getPose.call(this, space, base);
    const source = [...quest.inputSources].find((each) => [each.gripSpace, each.targetRaySpace].includes(space));
    return source ? { transform: pose.transform, emulatedPosition: window.unseen.has(source.handedness) } : pose;
  };
  window.pulses = [];
  const note = (hand) => (strength, ms) => { window.pulses.push([hand, strength, ms]); return Promise.resolve(true); };
  for (const hand of ['left', 'right']) {
    for (const actuator of quest.controllers[hand].inputSource.gamepad.hapticActuators) actuator.pulse = note(hand);
  }
})();
