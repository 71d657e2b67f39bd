"""Force, torque, touch and sound."""
