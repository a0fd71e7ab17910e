//! Engines behind one trait: local and sim.
