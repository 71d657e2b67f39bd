// What each control does, in words; the same table on the page and in the headset.

const BUTTONS = {
  'left.lower': 'X', 'left.upper': 'Y', 'right.lower': 'A', 'right.upper': 'B',
  'left.stick': 'Left stick pressed', 'right.stick': 'Right stick pressed',
};
const ACTIONS = {
  record: 'record: start and stop', save: 'save the episode', discard: 'discard the episode',
  redo: 'redo', undo: 'undo', next: 'next scene', estop: 'EMERGENCY STOP',
};

export function legendRows(welcome) {
  const rows = [
    ['Grip, squeezed', 'holds the arm: it follows while squeezed'],
    ['Trigger', 'closes the gripper'],
  ];
  for (const [key, action] of Object.entries(welcome.actions)) rows.push([BUTTONS[key] ?? key, ACTIONS[action]]);
  if (welcome.precise !== 'none') rows.push(['Stick, pressed', 'precision mode of that hand']);
  if (welcome.base) rows.push(['Left stick; right stick sideways', 'drive and turn the base']);
  else if (welcome.video) rows.push(['Left stick, sideways', 'the next camera large']);
  if (welcome.lift) rows.push(['Right stick up and down', 'raise and lower the lift']);
  rows.push(['Bare hands', 'pinch: middle finger holds, index grips']);
  return rows;
}
