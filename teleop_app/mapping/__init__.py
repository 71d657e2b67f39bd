"""From operator input to joint targets: clutch, filters, inverse kinematics."""
