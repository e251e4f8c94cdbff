"""The mesh as discrete events: real engines, simulated network, clock, crashes and power cuts.

    Faults ─▶ World ─▶ Agenda            one random.Random(seed) decides everything
                │
                ├─ Site ─▶ Disk          what a machine keeps: key, trust, clock, database
                │    └─ Process          one run: Mesh, Keeper, attempts; gone in a crash
                ├─ Network               dials, links, messages on their way
                └─ Oracle                what was promised, compared with what is stored

Real: tasks, journals, `sync.mesh.Mesh`, SQLite, envelopes and signatures, the links' `Keeper`,
the gate and the ports of host calls. Simulated: sockets and handshakes, the disk below the
database, clocks, and the guests, which are scripts of host calls.
"""
