"""LeRobot's robots, teleoperators and cameras, in an interpreter of their own."""
