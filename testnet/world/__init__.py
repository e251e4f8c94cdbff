"""The mesh as discrete events: real engines, simulated network, clock, crashes and power cuts."""
