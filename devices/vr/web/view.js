// What the station's messages mean in words, for the page and for the panel in the headset.

const STATES = {
  idle: ['Ready: squeeze to move', 'plain'], aligning: ['Aligning', 'warn'], engaged: ['Moving', 'good'],
  hold: ['Holding', 'warn'], fault: ['Robot fault', 'bad'], estop: ['EMERGENCY STOP', 'bad'],
};
const POLICY = {
  drives: ['Policy drives: squeeze to seize', 'policy'], both: ['You and the policy drive', 'policy'],
  asks: ['Policy needs help: squeeze to seize', 'policy'], holds: ['Policy waits: squeeze to drive', 'warn'],
};
const RECORDER = {
  idle: 'not recording', countdown: 'starts in', recording: 'recording', finalising: 'writing', review: 'save or discard?',
  fault: 'recorder fault',
};

export function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

export function recordingWords({ recorder, elapsed_s: elapsed, countdown_s: countdown, saved, target }) {
  const words = RECORDER[recorder] ?? '';
  const count = target ? `${saved} of ${target} saved` : `${saved} saved`;
  if (recorder === 'recording') return `${clock(elapsed)} recording`;
  if (recorder === 'countdown') return `${words} ${Math.ceil(Math.max(0, countdown))}`;
  return recorder ? `${words}, ${count}` : 'no recorder';
}

/** @returns {{head: string, headTint: string, driver: string, hands: string[], ...}} what is shown */
export function shown(connected, role, station, driving) {
  const [words, tint] = POLICY[station.policy] ?? STATES[station.state] ?? ['Robot not there', 'bad'];
  const mine = driving && role.drives;
  const watching = driving && !role.drives;
  const colour = (hand) => {
    if (!connected || !mine) return 'watching';
    if (station.state === 'estop' || station.state === 'fault') return 'stopped';
    if (!station.held?.[hand]) return 'ready';
    return station.mine && station.state === 'engaged' ? 'moving' : 'held';
  };
  const precise = mine ? ['left', 'right'].filter((hand) => station.precise?.[hand]) : [];
  const other = role.driver ? `${role.driver} drives` : role.held ? 'the last driver may still come back' : 'nobody drives';
  let driver = mine ? 'You drive' : watching ? `You watch: ${other}` : other;
  if (mine && role.waiting?.length) driver += `; ${role.waiting.join(', ')} would like to`;
  if (precise.length) driver += `. Precise: ${precise.join(' and ')}`;
  return {
    head: connected ? words : 'Reconnecting',
    headTint: connected ? tint : 'bad',
    robot: station.reason || words,
    driver,
    task: station.task || '-',
    recording: recordingWords(station),
    isRecording: station.recorder === 'recording',
    warning: connected ? station.warning || (station.state === 'hold' ? station.reason : '') : 'The station does not answer. The arms hold.',
    hands: [colour('left'), colour('right')],
  };
}
