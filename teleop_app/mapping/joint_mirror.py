"""Leader arms: the follower repeats the leader's joint changes from engage on."""

from __future__ import annotations

from teleop_app.core.geometry import Array


class JointMirror:
    """Maps leader joints to follower joints through the offsets found at engage [rad], shape (n,)."""

    def __init__(self) -> None:
        self._offset: Array | None = None

    @property
    def engaged(self) -> bool:
        """Whether `target` may be called."""
        return self._offset is not None

    def engage(self, leader: Array, follower: Array) -> None:
        """Tie the present postures together.

        Raises:
            ValueError: The arms have different numbers of joints.
        """
        if leader.shape != follower.shape:
            msg = f"a leader of {leader.size} joints cannot mirror a follower of {follower.size}"
            raise ValueError(msg)
        self._offset = follower - leader

    def release(self) -> None:
        """Untie."""
        self._offset = None

    def target(self, leader: Array) -> Array:
        """Follower joints for leader joints.

        Raises:
            ValueError: Not engaged.
        """
        if self._offset is None:
            msg = "the joint mirror is not engaged"
            raise ValueError(msg)
        return leader + self._offset
