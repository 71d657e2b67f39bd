// Pulses in the hand: each kind has a pattern of its own, [strength, length ms, pause ms].

const PATTERNS = {
  clutch: [[0.4, 40, 0]],
  aligned: [[0.4, 40, 60], [0.4, 40, 0]],
  limit: [[0.6, 90, 0]],
  record: [[0.5, 70, 80], [0.8, 140, 0]],
  stale: [[0.8, 160, 90], [0.8, 160, 0]],
  help: [[0.7, 60, 60], [0.7, 60, 60], [1, 200, 0]],
  estop: [[1, 250, 80], [1, 250, 80], [1, 250, 0]],
};

export async function pulse(sources, kind, hands) {
  const actuators = [...sources]
    .filter((source) => hands.includes(source.handedness))
    .map((source) => source.gamepad?.hapticActuators?.[0])
    .filter(Boolean);
  for (const [strength, lengthMs, pauseMs] of PATTERNS[kind] ?? PATTERNS.clutch) {
    await Promise.allSettled(actuators.map((actuator) => actuator.pulse(strength, lengthMs)));
    await new Promise((resolve) => setTimeout(resolve, lengthMs + pauseMs));
  }
}
